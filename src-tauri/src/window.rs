//! The window, with what it shows first.

use std::{path::Path, thread::JoinHandle};

use anyhow::Context as _;
use tandem_app::Beginning;
use tauri::WebviewWindowBuilder;

use crate::{commands::compare::defaults, shell::Shell};

/// What a person sees first to compare.
const FIRST_SUBJECT: &str = "hello-flask";

/// Looks for what the page shows first, while the toolkit makes itself ready.
/// Where that fails the page asks, and shows why.
pub(crate) fn beginning(shell: &Shell) -> JoinHandle<Option<Beginning>> {
    let app = shell.app();
    std::thread::spawn(move || {
        let subjects = app.ok()?.subjects().ok()?;
        let request = defaults(FIRST_SUBJECT.to_owned());
        Some(Beginning { request, subjects })
    })
}

/// Opens the window that the configuration describes.
pub(crate) fn open(
    app: &tauri::App,
    beginning: JoinHandle<Option<Beginning>>,
) -> anyhow::Result<()> {
    let config = app.config().app.windows.first().context("no window is configured")?;
    let mut window = WebviewWindowBuilder::from_config(app, config)?;
    if let Ok(Some(beginning)) = beginning.join() {
        let data = serde_json::to_string(&beginning)?;
        window = window.initialization_script(format!("window.tandemBegins = {data};"));
    }
    window.build()?;
    Ok(())
}

/// Has the page painted by the processor where there is no graphics processor:
/// the view would emulate one, which takes seconds for the first frame.
pub(crate) fn paint_as_this_machine_can() {
    const PLAIN: &str = "WEBKIT_SKIA_ENABLE_CPU_RENDERING";
    let renders = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("renderD");
    let devices = std::fs::read_dir(Path::new("/dev/dri")).into_iter().flatten().flatten();
    let has_graphics = devices.map(|it| it.file_name()).any(|name| renders(&name));
    if !has_graphics && std::env::var_os(PLAIN).is_none() {
        // SAFETY: it comes first in `main`, while there is a single thread, so
        // nobody reads the environment meanwhile.
        unsafe { std::env::set_var(PLAIN, "1") };
    }
}
