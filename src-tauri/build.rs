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
];

fn main() {
    let manifest = tauri_build::AppManifest::new().commands(COMMANDS);
    let attributes = tauri_build::Attributes::new().app_manifest(manifest);
    if let Err(error) = tauri_build::try_build(attributes) {
        println!("cargo::error={error:#}");
    }
}
