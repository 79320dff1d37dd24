//! What is measured: a file for each question.

mod answer;
mod boot;
mod build;
mod disk;
mod fifty;
mod frame;
mod images;
mod listing;
mod overhead;
mod requests;
mod resident;
mod resize;
mod restore;
mod run;
mod sharing;
mod template;
mod update;
mod window;

pub(crate) use answer::Launcher;

use super::measure::Measure;

/// All measures, in the order of the report.
pub(crate) const ALL: &[Measure] = &[
    run::MEASURE,
    answer::MEASURE,
    images::LOAD,
    images::PULL,
    build::REBUILD,
    build::COPY,
    build::STEPS,
    build::STAGES,
    update::MEASURE,
    requests::MEASURE,
    resident::MEASURE,
    fifty::MEASURE,
    boot::MEASURE,
    template::MEASURE,
    restore::MEASURE,
    disk::MEASURE,
    resize::TIME,
    resize::LOAD,
    sharing::MEASURE,
    overhead::MEASURE,
    frame::MEASURE,
    listing::MEASURE,
    window::OPEN,
    window::IDLE,
    window::LIVE,
    window::PAGES,
    window::LOG,
];
