use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd as _, OwnedFd},
    thread,
};

use tandem_backend::{AttachedInput, WindowSize};
use tokio::sync::{mpsc, oneshot};

use super::keys::{DetachKeys, Scanner};

/// What the other side is to be told besides what is typed.
pub(super) type Sizes = mpsc::UnboundedReceiver<WindowSize>;

/// Passes standard input on. `left` is told when the keys were typed; without
/// keys nothing is looked for.
pub(super) async fn pass_on(
    mut input: AttachedInput,
    stdin: bool,
    keys: Option<DetachKeys>,
    mut sizes: Sizes,
    left: oneshot::Sender<()>,
) {
    let mut typed = stdin.then(read_stdin).and_then(Result::ok);
    let mut scanner = keys.map(Scanner::new);
    loop {
        let came = tokio::select! {
            size = sizes.recv() => {
                let Some(size) = size else { return };
                if input.resize(size).await.is_err() {
                    return;
                }
                continue;
            }
            came = next(&mut typed) => came,
        };
        let sent = match (came, &mut scanner) {
            (Some(bytes), None) => input.send(&bytes).await,
            (Some(bytes), Some(scanner)) => {
                let (bytes, leave) = scanner.scan(&bytes);
                let sent = input.send(&bytes).await;
                if leave {
                    let _ = input.detach().await;
                    let _ = left.send(());
                    return;
                }
                sent
            }
            (None, _) => {
                typed = None;
                input.end().await
            }
        };
        // Whoever listens learns why the connection is gone.
        if sent.is_err() {
            return;
        }
    }
}

async fn next(typed: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match typed {
        Some(typed) => typed.recv().await,
        None => std::future::pending().await,
    }
}

/// Reads standard input in a thread of its own, which the program's end does
/// not wait for. Nothing is buffered that somebody else may want to read.
pub(crate) fn read_stdin() -> io::Result<mpsc::Receiver<Vec<u8>>> {
    let own: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
    let mut source = File::from(own);
    let (sender, typed) = mpsc::channel(4);
    thread::spawn(move || {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            match source.read(&mut buffer) {
                Ok(count @ 1..) => {
                    if sender.blocking_send(buffer[..count].to_vec()).is_err() {
                        return;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return,
            }
        }
    });
    Ok(typed)
}
