//! A lesson as a worksheet to print.

use std::fmt::Write as _;

use tandem_lesson::{Block, Lesson, Span};
use tandem_report::escape;

const STYLE: &str = "body{font:11pt/1.45 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#15181d}h1{font-size:20pt;margin:0}h2{font-size:13pt;margin:1.6em 0 .4em;break-after:avoid}pre{background:#eef0f3;padding:.6em .8em;white-space:pre-wrap}table{border-collapse:collapse}td,th{border:1px solid #dfe3e8;padding:.3em .6em;text-align:left}.box{border:1px solid #6d7786;border-radius:4px;padding:.5em .8em;margin:.8em 0;break-inside:avoid}.box p{margin:.2em 0}.line{border-bottom:1px solid #6d7786;height:1.8em}.head{display:flex;gap:2rem;margin:1rem 0}.head span{flex:1;border-bottom:1px solid #6d7786}@media print{body{margin:0}}";

/// Text, questions with boxes to tick, and lines to write on. Commands are
/// there to be typed; answers are not.
pub(super) fn html(lesson: &Lesson) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{summary}</p>\n<div class=\"head\"><span>Name</span><span>Date</span></div>\n",
        title = escape(&lesson.title),
        summary = escape(&lesson.summary),
    );
    for (number, step) in (1..).zip(&lesson.steps) {
        let _ = writeln!(out, "<h2>{number}. {}</h2>", escape(&step.title));
        for block in &step.blocks {
            write_block(&mut out, block);
        }
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn write_block(out: &mut String, block: &Block) {
    let _ = match block {
        Block::Paragraph { text } => writeln!(out, "<p>{}</p>", spans(text)),
        Block::Note { text } => writeln!(out, "<div class=\"box\"><p>{}</p></div>", spans(text)),
        Block::List { ordered, items } => {
            let tag = if *ordered { "ol" } else { "ul" };
            let items = joined(items.iter().map(|it| format!("<li>{}</li>", spans(&it.text))));
            writeln!(out, "<{tag}>{items}</{tag}>")
        }
        Block::Code { text, .. } => writeln!(out, "<pre>{}</pre>", escape(text)),
        Block::Table { header, rows } => {
            let row = |cells: &[Vec<Span>], tag: &str| -> String {
                let cells = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", spans(cell)));
                format!("<tr>{}</tr>", joined(cells))
            };
            let body = joined(rows.iter().map(|cells| row(cells, "td")));
            writeln!(out, "<table>{}{body}</table>", row(header, "th"))
        }
        Block::Run { commands, any } => {
            let lines: Vec<String> =
                commands.iter().map(|it| format!("$ {}", escape(it))).collect();
            let between = if *any { "\n  or\n" } else { "\n" };
            writeln!(out, "<pre>{}</pre>", lines.join(between))
        }
        Block::Check { checks } => {
            let lines = joined(checks.iter().map(|it| box_of(&it.asks)));
            writeln!(out, "<div class=\"box\">{lines}</div>")
        }
        Block::Predict { question, choices } | Block::Quiz { question, choices, .. } => {
            let lines = joined(choices.iter().map(|it| box_of(it)));
            writeln!(
                out,
                "<div class=\"box\"><p><b>{}</b></p>{lines}<div class=\"line\">Because:</div></div>",
                escape(question)
            )
        }
        // It would give the answer away.
        Block::Explain { .. } => Ok(()),
        Block::Result { experiment } => writeln!(
            out,
            "<div class=\"box\"><p>What did the experiment <b>{}</b> find on this machine?</p><div class=\"line\"></div><div class=\"line\"></div></div>",
            escape(experiment)
        ),
    };
}

fn box_of(words: &str) -> String {
    format!("<p>☐ {}</p>", escape(words))
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect()
}

fn spans(text: &[Span]) -> String {
    let one = |span: &Span| {
        let mut html = escape(&span.text);
        for (on, tag) in [(span.code, "code"), (span.emphasis, "em"), (span.strong, "b")] {
            if on {
                html = format!("<{tag}>{html}</{tag}>");
            }
        }
        match &span.link {
            Some(url) => format!("<a href=\"{}\">{html}</a>", escape(url)),
            None => html,
        }
    };
    text.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_sheet_asks_and_gives_no_answer_away() {
        let text = "# <script>T</script>\n\nAbout.\n\n## S\n\nA [link](https://x/?a=\"b\") & more.\n\n```quiz\nq <b>?\n- [x] right\n- [ ] wrong\nwhy: secret\n```\n\n```explain\nhidden\n```\n";
        let sheet = super::html(&tandem_lesson::parse("x", text).unwrap());
        assert!(!sheet.contains("<script") && sheet.contains("&lt;script&gt;T"), "{sheet}");
        assert!(!sheet.contains("secret") && !sheet.contains("hidden"), "{sheet}");
        assert!(sheet.contains("☐ right") && sheet.contains("&amp; more"), "{sheet}");
        assert!(!sheet.contains("?a=\"b\""), "{sheet}");
    }
}
