use std::path::Path;

use tandem_app::{BundleEvent, BundleItem, BundleKind, BundleReport, BundleRequest, BundleState};
use tandem_report::format_bytes;

use super::Context;
use crate::{
    grammar::{Bundle, CreateBundle},
    output::{json, plain, table, tell},
    signals::cancel_on_interrupt,
    transfers::Board,
};

pub(super) async fn run(context: &Context, command: Bundle) -> anyhow::Result<u8> {
    match command {
        Bundle::Create(wanted) => create(context, wanted).await,
        Bundle::Open { file, json } => open(context, &file, json.json).await,
    }
}

async fn create(context: &Context, wanted: CreateBundle) -> anyhow::Result<u8> {
    let CreateBundle { output, images, kernel, results, no_build, json: wants } = wanted;
    let request = BundleRequest { images, kernel, results, no_build };
    let cancel = cancel_on_interrupt();
    let board = Board::new(context.quiet);
    let creating = context.app.create_bundle(&request, &output, teller(context, &board), &cancel);
    let report = tokio::select! {
        created = creating => { board.end(); created? }
        () = cancel.cancelled() => { board.end(); return Ok(130) }
    };
    show(&report, wants.json)?;
    let file = report.file.display();
    let size = format_bytes(report.bytes);
    context.say(&format!("{file}: {size}; `tandem bundle open` takes it over on another machine"));
    Ok(0)
}

async fn open(context: &Context, file: &Path, wants_json: bool) -> anyhow::Result<u8> {
    let cancel = cancel_on_interrupt();
    let board = Board::new(context.quiet);
    let opening = context.app.open_bundle(file, teller(context, &board));
    let report = tokio::select! {
        opened = opening => { board.end(); opened? }
        () = cancel.cancelled() => { board.end(); return Ok(130) }
    };
    show(&report, wants_json)?;
    for item in report.items.iter().filter(|item| item.state == BundleState::Kept) {
        context.say(&format!(
            "the lesson {} is here already and differs: yours was kept; move lessons/{0}.md out of {} and open the bundle again for the other one",
            item.name,
            context.app.home().display()
        ));
    }
    Ok(0)
}

/// Says what happens, lines above the layers.
fn teller(context: &Context, board: &Board) -> impl Fn(BundleEvent) + Send + Sync + 'static {
    let (board, quiet, verbose) = (board.clone(), context.quiet, context.verbose);
    move |event| match event {
        BundleEvent::Note(line) if !quiet => tell(&plain(&line)),
        BundleEvent::Log(line) if verbose => tell(&format!("  {}", plain(&line))),
        BundleEvent::Moved(transfer) => board.tell(transfer),
        BundleEvent::Note(_) | BundleEvent::Log(_) => {}
    }
}

fn show(report: &BundleReport, wants_json: bool) -> anyhow::Result<()> {
    if wants_json {
        return json(report);
    }
    let rows: Vec<_> = report.items.iter().map(row).collect();
    table(&["WHAT", "NAME", "SIZE", ""], &rows);
    Ok(())
}

fn row(item: &BundleItem) -> Vec<String> {
    let kind = match item.kind {
        BundleKind::Image => "image",
        BundleKind::Steps => "build steps",
        BundleKind::Kernel => "kernel",
        BundleKind::Lesson => "lesson",
        BundleKind::Result => "result",
    };
    let state = match item.state {
        BundleState::Packed => "",
        BundleState::New => "new",
        BundleState::Present => "was here",
        BundleState::Kept => "yours was kept",
    };
    vec![kind.to_owned(), plain(&item.name), format_bytes(item.bytes), state.to_owned()]
}
