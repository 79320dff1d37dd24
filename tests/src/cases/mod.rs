//! The cases, a file for each area.

mod archive;
mod attach;
mod build;
mod build_errors;
mod build_inputs;
mod bundle;
mod clock;
mod command_line;
mod compare;
mod container;
mod copy;
mod crash;
mod docker_groups;
mod docker_words;
mod engines;
mod exec;
mod experiment;
mod faults;
mod faults_disk;
mod faults_lab;
mod faults_many;
mod faults_vm;
mod hostile;
mod hostile_images;
mod images;
mod interrupt;
mod lesson;
mod limits;
mod listeners;
mod network;
mod network_several;
mod package;
mod platform;
mod postgres;
mod registry;
mod registry_trust;
mod registry_ways;
mod rootless;
mod run_errors;
mod scripts;
mod security;
mod snapshot;
mod snapshot_memory;
mod state;
mod supervision;
mod system;
mod vm;
mod vm_board;
mod vm_disks;
mod vm_faults;
mod vm_full;
mod vm_state;
mod vm_systemd;
mod volumes;
mod window;
mod window_again;
mod window_class;
mod window_experiments;
mod window_files;
mod window_fit;
mod window_keyboard;
mod window_lessons;
mod window_look;
mod window_postgres;
mod window_results;
mod window_service;
mod window_terminal;
mod window_trouble;
mod window_work;

use anyhow::Result;

use crate::{Case, Need, Start, World};

/// A case of an area whose cases need different things.
const fn case(
    name: &'static str,
    needs: &'static [Need],
    start: Start,
    run: fn(&World) -> Result<()>,
) -> Case {
    Case { name, needs, start, run }
}

/// Every case: cheap ones first, the whole comparison and the window last.
pub fn all() -> Vec<Case> {
    [
        clock::CASES,
        command_line::CASES,
        build::CASES,
        build_errors::CASES,
        build_inputs::CASES,
        container::CASES,
        exec::CASES,
        attach::CASES,
        supervision::CASES,
        limits::CASES,
        network::CASES,
        network_several::CASES,
        run_errors::CASES,
        registry::CASES,
        registry_trust::CASES,
        registry_ways::CASES,
        platform::CASES,
        archive::CASES,
        bundle::CASES,
        docker_words::CASES,
        docker_groups::CASES,
        scripts::CASES,
        engines::CASES,
        images::CASES,
        system::CASES,
        state::CASES,
        interrupt::CASES,
        copy::CASES,
        snapshot::CASES,
        snapshot_memory::CASES,
        volumes::CASES,
        lesson::CASES,
        security::CASES,
        hostile::CASES,
        hostile_images::CASES,
        postgres::CASES,
        vm::CASES,
        vm_full::CASES,
        vm_board::CASES,
        vm_disks::CASES,
        vm_state::CASES,
        vm_faults::CASES,
        crash::CASES,
        faults::CASES,
        faults_disk::CASES,
        faults_lab::CASES,
        faults_many::CASES,
        faults_vm::CASES,
        rootless::CASES,
        compare::CASES,
        experiment::CASES,
        package::CASES,
        window::CASES,
        window_terminal::CASES,
        window_class::CASES,
        window_trouble::CASES,
        window_again::CASES,
        window_service::CASES,
        window_files::CASES,
        window_work::CASES,
        window_experiments::CASES,
        window_fit::CASES,
        window_keyboard::CASES,
        window_lessons::CASES,
        window_look::CASES,
        window_postgres::CASES,
    ]
    .concat()
}
