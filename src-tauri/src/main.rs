//! Tandem's window: a page, and the bridge to the process that does its work.
//!
//! This program draws and carries: what the page asks for goes to a process of
//! the `tandem` command (`tandem-service`), and what comes of it back.

mod bridge;
mod program;
mod window;

use tauri::{RunEvent, WindowEvent};

use crate::bridge::Bridge;

fn main() -> anyhow::Result<()> {
    window::paint_as_this_machine_can();
    if !program::has_display() {
        anyhow::bail!(
            "there is no display: log in to a desktop, or use `tandem compare` in the terminal"
        );
    }
    let bridge = Bridge::begin();
    let beginning = window::beginning(bridge);
    let app = tauri::Builder::default()
        .invoke_handler(move |invoke| {
            bridge.pass(invoke);
            true
        })
        .setup(move |app| {
            let handle = app.handle().clone();
            tauri::async_runtime::spawn(async move {
                program::told_to_end().await;
                window::end(handle, bridge);
            });
            Ok(window::open(app, bridge, beginning)?)
        })
        .build(tauri::generate_context!())?;
    app.run(move |handle, event| {
        if let RunEvent::WindowEvent { event: WindowEvent::CloseRequested { api, .. }, .. } = event
        {
            api.prevent_close();
            window::end(handle.clone(), bridge);
        }
    });
    Ok(())
}
