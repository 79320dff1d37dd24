//! A lesson as a worksheet to print, for the class or with the answers.

use std::fmt::Write as _;

use tandem_lesson::{Block, Language, Lesson, Span, Stack};
use tandem_report::escape;

/// What a sheet looks like, on a screen and on paper.
const STYLE: &str = include_str!("sheet.css");

/// What a sheet says beside the lesson.
struct Words {
    answers: &'static str,
    name: &'static str,
    date: &'static str,
    because: &'static str,
    or: &'static str,
    /// Before and after the name of an experiment.
    found: [&'static str; 2],
}

const ENGLISH: Words = Words {
    answers: "With the answers, for the teacher",
    name: "Name",
    date: "Date",
    because: "Because:",
    or: "or",
    found: ["What did the experiment", "find on this machine?"],
};

const GERMAN: Words = Words {
    answers: "Mit den Antworten, für Lehrende",
    name: "Name",
    date: "Datum",
    because: "Denn:",
    or: "oder",
    found: ["Was hat das Experiment", "auf diesem Rechner ergeben?"],
};

fn words(language: Language) -> &'static Words {
    match language {
        Language::En => &ENGLISH,
        Language::De => &GERMAN,
    }
}

/// Text, questions with boxes to tick, and lines to write on. Commands are
/// there to be typed; answers and explanations only where they are wanted.
pub(super) fn html(lesson: &Lesson, language: Language, answers: bool) -> String {
    let words = words(language);
    let under = if answers {
        format!("<p class=\"answers\">{}</p>", words.answers)
    } else {
        let Words { name, date, .. } = words;
        format!("<div class=\"head\"><span>{name}</span><span>{date}</span></div>")
    };
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{tag}\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{summary}</p>\n{under}\n",
        tag = language.tag(),
        title = escape(&lesson.title),
        summary = escape(&lesson.summary),
    );
    for (number, step) in (1..).zip(&lesson.steps) {
        let _ = writeln!(out, "<h2>{number}. {}</h2>", escape(&step.title));
        for block in &step.blocks {
            write_block(&mut out, block, language, answers);
        }
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn write_block(out: &mut String, block: &Block, language: Language, answers: bool) {
    let words = words(language);
    let because = format!("<div class=\"line\">{}</div>", words.because);
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
            let or = format!("\n  {}\n", words.or);
            let between = if *any { or.as_str() } else { "\n" };
            writeln!(out, "<pre>{}</pre>", lines.join(between))
        }
        Block::Check { checks } => {
            let lines = joined(checks.iter().map(|it| box_of(&it.asks)));
            writeln!(out, "<div class=\"box\">{lines}</div>")
        }
        Block::Predict { question, choices } => {
            let lines = joined(choices.iter().map(|it| box_of(it)));
            writeln!(out, "{}", asked(question, &lines, &because))
        }
        Block::Quiz { question, choices, right, why } if answers => {
            let mark = |at: usize| if at == *right { "☒" } else { "☐" };
            let lines = choices.iter().enumerate();
            let lines = joined(lines.map(|(at, it)| format!("<p>{} {}</p>", mark(at), escape(it))));
            writeln!(out, "{}", asked(question, &lines, &format!("<p><i>{}</i></p>", escape(why))))
        }
        Block::Quiz { question, choices, .. } => {
            let lines = joined(choices.iter().map(|it| box_of(it)));
            writeln!(out, "{}", asked(question, &lines, &because))
        }
        Block::Explain { text } if answers => {
            let lines = joined(text.iter().map(|it| format!("<p><i>{}</i></p>", escape(it))));
            writeln!(out, "<div class=\"box\">{lines}</div>")
        }
        // It would give the answer away.
        Block::Explain { .. } => Ok(()),
        Block::Result { experiment } => writeln!(
            out,
            "<div class=\"box\"><p>{} <b>{}</b> {}</p><div class=\"line\"></div><div class=\"line\"></div></div>",
            words.found[0],
            escape(experiment),
            words.found[1],
        ),
        Block::Picture { picture } => writeln!(out, "{}", drawn(picture.stacks(language))),
    };
}

/// Stacks side by side on common ground.
fn drawn(stacks: [Stack; 2]) -> String {
    let one = |stack: Stack| {
        let layers = joined(stack.layers.iter().map(|it| format!("<li>{}</li>", escape(it))));
        format!("<div><b>{}</b><ol>{layers}</ol></div>", escape(stack.name))
    };
    format!("<div class=\"stacks\">{}</div>", joined(stacks.into_iter().map(one)))
}

fn asked(question: &str, choices: &str, below: &str) -> String {
    format!("<div class=\"box\"><p><b>{}</b></p>{choices}{below}</div>", escape(question))
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
    use tandem_lesson::Language;

    #[test]
    fn a_sheet_asks_and_gives_no_answer_away() {
        let text = "# <script>T</script>\n\nAbout.\n\n## S\n\nA [link](https://x/?a=\"b\") & more.\n\n```quiz\nq <b>?\n- [x] right\n- [ ] wrong\nwhy: secret\n```\n\n```explain\nhidden\n```\n";
        let lesson = tandem_lesson::parse("x", text).unwrap();
        let sheet = super::html(&lesson, Language::En, false);
        assert!(!sheet.contains("<script") && sheet.contains("&lt;script&gt;T"), "{sheet}");
        assert!(!sheet.contains("secret") && !sheet.contains("hidden"), "{sheet}");
        assert!(sheet.contains("☐ right") && sheet.contains("&amp; more"), "{sheet}");
        assert!(!sheet.contains("?a=\"b\""), "{sheet}");
        let teachers = super::html(&lesson, Language::En, true);
        assert!(teachers.contains("☒ right") && teachers.contains("☐ wrong"), "{teachers}");
        assert!(teachers.contains("secret") && teachers.contains("hidden"), "{teachers}");
        assert!(teachers.contains("<b>q &lt;b&gt;?</b>"), "{teachers}");
        let drawn = "# T\n\nAbout.\n\n## S\n\n```picture\narchitecture\n```\n";
        let drawn = super::html(&tandem_lesson::parse("x", drawn).unwrap(), Language::De, false);
        assert!(drawn.contains("<li>ein eigener Kernel</li><li>Hypervisor</li>"), "{drawn}");
        let german = super::html(&lesson, Language::De, false);
        assert!(german.contains("<html lang=\"de\">") && german.contains("Denn:"), "{german}");
    }
}
