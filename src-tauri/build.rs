//! Compiles the window's configuration and its list of permitted commands.

/// Every command the page may call. A command that is not here does not exist
/// for it.
const COMMANDS: &[&str] = &[
    "opening",
    "doctor",
    "subjects",
    "defaults",
    "command_for",
    "launch",
    "watch",
    "cancel",
    "draw",
    "follow_instances",
    "start",
    "stop",
    "discard",
    "open",
    "images",
    "image_detail",
    "tag_image",
    "remove_image",
    "prune_images",
    "pull",
    "run_image",
    "cancel_work",
    "restart",
    "pause",
    "update",
    "follow_log",
    "snapshots",
    "take_snapshot",
    "restore_snapshot",
    "remove_snapshot",
    "open_project",
    "new_project",
    "save_project_file",
    "build_project",
    "results",
    "view_result",
    "view_beside",
    "export_result",
    "remove_result",
    "experiments",
    "experiment_defaults",
    "run_experiment",
    "lessons",
    "lesson",
    "run_lesson_command",
    "check_lesson",
    "answer_lesson",
    "reset_lesson",
    "export_lesson",
    "open_lesson_link",
    "view_class",
    "create_bundle",
    "open_bundle",
    "data_folder",
    "disk_use",
    "prune",
    "login",
    "logout",
];

fn main() {
    let manifest = tauri_build::AppManifest::new().commands(COMMANDS);
    let attributes = tauri_build::Attributes::new().app_manifest(manifest);
    if let Err(error) = tauri_build::try_build(attributes) {
        println!("cargo::error={error:#}");
    }
}
