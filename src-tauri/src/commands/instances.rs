use std::sync::{Arc, atomic::Ordering};

use tandem_app::InstanceRow;
use tandem_model::{ErrorCode, Failure};
use tauri::{State, ipc::Channel};

use crate::shell::Shell;

/// Sends all instances now and whenever one changed, whoever changed it, as
/// long as the page is there that asked last.
#[tauri::command]
pub(crate) async fn follow_instances(
    shell: State<'_, Shell>,
    rows: Channel<Vec<InstanceRow>>,
) -> Result<(), Failure> {
    // What a crash had left is told by `opening`, not cleaned away unseen.
    shell.reaped().await?;
    let (app, own) = (shell.app()?, shell.follower());
    let shared = Arc::clone(&own.newest);
    let mut send = move |all: &[InstanceRow]| {
        own.number == shared.load(Ordering::Relaxed) && rows.send(all.to_vec()).is_ok()
    };
    app.watch_instances(&mut send).await.map_err(|e| e.to_failure())
}

/// Starts an instance that exists.
#[tauri::command]
pub(crate) async fn start(shell: State<'_, Shell>, name: String) -> Result<(), Failure> {
    shell.app()?.start(&name).await.map(drop).map_err(|e| e.to_failure())
}

/// Stops an instance and leaves it there.
#[tauri::command]
pub(crate) async fn stop(shell: State<'_, Shell>, name: String) -> Result<(), Failure> {
    shell.app()?.stop(&name, None).await.map(drop).map_err(|e| e.to_failure())
}

/// Stops an instance and removes it with its files.
#[tauri::command]
pub(crate) async fn discard(shell: State<'_, Shell>, name: String) -> Result<(), Failure> {
    let app = shell.app()?;
    app.stop(&name, None).await.map_err(|e| e.to_failure())?;
    app.remove(&name, false, false).await.map_err(|e| e.to_failure())
}

/// Opens the app of a running instance in the browser. The page names the
/// instance, never an address.
#[tauri::command(async)]
pub(crate) fn open(shell: State<'_, Shell>, name: String) -> Result<(), Failure> {
    let rows = shell.app()?.instances(false).map_err(|e| e.to_failure())?;
    let row = rows.into_iter().find(|row| row.name == name);
    let url = row.and_then(|row| row.url).filter(|url| url.starts_with("http://127.0.0.1:"));
    let Some(url) = url else {
        let message = format!("`{name}` does not run or publishes no port: launch it again");
        return Err(Failure::new(ErrorCode::NotFound, message));
    };
    tauri_plugin_opener::open_url(&url, None::<&str>).map_err(|e| {
        let message = format!("no browser could be started ({e}): open {url} yourself");
        Failure::new(ErrorCode::Unavailable, message)
    })
}
