use std::{
    io::{IsTerminal as _, stdin},
    os::unix::process::ExitStatusExt as _,
    process::Command,
};

use tandem_app::AppError;
use tandem_model::ExecSpec;
use tokio::signal::unix::{SignalKind, signal};

use super::{Context, run::variables_in};
use crate::grammar::Exec;

pub(super) async fn run(context: &Context, wanted: Exec) -> anyhow::Result<u8> {
    if wanted.tty && wanted.interactive && !stdin().is_terminal() {
        return Err(no_terminal().into());
    }
    let mut env = variables_in(&wanted.env_file)?;
    env.extend(wanted.env);
    let spec = ExecSpec {
        args: wanted.command,
        env: env.iter().filter_map(|text| variable(text)).collect(),
        cwd: wanted.workdir,
        user: wanted.user,
        terminal: wanted.tty,
        stdin: wanted.interactive,
        detach: wanted.detach,
    };
    let command = context.app.exec(&wanted.instance, &spec).await?;
    to_the_end(command).await
}

/// What to say when a terminal is asked for and standard input is none.
pub(super) fn no_terminal() -> AppError {
    AppError::Usage(
        "standard input is not a terminal: leave out -t, or call this from a terminal".to_owned(),
    )
}

/// `K=V`, or `K` for the caller's own value.
fn variable(text: &str) -> Option<String> {
    if text.contains('=') {
        return Some(text.to_owned());
    }
    std::env::var(text).ok().map(|value| format!("{text}={value}"))
}

/// Runs a command with our own streams. What a terminal sends to us with
/// Ctrl-C it sends to the command as well, which decides.
async fn to_the_end(command: Command) -> anyhow::Result<u8> {
    let _interrupt = signal(SignalKind::interrupt())?;
    let _quit = signal(SignalKind::quit())?;
    let status = tokio::process::Command::from(command).status().await?;
    let code = status.code().or_else(|| status.signal().map(|number| 128 + number));
    Ok(u8::try_from(code.unwrap_or(125) & 0xff).unwrap_or(125))
}
