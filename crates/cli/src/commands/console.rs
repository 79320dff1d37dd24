use std::io::{self, IsTerminal as _, Write as _};

use tandem_backend::RawMode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::OwnedWriteHalf,
};

use super::Context;
use crate::{
    attach::{DetachKeys, Scanner, Signals, read_stdin},
    grammar::Console,
};

/// `tandem console`.
pub(super) async fn run(context: &Context, wanted: Console) -> anyhow::Result<u8> {
    let mut signals = Signals::take()?;
    let (record, stream) = context.app.console(&wanted.instance).await?;
    let name = &record.spec.name;
    let (mut shown, typed) = stream.into_split();
    let at_terminal = io::stdin().is_terminal();
    if at_terminal {
        context.say(&format!("tandem: the console of {name}; ctrl-p ctrl-q leaves it"));
    }
    let raw = at_terminal.then(|| RawMode::enter(io::stdin())).transpose()?;
    let keys = at_terminal.then_some(wanted.detach_keys);
    let typing = type_in(typed, keys);
    let showing = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = shown.read(&mut buffer).await {
            let mut out = io::stdout().lock();
            if out.write_all(&buffer[..count]).and_then(|()| out.flush()).is_err() {
                return;
            }
        }
    };
    let code = tokio::select! {
        () = showing => 0,
        () = typing => 0,
        () = signals.ended() => 130,
    };
    drop(raw);
    if at_terminal {
        context.say("");
    }
    Ok(code)
}

/// Passes on what is typed; resolves when the keys were. The end of a script's
/// input is no end: one goes on listening.
async fn type_in(mut console: OwnedWriteHalf, keys: Option<DetachKeys>) {
    let Ok(mut typed) = read_stdin() else { return std::future::pending().await };
    let mut scanner = keys.map(Scanner::new);
    while let Some(bytes) = typed.recv().await {
        let (bytes, left) = match &mut scanner {
            Some(scanner) => scanner.scan(&bytes),
            None => (bytes, false),
        };
        if console.write_all(&bytes).await.is_err() || left {
            return;
        }
    }
    std::future::pending::<()>().await;
}
