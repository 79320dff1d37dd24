use tandem_app::LogOptions;
use tandem_backend::{LogLine, Stream};

use super::Context;
use crate::output::raw;

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

/// Prints a line to the stream it came from.
fn print(line: &LogLine, timestamps: bool) {
    let text = if timestamps { format!("{} {}", line.time, line.text) } else { line.text.clone() };
    match line.stream {
        Stream::Stdout => raw(&text),
        Stream::Stderr => eprint!("{text}"),
    }
}
