//! Tandem's window: a thin shell around the use cases of `tandem-app`.
//!
//! The shell wires, and does nothing else: one short command for each thing
//! the page can ask for, one channel for what happens while a comparison runs.

mod commands;
mod journal;
mod program;
mod session;
mod shell;
mod terminals;
mod window;
mod work;

use tauri::{Manager as _, RunEvent, WindowEvent};

use crate::shell::Shell;

fn main() -> anyhow::Result<()> {
    window::paint_as_this_machine_can();
    if !program::has_display() {
        anyhow::bail!(
            "there is no display: log in to a desktop, or use `tandem compare` in the terminal"
        );
    }
    tandem_app::keep_descriptors();
    let shell = Shell::open();
    let beginning = window::beginning(&shell);
    let app = tauri::Builder::default()
        .manage(shell)
        .invoke_handler(tauri::generate_handler![
            commands::machine::opening,
            commands::machine::doctor,
            commands::compare::subjects,
            commands::compare::defaults,
            commands::compare::launch,
            commands::compare::watch,
            commands::compare::cancel,
            commands::compare::draw,
            commands::instances::follow_instances,
            commands::instances::start,
            commands::instances::stop,
            commands::instances::discard,
            commands::instances::open,
            commands::images::images,
            commands::images::image_detail,
            commands::images::tag_image,
            commands::images::remove_image,
            commands::images::prune_images,
            commands::images::pull,
            commands::images::run_image,
            commands::errands::errands,
            commands::errands::join_errand,
            commands::errands::cancel_work,
            commands::databases::database_folder,
            commands::databases::database,
            commands::databases::await_database,
            commands::databases::query_database,
            commands::databases::make_database_image,
            commands::instances::restart,
            commands::instances::pause,
            commands::instances::update,
            commands::instances::follow_log,
            commands::terminals::open_terminal,
            commands::terminals::follow_terminal,
            commands::terminals::type_in_terminal,
            commands::terminals::resize_terminal,
            commands::terminals::terminal_taken,
            commands::terminals::close_terminal,
            commands::instances::snapshots,
            commands::instances::take_snapshot,
            commands::instances::restore_snapshot,
            commands::instances::remove_snapshot,
            commands::instances::give,
            commands::projects::open_project,
            commands::projects::new_project,
            commands::projects::save_project_file,
            commands::projects::check_dockerfile,
            commands::projects::build_project,
            commands::results::results,
            commands::results::view_result,
            commands::results::view_beside,
            commands::results::export_result,
            commands::results::remove_result,
            commands::results::explain_result,
            commands::results::import_recorded,
            commands::results::experiments,
            commands::results::experiment_defaults,
            commands::results::run_experiment,
            commands::results::resume_experiment,
            commands::results::fit_guide,
            commands::lessons::lessons,
            commands::lessons::lesson,
            commands::lessons::run_lesson_command,
            commands::lessons::check_lesson,
            commands::lessons::answer_lesson,
            commands::lessons::reset_lesson,
            commands::lessons::export_lesson,
            commands::lessons::open_lesson_link,
            commands::class::view_class,
            commands::class::export_class_results,
            commands::class::create_bundle,
            commands::class::open_bundle,
            commands::settings::data_folder,
            commands::settings::disk_use,
            commands::settings::outside,
            commands::settings::prune,
            commands::settings::login,
            commands::settings::logout,
        ])
        .setup(|app| {
            begin(app);
            Ok(window::open(app, beginning)?)
        })
        .build(tauri::generate_context!())?;
    app.run(close_in_order);
    Ok(())
}

/// A window that is closed stays until everything is cleaned up.
fn close_in_order(handle: &tauri::AppHandle, event: RunEvent) {
    if let RunEvent::WindowEvent { event: WindowEvent::CloseRequested { api, .. }, .. } = event {
        api.prevent_close();
        shell::end(handle.clone());
    }
}

/// Follows what goes on, and ends when told to.
fn begin(app: &tauri::App) {
    let shell = app.state::<Shell>();
    tauri::async_runtime::spawn(shell.session().pump());
    let handle = app.handle().clone();
    tauri::async_runtime::spawn(async move {
        program::told_to_end().await;
        shell::end(handle);
    });
}
