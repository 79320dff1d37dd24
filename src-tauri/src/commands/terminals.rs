use tandem_app::{OpenedTerminal, TerminalEnd, TerminalKind, TerminalSize};
use tandem_model::Failure;
use tauri::{
    State,
    ipc::{Channel, InvokeResponseBody},
};

use crate::shell::Shell;

/// Opens a terminal in an instance. Its output waits until it is followed.
#[tauri::command]
pub(crate) async fn open_terminal(
    shell: State<'_, Shell>,
    name: String,
    kind: TerminalKind,
    size: TerminalSize,
) -> Result<OpenedTerminal, Failure> {
    let opened = shell.app()?.open_terminal(&name, kind, size).await;
    Ok(shell.terminals().add(opened.map_err(|e| e.to_failure())?))
}

/// Sends a terminal's output, no more than the page has said to have drawn,
/// and tells its end.
#[tauri::command]
pub(crate) async fn follow_terminal(
    shell: State<'_, Shell>,
    id: u32,
    output: Channel<InvokeResponseBody>,
) -> Result<TerminalEnd, Failure> {
    let send = move |bytes| output.send(InvokeResponseBody::Raw(bytes)).is_ok();
    shell.terminals().follow(id, send).await
}

/// Types; resolves when it was taken.
#[tauri::command]
pub(crate) async fn type_in_terminal(
    shell: State<'_, Shell>,
    id: u32,
    text: String,
) -> Result<(), Failure> {
    shell.terminals().type_in(id, text.as_bytes()).await;
    Ok(())
}

/// Tells a terminal its size.
#[tauri::command]
pub(crate) fn resize_terminal(shell: State<'_, Shell>, id: u32, size: TerminalSize) {
    shell.terminals().resize(id, size);
}

/// So many bytes of a terminal's output were drawn.
#[tauri::command]
pub(crate) fn terminal_taken(shell: State<'_, Shell>, id: u32, bytes: u32) {
    shell.terminals().taken(id, bytes);
}

/// Closes a terminal; its shell ends.
#[tauri::command]
pub(crate) fn close_terminal(shell: State<'_, Shell>, id: u32) {
    shell.terminals().close(id);
}
