use std::{
    io::{IsTerminal as _, stdin, stdout},
    path::Path,
};

use tandem_app::{AppError, ArchiveSource};

use super::Context;
use crate::{
    grammar::{Archive, Load, Save},
    output::line,
    signals::cancel_on_interrupt,
    transfers::Board,
};

pub(super) async fn run(context: &Context, command: Archive) -> anyhow::Result<u8> {
    match command {
        Archive::Save(wanted) => save(context, wanted).await,
        Archive::Load(wanted) => load(context, wanted).await,
    }
}

async fn save(context: &Context, wanted: Save) -> anyhow::Result<u8> {
    let file = (wanted.output != Path::new("-")).then_some(wanted.output);
    if file.is_none() && stdout().is_terminal() {
        let text = "an archive is nothing for a terminal: name a file with -o FILE";
        return Err(AppError::Usage(text.to_owned()).into());
    }
    let cancel = cancel_on_interrupt();
    let board = Board::new(context.quiet);
    let show = board.clone();
    let images = &wanted.images;
    let saving =
        context.app.save_images(images, wanted.format.into(), file, move |it| show.tell(it));
    tokio::select! {
        saved = saving => { board.end(); saved? }
        () = cancel.cancelled() => { board.end(); return Ok(130) }
    }
    Ok(0)
}

async fn load(context: &Context, wanted: Load) -> anyhow::Result<u8> {
    let source = if wanted.input == Path::new("-") {
        if stdin().is_terminal() {
            let text = "there is no archive on standard input: name a file with -i FILE";
            return Err(AppError::Usage(text.to_owned()).into());
        }
        ArchiveSource::Stdin
    } else {
        ArchiveSource::File(wanted.input)
    };
    let cancel = cancel_on_interrupt();
    let board = Board::new(context.quiet);
    let show = board.clone();
    let loading = context.app.load_images(source, move |it| show.tell(it));
    let images = tokio::select! {
        loaded = loading => { board.end(); loaded? }
        () = cancel.cancelled() => { board.end(); return Ok(130) }
    };
    for image in images {
        context.say(&format!("digest {}", image.digest));
        if let Some(note) = context.app.foreign_note(&image) {
            context.say(&format!("note: {note}"));
        }
        line(&image.reference.to_string());
    }
    Ok(0)
}
