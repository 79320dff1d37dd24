use tandem_app::{OpenedTerminal, TerminalEnd, TerminalKind, TerminalSize};
use tandem_model::Failure;

use crate::{call::Outlet, shell::Shell};

/// Opens a terminal in an instance. Its output waits until it is followed.
pub(super) async fn open_terminal(
    shell: &Shell,
    name: String,
    kind: TerminalKind,
    size: TerminalSize,
) -> Result<OpenedTerminal, Failure> {
    let opened = shell.app()?.open_terminal(&name, kind, size).await;
    Ok(shell.terminals().add(opened.map_err(|e| e.to_failure())?))
}

/// Sends a terminal's output, no more than the page has said to have drawn,
/// and tells its end.
pub(super) async fn follow_terminal(
    shell: &Shell,
    id: u32,
    output: Outlet,
) -> Result<TerminalEnd, Failure> {
    let send = move |bytes| output.send_bytes(bytes);
    shell.terminals().follow(id, send).await
}

/// Types; resolves when it was taken.
pub(super) async fn type_in_terminal(shell: &Shell, id: u32, text: String) -> Result<(), Failure> {
    shell.terminals().type_in(id, text.as_bytes()).await;
    Ok(())
}

/// Tells a terminal its size.
pub(super) fn resize_terminal(shell: &Shell, id: u32, size: TerminalSize) {
    shell.terminals().resize(id, size);
}

/// So many bytes of a terminal's output were drawn.
pub(super) fn terminal_taken(shell: &Shell, id: u32, bytes: u32) {
    shell.terminals().taken(id, bytes);
}

/// Closes a terminal; its shell ends.
pub(super) fn close_terminal(shell: &Shell, id: u32) {
    shell.terminals().close(id);
}
