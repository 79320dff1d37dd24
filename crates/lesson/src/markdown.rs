//! Markdown to a lesson.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::{Block, Item, Lesson, Span, Step, directive::directive};

/// A lesson's text that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}, line {line}: {problem}")]
pub struct ParseLessonError {
    /// The lesson's id.
    pub name: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what was expected.
    pub problem: String,
}

/// Longer texts are no lessons, bytes.
const LONGEST: usize = 256 << 10;
/// Blocks of one lesson.
const MOST_BLOCKS: usize = 1000;
/// Items within items.
const DEEPEST: u32 = 8;

/// Reads a lesson.
///
/// # Errors
/// [`ParseLessonError`] with the line and what was expected there.
pub fn parse(id: &str, text: &str) -> Result<Lesson, ParseLessonError> {
    let mut reader = Reader::new(id, text);
    if text.len() > LONGEST {
        return Err(reader.fault(0, format!("it is longer than {} KiB", LONGEST >> 10)));
    }
    let options = Options::ENABLE_TABLES;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        reader.take(event, range.start)?;
    }
    reader.finish()
}

struct Reader<'t> {
    id: &'t str,
    source: &'t str,
    title: String,
    summary: Vec<Span>,
    steps: Vec<Step>,
    blocks: usize,
    /// Text that is being read.
    spans: Vec<Span>,
    look: Span,
    items: Vec<Item>,
    ordered: bool,
    depth: u32,
    quoted: bool,
    in_table: bool,
    cells: Vec<Vec<Span>>,
    rows: Vec<Vec<Vec<Span>>>,
    /// The fence's info, and where its text begins.
    fence: Option<(String, usize)>,
    code: String,
}

impl<'t> Reader<'t> {
    fn new(id: &'t str, source: &'t str) -> Self {
        Self {
            id,
            source,
            title: String::new(),
            summary: Vec::new(),
            steps: Vec::new(),
            blocks: 0,
            spans: Vec::new(),
            look: Span::default(),
            items: Vec::new(),
            ordered: false,
            depth: 0,
            quoted: false,
            in_table: false,
            cells: Vec::new(),
            rows: Vec::new(),
            fence: None,
            code: String::new(),
        }
    }

    fn fault(&self, at: usize, problem: impl Into<String>) -> ParseLessonError {
        let line = 1 + self.source.get(..at).unwrap_or_default().matches('\n').count();
        ParseLessonError { name: self.id.to_owned(), line, problem: problem.into() }
    }

    fn take(&mut self, event: Event<'_>, at: usize) -> Result<(), ParseLessonError> {
        match event {
            Event::Start(tag) => self.start(tag, at)?,
            Event::End(tag) => self.end(tag, at)?,
            Event::Text(text) if self.fence.is_some() => self.code.push_str(&text),
            // What would be markup elsewhere is text here.
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.put(&text),
            Event::Code(text) => {
                let before = std::mem::replace(&mut self.look.code, true);
                self.put(&text);
                self.look.code = before;
            }
            Event::SoftBreak | Event::HardBreak => self.put(" "),
            _ => {}
        }
        Ok(())
    }

    fn put(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.spans.last_mut() {
            Some(last) if Span { text: String::new(), ..last.clone() } == self.look => {
                last.text.push_str(text);
            }
            _ => self.spans.push(Span { text: text.to_owned(), ..self.look.clone() }),
        }
    }

