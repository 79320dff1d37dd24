use std::sync::{Arc, atomic::Ordering};

use tandem_app::{
    Errand, GiftKind, Given, InstanceRow, LogOptions, LogRow, Restored, SnapshotRow, Taken,
    UpdateMode, UpdateReport, UpdateWishes,
};
use tandem_model::{ErrorCode, Failure, Resources};
use tokio::sync::mpsc;

use crate::{call::Outlet, shell::Shell, work::batched};

/// Lines of a log that are shown when it is opened.
const LOG_LINES: usize = 100_000;

/// So many of them are handed over at a time: the page draws in between.
const PART: usize = 2000;

/// Sends all instances now and whenever one changed, whoever changed it, as
/// long as the page is there that asked last.
pub(super) async fn follow_instances(shell: &Shell, rows: Outlet) -> Result<(), Failure> {
    // What a crash had left is told by `opening`, not cleaned away unseen.
    shell.reaped().await?;
    let (app, own) = (shell.app()?, shell.follower());
    let shared = Arc::clone(&own.newest);
    let mut send =
        move |all: &[InstanceRow]| own.number == shared.load(Ordering::Relaxed) && rows.send(&all);
    app.watch_instances(&mut send).await.map_err(|e| e.to_failure())
}

/// Starts an instance that exists.
pub(super) async fn start(shell: &Shell, name: String) -> Result<(), Failure> {
    shell.app()?.start(&name).await.map(drop).map_err(|e| e.to_failure())
}

/// Stops an instance and leaves it there.
pub(super) async fn stop(shell: &Shell, name: String) -> Result<(), Failure> {
    shell.app()?.stop(&name, None).await.map(drop).map_err(|e| e.to_failure())
}

/// Stops an instance and removes it with its files, and with the volumes that
/// were made for it alone.
pub(super) async fn discard(shell: &Shell, name: String, volumes: bool) -> Result<(), Failure> {
    shell.app()?.discard(&name, volumes).await.map_err(|e| e.to_failure())
}

/// The address of a running instance's app, which the window opens in the
/// browser. The page names the instance, never an address.
pub(super) fn open(shell: &Shell, name: String) -> Result<String, Failure> {
    let rows = shell.app()?.instances(false).map_err(|e| e.to_failure())?;
    let row = rows.into_iter().find(|row| row.name == name);
    row.and_then(|row| row.url).ok_or_else(|| {
        let message =
            format!("`{name}` does not run or publishes no port for browsers: launch it again");
        Failure::new(ErrorCode::NotFound, message)
    })
}

/// Stops an instance and starts it again.
pub(super) async fn restart(shell: &Shell, name: String) -> Result<(), Failure> {
    shell.app()?.restart(&name, None, None).await.map(drop).map_err(|e| e.to_failure())
}

/// Holds an instance still, or lets it go on.
pub(super) async fn pause(shell: &Shell, name: String, paused: bool) -> Result<(), Failure> {
    let app = shell.app()?;
    let done = if paused { app.pause(&name).await } else { app.unpause(&name).await };
    done.map_err(|e| e.to_failure())
}

/// Changes an instance's limits; how, and what it cost.
pub(super) async fn update(
    shell: &Shell,
    name: String,
    resources: Resources,
    mode: UpdateMode,
) -> Result<UpdateReport, Failure> {
    let wishes = UpdateWishes { resources, restart: None };
    shell.app()?.update(&name, wishes, mode).await.map_err(|e| e.to_failure())
}

/// Follows an instance's log until another one is followed.
pub(super) async fn follow_log(shell: &Shell, name: String, lines: Outlet) -> Result<(), Failure> {
    let app = shell.app()?;
    let piece = shell.work().follow_log();
    let (send, told) = mpsc::unbounded_channel();
    let mut tell = move |line| drop(send.send(LogRow::from(line)));
    let options = LogOptions { follow: true, tail: Some(LOG_LINES), ..LogOptions::default() };
    let following = piece.or_cancelled(app.logs(&name, options, &mut tell));
    let send = |all: Vec<LogRow>| all.chunks(PART).for_each(|part| _ = lines.send(&part));
    batched(following, told, send).await
}

/// An instance's snapshots.
pub(super) fn snapshots(shell: &Shell, name: String) -> Result<Vec<SnapshotRow>, Failure> {
    shell.app()?.snapshots(&name).map_err(|e| e.to_failure())
}

/// Takes one.
pub(super) async fn take_snapshot(
    shell: &Shell,
    name: String,
    snapshot: String,
    memory: bool,
) -> Result<Taken, Failure> {
    let app = shell.app()?;
    Box::pin(app.snapshot(&name, &snapshot, memory)).await.map_err(|e| e.to_failure())
}

/// Gives an instance a snapshot's files again, or makes a new one of them.
pub(super) async fn restore_snapshot(
    shell: &Shell,
    name: String,
    snapshot: String,
    into: Option<String>,
) -> Result<Restored, Failure> {
    let app = shell.app()?;
    let restored = Box::pin(app.restore(&name, &snapshot, into.as_deref(), true));
    restored.await.map_err(|e| e.to_failure())
}

/// Removes one.
pub(super) fn remove_snapshot(
    shell: &Shell,
    name: String,
    snapshot: String,
) -> Result<(), Failure> {
    shell.app()?.remove_snapshot(&name, &snapshot).map_err(|e| e.to_failure())
}

/// Writes an instance, or what belongs to it, to a file for somebody else, and
/// tells what happens as lists of lines.
pub(super) async fn give(
    shell: &Shell,
    name: String,
    kind: GiftKind,
    file: String,
    notes: Outlet,
) -> Result<Given, Failure> {
    let app = shell.app()?;
    let errand = Errand::Gift { name: name.clone(), gift: kind, file: file.clone() };
    let piece = shell.work().begin(errand, notes)?;
    let (send, told) = mpsc::unbounded_channel();
    let note = move |line| drop(send.send(line));
    let giving = piece.or_cancelled(app.give(&name, kind, &file, note, piece.wish()));
    Box::pin(piece.carry(batched(giving, told, |all| piece.tell(&all)))).await
}
