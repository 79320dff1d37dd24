//! The programs around this one.

use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

/// The `tandem` command, whose hidden entry points run the engines: what
/// `TANDEM_PROGRAM` names, else the file beside this program.
pub(crate) fn tandem() -> PathBuf {
    if let Some(path) = std::env::var_os("TANDEM_PROGRAM") {
        return PathBuf::from(path);
    }
    let beside = |own: PathBuf| own.parent().map(|dir| dir.join("tandem"));
    std::env::current_exe().ok().and_then(beside).unwrap_or_else(|| PathBuf::from("tandem"))
}

/// Whether there is anywhere to show a window: GTK ends the program otherwise.
pub(crate) fn has_display() -> bool {
    let named = |variable| std::env::var_os(variable).is_some_and(|name| !name.is_empty());
    named("DISPLAY") || named("WAYLAND_DISPLAY")
}

/// Resolves when somebody asks this program to end: SIGTERM, SIGINT, or
/// SIGHUP when the terminal is closed.
pub(crate) async fn told_to_end() {
    let next = async |kind| match signal(kind) {
        Ok(mut stream) => drop(stream.recv().await),
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = next(SignalKind::terminate()) => {}
        () = next(SignalKind::interrupt()) => {}
        () = next(SignalKind::hangup()) => {}
    }
}
