use std::sync::{Arc, atomic::Ordering};

use serde_json::Value;
use tandem_app::{
    Errand, GiftKind, Given, InstanceRow, LogOptions, LogRow, Restored, SnapshotRow, Taken,
    UpdateMode, UpdateReport, UpdateWishes,
};
use tandem_model::{ErrorCode, Failure, Resources};
use tauri::{State, ipc::Channel};
use tokio::sync::mpsc;

use crate::{shell::Shell, work::batched};

/// Lines of a log that are shown when it is opened.
const LOG_LINES: usize = 100_000;

/// So many of them are handed over at a time: the page draws in between.
const PART: usize = 2000;

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

/// Stops an instance and removes it with its files, and with the volumes that
/// were made for it alone.
#[tauri::command]
pub(crate) async fn discard(
    shell: State<'_, Shell>,
    name: String,
    volumes: bool,
) -> Result<(), Failure> {
    shell.app()?.discard(&name, volumes).await.map_err(|e| e.to_failure())
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
    browse(&url)
}

/// Opens an address in the person's browser.
pub(super) fn browse(url: &str) -> Result<(), Failure> {
    tauri_plugin_opener::open_url(url, None::<&str>).map_err(|e| {
        let message = format!("no browser could be started ({e}): open {url} yourself");
        Failure::new(ErrorCode::Unavailable, message)
    })
}

/// Stops an instance and starts it again.
#[tauri::command]
pub(crate) async fn restart(shell: State<'_, Shell>, name: String) -> Result<(), Failure> {
    shell.app()?.restart(&name, None, None).await.map(drop).map_err(|e| e.to_failure())
}

/// Holds an instance still, or lets it go on.
#[tauri::command]
pub(crate) async fn pause(
    shell: State<'_, Shell>,
    name: String,
    paused: bool,
) -> Result<(), Failure> {
    let app = shell.app()?;
    let done = if paused { app.pause(&name).await } else { app.unpause(&name).await };
    done.map_err(|e| e.to_failure())
}

/// Changes an instance's limits; how, and what it cost.
#[tauri::command]
pub(crate) async fn update(
    shell: State<'_, Shell>,
    name: String,
    resources: Resources,
    mode: UpdateMode,
) -> Result<UpdateReport, Failure> {
    let wishes = UpdateWishes { resources, restart: None };
    shell.app()?.update(&name, wishes, mode).await.map_err(|e| e.to_failure())
}

/// Follows an instance's log until another one is followed.
#[tauri::command]
pub(crate) async fn follow_log(
    shell: State<'_, Shell>,
    name: String,
    lines: Channel<Vec<LogRow>>,
) -> Result<(), Failure> {
    let app = shell.app()?;
    let piece = shell.work().follow_log();
    let (send, told) = mpsc::unbounded_channel();
    let mut tell = move |line| drop(send.send(LogRow::from(line)));
    let options = LogOptions { follow: true, tail: Some(LOG_LINES), ..LogOptions::default() };
    let following = piece.or_cancelled(app.logs(&name, options, &mut tell));
    let send = |all: Vec<LogRow>| all.chunks(PART).for_each(|part| drop(lines.send(part.to_vec())));
    batched(following, told, send).await
}

/// An instance's snapshots.
#[tauri::command(async)]
pub(crate) fn snapshots(
    shell: State<'_, Shell>,
    name: String,
) -> Result<Vec<SnapshotRow>, Failure> {
    shell.app()?.snapshots(&name).map_err(|e| e.to_failure())
}

/// Takes one.
#[tauri::command]
pub(crate) async fn take_snapshot(
    shell: State<'_, Shell>,
    name: String,
    snapshot: String,
    memory: bool,
) -> Result<Taken, Failure> {
    let app = shell.app()?;
    Box::pin(app.snapshot(&name, &snapshot, memory)).await.map_err(|e| e.to_failure())
}

/// Gives an instance a snapshot's files again, or makes a new one of them.
#[tauri::command]
pub(crate) async fn restore_snapshot(
    shell: State<'_, Shell>,
    name: String,
    snapshot: String,
    into: Option<String>,
) -> Result<Restored, Failure> {
    let app = shell.app()?;
    let restored = Box::pin(app.restore(&name, &snapshot, into.as_deref(), true));
    restored.await.map_err(|e| e.to_failure())
}

/// Removes one.
#[tauri::command(async)]
pub(crate) fn remove_snapshot(
    shell: State<'_, Shell>,
    name: String,
    snapshot: String,
) -> Result<(), Failure> {
    shell.app()?.remove_snapshot(&name, &snapshot).map_err(|e| e.to_failure())
}

/// Writes an instance, or what belongs to it, to a file for somebody else, and
/// tells what happens as lists of lines.
#[tauri::command]
pub(crate) async fn give(
    shell: State<'_, Shell>,
    name: String,
    kind: GiftKind,
    file: String,
    notes: Channel<Value>,
) -> Result<Given, Failure> {
    let app = shell.app()?;
    let errand = Errand::Gift { name: name.clone(), gift: kind, file: file.clone() };
    let piece = shell.work().begin(errand, notes)?;
    let (send, told) = mpsc::unbounded_channel();
    let note = move |line| drop(send.send(line));
    let giving = piece.or_cancelled(app.give(&name, kind, &file, note, piece.wish()));
    Box::pin(piece.carry(batched(giving, told, |all| piece.tell(&all)))).await
}
