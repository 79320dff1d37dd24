use tandem_app::LogOptions;
use tandem_backend::{LogLine, Stream};

use super::Context;
use crate::output::{raw, raw_bytes, raw_error};

pub(super) async fn run(
    context: &Context,
    instance: &str,
    options: LogOptions,
    timestamps: bool,
) -> anyhow::Result<u8> {
    let mut show = |line: LogLine| print(&line, timestamps);
    tokio::select! {
        result = context.app.logs(instance, options, &mut show) => result?,
        () = crate::signals::interrupted() => return Ok(130),
    }
    Ok(0)
}

const NOTHING: &str = "its console has said nothing: the kernel of a micro machine writes warnings and worse there; `tandem logs` shows what its app says";

/// `tandem logs --boot`: bytes as the machine wrote them.
pub(super) async fn boot(context: &Context, instance: &str, follow: bool) -> anyhow::Result<u8> {
    let mut silent = true;
    let mut show = |piece: &[u8]| {
        silent &= piece.is_empty();
        raw_bytes(piece);
    };
    tokio::select! {
        result = context.app.boot_log(instance, follow, &mut show) => result?,
        () = crate::signals::interrupted() => return Ok(130),
    }
    if silent {
        context.say(NOTHING);
    }
    Ok(0)
}

/// Prints a line to the stream it came from.
fn print(line: &LogLine, timestamps: bool) {
    let text = if timestamps { format!("{} {}", line.time, line.text) } else { line.text.clone() };
    match line.stream {
        Stream::Stdout => raw(&text),
        Stream::Stderr => raw_error(&text),
    }
}
