use std::{
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use tandem_app::UsageRow;
use tandem_model::format::format_bytes;

use crate::{
    commands::Context,
    format::views,
    grammar::Listing,
    output::{json, lay_out, raw},
    signals::interrupted,
};

/// How often the live table is drawn.
const EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(
    context: &Context,
    instances: &[String],
    wanted: &Listing,
    no_stream: bool,
) -> anyhow::Result<u8> {
    if wanted.json.json {
        json(&context.app.usage_now(instances).await?)?;
        return Ok(0);
    }
    let text = |rows: &[UsageRow]| match &wanted.format {
        Some(template) => template.text(rows, views::usage),
        None => Ok(table(rows)),
    };
    let mut rows = context.app.usage_now(instances).await?;
    if no_stream || !std::io::stdout().is_terminal() {
        raw(&text(&rows)?);
        return Ok(0);
    }
    let mut drawn = 0;
    let end = interrupted();
    tokio::pin!(end);
    loop {
        drawn = draw(&text(&rows)?, drawn)?;
        tokio::select! {
            () = &mut end => break,
            () = tokio::time::sleep(EVERY) => {}
        }
        rows = context.app.usage(instances, &rows)?;
        context.app.ask_guests(&mut rows).await;
    }
    Ok(0)
}

/// Draws over what was drawn before (ECMA-48: cursor up, erase below). The
/// cursor stands below the table, so that it stays when the command ends.
fn draw(text: &str, drawn: usize) -> std::io::Result<usize> {
    let mut out = std::io::stdout().lock();
    if drawn > 0 {
        write!(out, "\x1b[{drawn}A")?;
    }
    write!(out, "\r\x1b[J{text}")?;
    out.flush()?;
    Ok(text.lines().count())
}

/// What a virtual machine tells of itself.
fn guest(row: &UsageRow) -> String {
    let Some(guest) = &row.guest else { return "–".to_owned() };
    let used = guest.memory_total_bytes.saturating_sub(guest.memory_available_bytes);
    let (used, total) = (format_bytes(used), format_bytes(guest.memory_total_bytes));
    format!("{used} / {total}, {} processes", guest.processes)
}

fn table(rows: &[UsageRow]) -> String {
    let pair = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => format!("{} / {}", format_bytes(a), format_bytes(b)),
        _ => "–".to_owned(),
    };
    let cells = |row: &UsageRow| {
        vec![
            row.id.clone(),
            row.name.clone(),
            row.cpu_percent.map_or_else(|| "–".to_owned(), |it| format!("{it:.1} %")),
            pair(row.memory_bytes.or(Some(row.memory_pss_bytes)), Some(row.memory_limit_bytes)),
            format!("{:.1} %", row.memory_percent),
            format_bytes(row.memory_pss_bytes),
            pair(row.net_received_bytes, row.net_sent_bytes),
            pair(row.io_read_bytes, row.io_written_bytes),
            row.pids.to_string(),
            guest(row),
        ]
    };
    let headings = [
        "ID",
        "NAME",
        "CPU",
        "MEMORY / LIMIT",
        "MEMORY",
        "PSS",
        "NET RX / TX",
        "I/O R / W",
        "PIDS",
        "INSIDE A MACHINE",
    ];
    lay_out(&headings, &rows.iter().map(cells).collect::<Vec<_>>())
}