    fn start(&mut self, tag: Tag<'_>, at: usize) -> Result<(), ParseLessonError> {
        match tag {
            Tag::Strong => self.look.strong = true,
            Tag::Emphasis => self.look.emphasis = true,
            Tag::Link { dest_url, .. } => {
                let web = ["https://", "http://"].iter().any(|it| dest_url.starts_with(it));
                self.look.link = web.then(|| dest_url.to_string());
            }
            Tag::List(first) => {
                self.end_item();
                if self.depth == 0 {
                    self.ordered = first.is_some();
                }
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(self.fault(at, "its lists lie too deep"));
                }
            }
            Tag::BlockQuote(_) => self.quoted = true,
            Tag::Table(_) => (self.in_table, self.rows) = (true, Vec::new()),
            Tag::CodeBlock(kind) => {
                let info = match kind {
                    CodeBlockKind::Fenced(info) => info.to_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.fence = Some((info, at));
                self.code.clear();
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, tag: TagEnd, at: usize) -> Result<(), ParseLessonError> {
        match tag {
            TagEnd::Strong => self.look.strong = false,
            TagEnd::Emphasis => self.look.emphasis = false,
            TagEnd::Link => self.look.link = None,
            TagEnd::Heading(level) => self.heading(level, at)?,
            TagEnd::Paragraph if self.depth == 0 => self.paragraph(at)?,
            TagEnd::HtmlBlock => self.paragraph(at)?,
            TagEnd::BlockQuote(_) => self.quoted = false,
            TagEnd::Item => self.end_item(),
            TagEnd::List(_) => {
                self.depth -= 1;
                if self.depth == 0 {
                    let items = std::mem::take(&mut self.items);
                    self.add(Block::List { ordered: self.ordered, items }, at)?;
                }
            }
            TagEnd::TableCell => self.cells.push(std::mem::take(&mut self.spans)),
            TagEnd::TableHead | TagEnd::TableRow => {
                self.rows.push(std::mem::take(&mut self.cells));
            }
            TagEnd::Table => {
                self.in_table = false;
                let mut rows = std::mem::take(&mut self.rows);
                if !rows.is_empty() {
                    let header = rows.remove(0);
                    self.add(Block::Table { header, rows }, at)?;
                }
            }
            TagEnd::CodeBlock => self.code_block()?,
            _ => {}
        }
        Ok(())
    }

    fn end_item(&mut self) {
        let text = std::mem::take(&mut self.spans);
        if self.depth > 0 && !text.is_empty() {
            self.items.push(Item { depth: self.depth - 1, text });
        }
    }

    fn heading(&mut self, level: HeadingLevel, at: usize) -> Result<(), ParseLessonError> {
        let text: String =
            std::mem::take(&mut self.spans).into_iter().map(|span| span.text).collect();
        match level {
            HeadingLevel::H1 if self.title.is_empty() && self.steps.is_empty() => self.title = text,
            HeadingLevel::H2 => self.steps.push(Step { title: text, blocks: Vec::new() }),
            HeadingLevel::H1 => {
                return Err(self.fault(at, "a lesson has one `# Title`: steps begin with `##`"));
            }
            _ => {
                let strong = Span { text, strong: true, ..Span::default() };
                self.add(Block::Paragraph { text: vec![strong] }, at)?;
            }
        }
        Ok(())
    }

    fn paragraph(&mut self, at: usize) -> Result<(), ParseLessonError> {
        let text = std::mem::take(&mut self.spans);
        if text.is_empty() {
            return Ok(());
        }
        if self.steps.is_empty() {
            self.summary.extend(text);
            return Ok(());
        }
        self.add(if self.quoted { Block::Note { text } } else { Block::Paragraph { text } }, at)
    }

    fn code_block(&mut self) -> Result<(), ParseLessonError> {
        let Some((info, at)) = self.fence.take() else { return Ok(()) };
        let text = std::mem::take(&mut self.code);
        let block = directive(&info, &text).map_err(|(line, problem)| {
            let mut fault = self.fault(at, problem);
            // The text may end with the line that begins the block.
            fault.line = (fault.line + line).min(self.source.lines().count());
            fault
        })?;
        let code = || Block::Code { language: info.clone(), text: text.trim_end().to_owned() };
        self.add(block.unwrap_or_else(code), at)
    }

    fn add(&mut self, block: Block, at: usize) -> Result<(), ParseLessonError> {
        self.blocks += 1;
        if self.blocks > MOST_BLOCKS {
            return Err(self.fault(at, format!("it has more than {MOST_BLOCKS} blocks")));
        }
        let Some(step) = self.steps.last_mut() else {
            return Err(self.fault(at, "this stands before the first step: begin one with `##`"));
        };
        step.blocks.push(block);
        Ok(())
    }

    fn finish(self) -> Result<Lesson, ParseLessonError> {
        if self.title.is_empty() {
            return Err(self.fault(0, "it has no title: begin it with `# Title`"));
        }
        if self.steps.is_empty() {
            return Err(self.fault(0, "it has no steps: begin each with `## Heading`"));
        }
        let summary = self.summary.into_iter().map(|span| span.text).collect();
        Ok(Lesson { id: self.id.to_owned(), title: self.title, summary, steps: self.steps })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "# A <b>title</b>\n\nWhat it *is* about.\n\n## One\n\nSome **bold** and `code`, [here](https://example.org) and [there](javascript:x).\n\n- a\n  - b\n- c\n\n> Mind this.\n\n```python\nprint(1)\n```\n\n## Two\n\n| A | B |\n|---|---|\n| 1 | 2 |\n\n```run any\ntandem ps\ntandem images\n```\n\n```check\nimage app\n```\n";

    #[test]
    fn a_lesson_is_read() {
        let lesson = parse("x", TEXT).unwrap();
        assert_eq!(lesson.title, "A <b>title</b>");
        assert_eq!(lesson.summary, "What it is about.");
        assert_eq!(lesson.steps.len(), 2);
        let [
            Block::Paragraph { text },
            Block::List { ordered: false, items },
            Block::Note { .. },
            Block::Code { language, .. },
        ] = &lesson.steps[0].blocks[..]
        else {
            panic!("{:?}", lesson.steps[0].blocks)
        };
        let bold = text.iter().find(|span| span.strong).unwrap();
        assert_eq!(bold.text, "bold");
        let links: Vec<_> = text.iter().filter_map(|span| span.link.as_deref()).collect();
        assert_eq!(links, ["https://example.org"]);
        assert_eq!(lesson.links().collect::<Vec<_>>(), links);
        let depths: Vec<_> = items.iter().map(|item| item.depth).collect();
        assert_eq!(depths, [0, 1, 0]);
        assert_eq!(language, "python");
        let [
            Block::Table { header, rows },
            Block::Run { commands, any: true },
            Block::Check { .. },
        ] = &lesson.steps[1].blocks[..]
        else {
            panic!("{:?}", lesson.steps[1].blocks)
        };
        assert_eq!((header.len(), rows.len(), commands.len()), (2, 1, 2));
    }

    #[test]
    fn faults_have_their_line() {
        for (text, line, words) in [
            ("", 1, "no title"),
            ("# T\n\ntext", 1, "no steps"),
            ("# T\n\n- x\n\n## S", 3, "before the first step"),
            ("# T\n\n## S\n\n# U", 5, "one `# Title`"),
            ("# T\n\n## S\n\n```run\ntandem ps\nrm x\n```", 7, "`rm` is not run"),
            ("# T\n\n## S\n\n```quiz\nq?\n```", 6, "two choices"),
            ("# T\n\n## S\n\n```run", 5, "nothing in it"),
        ] {
            let fault = parse("t", text).unwrap_err();
            assert!(fault.line == line && fault.problem.contains(words), "{text:?}: {fault}");
        }
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_refused() {
        let fault = |text: &str| parse("t", text).err().map_or(String::new(), |it| it.problem);
        let filled = |bytes: usize| format!("# T\n\nwhat\n\n## S\n\n{}", "x".repeat(bytes));
        assert_eq!(fault(&filled(9)), "");
        assert!(fault(&filled(LONGEST)).contains("longer than 256 KiB"));
        let nested = |deep: usize| {
            let items: Vec<_> = (0..deep).map(|at| "  ".repeat(at) + "- x\n").collect();
            format!("# T\n\nwhat\n\n## S\n\n{}", items.concat())
        };
        assert_eq!(fault(&nested(8)), "");
        assert!(fault(&nested(9)).contains("too deep"), "{}", fault(&nested(9)));
    }

    proptest! {
        #[test]
        fn no_text_is_fatal(text in "[#`\\- \\n>|\\[\\]()*_a-z:!<0-9]{0,400}") {
            let _ = parse("x", &text);
            let _ = parse("x", &format!("# T\n\n## S\n\n{text}"));
        }

        #[test]
        fn no_bytes_are_fatal(text in any::<String>()) {
            let _ = parse("x", &text);
        }
    }
}
