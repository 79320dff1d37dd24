//! The window, with what it shows first, and its end.

use std::{path::Path, thread::JoinHandle};

use anyhow::Context as _;
use tauri::{AppHandle, Manager as _, WebviewWindowBuilder};

use crate::bridge::Bridge;

/// Asks for what the page shows first, while the toolkit makes itself ready.
/// Where that fails the page asks, and shows why.
pub(crate) fn beginning(bridge: &'static Bridge) -> JoinHandle<Option<String>> {
    std::thread::spawn(|| {
        let begins = String::from_utf8(bridge.beginning().ok()?).ok()?;
        Some(begins).filter(|it| it != "null")
    })
}

/// Opens the window that the configuration describes.
pub(crate) fn open(
    app: &tauri::App,
    bridge: &'static Bridge,
    beginning: JoinHandle<Option<String>>,
) -> anyhow::Result<()> {
    let config = app.config().app.windows.first().context("no window is configured")?;
    let mut window = WebviewWindowBuilder::from_config(app, config)?;
    if let Ok(Some(data)) = beginning.join() {
        window = window.initialization_script(format!("window.tandemBegins = {data};"));
    }
    bridge.show_in(window.build()?);
    Ok(())
}

/// Ends the program after what goes on, if anything, was cancelled and cleaned
/// up. A window that is closed stays for so long.
pub(crate) fn end(handle: AppHandle, bridge: &'static Bridge) {
    std::thread::spawn(move || {
        bridge.leave(|measures| {
            if let Some(window) = handle.get_webview_window("main") {
                // Without work to cancel there is nothing to look at any more.
                let _ =
                    if measures { window.set_title("Tandem: cleaning up") } else { window.hide() };
            }
        });
        handle.exit(0);
    });
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
