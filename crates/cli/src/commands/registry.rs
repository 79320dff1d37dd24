use std::io::Read as _;

use anyhow::Context as _;

use super::Context;
use crate::{
    grammar::{Login, Pull, Registry},
    output::line,
    prompt,
    signals::cancel_on_interrupt,
    transfers::Board,
};

pub(super) async fn run(context: &Context, command: Registry) -> anyhow::Result<u8> {
    match command {
        Registry::Pull(wanted) => pull(context, &wanted).await,
        Registry::Push { reference, destination } => {
            push(context, &reference, destination.as_deref()).await
        }
        Registry::Login(wanted) => login(context, wanted).await,
        Registry::Logout { registry } => {
            context.app.logout(&registry).await?;
            context.say(&format!("logged out of {registry}"));
            Ok(0)
        }
    }
}

async fn pull(context: &Context, wanted: &Pull) -> anyhow::Result<u8> {
    let reference = wanted.reference.parse().map_err(tandem_app::AppError::from)?;
    let cancel = cancel_on_interrupt();
    let board = Board::new(context.quiet);
    let show = board.clone();
    let pulling = context.app.pull(&reference, wanted.platform.as_deref(), move |it| show.tell(it));
    let image = tokio::select! {
        image = pulling => { board.end(); image? }
        () = cancel.cancelled() => { board.end(); return Ok(130) }
    };
    context.say(&format!("digest {}", image.digest));
    if let Some(note) = context.app.foreign_note(&image) {
        context.say(&format!("note: {note}"));
    }
    line(&image.reference.to_string());
    Ok(0)
}

async fn push(context: &Context, name: &str, target: Option<&str>) -> anyhow::Result<u8> {
    let cancel = cancel_on_interrupt();
    let board = Board::new(context.quiet);
    let show = board.clone();
    let pushing = context.app.push(name, target, move |it| show.tell(it));
    let (target, digest) = tokio::select! {
        pushed = pushing => { board.end(); pushed? }
        () = cancel.cancelled() => { board.end(); return Ok(130) }
    };
    context.say(&format!("digest {digest}"));
    line(&target.to_string());
    Ok(0)
}

async fn login(context: &Context, wanted: Login) -> anyhow::Result<u8> {
    let cancel = cancel_on_interrupt();
    let work = async {
        let name = match wanted.username {
            Some(name) => name,
            None if wanted.password_stdin => anyhow::bail!(
                "standard input holds the password, so the user name cannot be asked for: give it with -u NAME"
            ),
            None => prompt::ask("User name: ", prompt::Echo::On).await?,
        };
        let secret = match wanted.password {
            Some(password) => {
                context.say(
                    "tandem: others can see a password in the list of processes: --password-stdin hides it",
                );
                password
            }
            None if wanted.password_stdin => from_stdin()?,
            None => prompt::ask("Password: ", prompt::Echo::Off).await?,
        };
        anyhow::ensure!(
            !name.is_empty() && !secret.is_empty(),
            "a user name and a password are needed: neither may be empty"
        );
        Ok(context.app.login(&wanted.registry, name, secret).await?)
    };
    let place = tokio::select! {
        place = work => place?,
        () = cancel.cancelled() => return Ok(130),
    };
    context.say(&format!("logged in at {}; the password is kept in {place}", wanted.registry));
    Ok(0)
}

/// The password, without the line end that `echo` adds.
fn from_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .take(64 << 10)
        .read_to_string(&mut text)
        .context("the password cannot be read from standard input")?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
