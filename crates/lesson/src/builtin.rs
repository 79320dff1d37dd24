use crate::Language;

/// A lesson that comes with the program.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    /// Its id.
    pub id: &'static str,
    english: &'static str,
    german: &'static str,
}

impl Builtin {
    /// Its text. All languages have the same blocks, so that what was done in
    /// one is done in all.
    pub fn text(&self, language: Language) -> &'static str {
        match language {
            Language::En => self.english,
            Language::De => self.german,
        }
    }
}

macro_rules! lessons {
    ($($id:literal),+ $(,)?) => {
        /// The lessons that come with the program, in their order: the article
        /// from its first page to its table.
        pub const BUILTIN: &[Builtin] = &[
            $(Builtin {
                id: $id,
                english: include_str!(concat!("../lessons/", $id, ".md")),
                german: include_str!(concat!("../lessons/de/", $id, ".md")),
            }),+
        ];
    };
}

lessons! {
    "virtual-machines",
    "containers",
    "hello-flask",
    "changes",
    "postgres",
    "the-table",
    "which-when",
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Block, Lesson};

    #[test]
    fn every_lesson_is_whole() {
        for builtin in BUILTIN {
            for language in [Language::En, Language::De] {
                let lesson = crate::parse(builtin.id, builtin.text(language)).unwrap();
                assert!(lesson.summary.len() > 30, "{}", builtin.id);
                let tasks = lesson.steps.iter().flat_map(|step| &step.blocks);
                assert!(tasks.filter(|block| block.is_task()).count() > 2, "{}", builtin.id);
            }
        }
    }

    /// What must be the same in every language: all but the words.
    fn shape(block: &Block) -> String {
        match block {
            Block::Paragraph { .. } | Block::Note { .. } => {
                let note = matches!(block, Block::Note { .. });
                format!("{} {:?}", if note { "note" } else { "text" }, codes(block))
            }
            Block::List { ordered, items } => {
                let depths: Vec<u32> = items.iter().map(|item| item.depth).collect();
                format!("list {ordered} {depths:?} {:?}", codes(block))
            }
            Block::Table { header, rows } => {
                format!("table {} by {} {:?}", header.len(), rows.len(), codes(block))
            }
            Block::Predict { choices, .. } => format!("predict {}", choices.len()),
            Block::Quiz { choices, right, .. } => format!("quiz {} {right}", choices.len()),
            Block::Explain { text } => format!("explain {}", text.len()),
            Block::Code { .. }
            | Block::Run { .. }
            | Block::Check { .. }
            | Block::Result { .. }
            | Block::Picture { .. } => format!("{block:?}"),
        }
    }

    /// What is written as code, and where links lead.
    fn codes(block: &Block) -> Vec<String> {
        let spans = block.spans().into_iter();
        let mut codes: Vec<String> = spans
            .filter(|span| span.code || span.link.is_some())
            .map(|span| span.link.clone().unwrap_or_else(|| span.text.clone()))
            .collect();
        // Another language may name them in another order.
        codes.sort();
        codes
    }

    fn shapes(lesson: &Lesson) -> Vec<Vec<String>> {
        lesson.steps.iter().map(|step| step.blocks.iter().map(shape).collect()).collect()
    }

    #[test]
    fn every_language_has_the_same_blocks_and_its_own_words() {
        for builtin in BUILTIN {
            let english = crate::parse(builtin.id, builtin.text(Language::En)).unwrap();
            let german = crate::parse(builtin.id, builtin.text(Language::De)).unwrap();
            for (step, (one, other)) in shapes(&english).iter().zip(shapes(&german)).enumerate() {
                assert_eq!(*one, other, "{}, step {}", builtin.id, step + 1);
            }
            assert_eq!(english.steps.len(), german.steps.len(), "{}", builtin.id);
            assert_ne!(english.summary, german.summary, "{}", builtin.id);
            for (one, other) in english.steps.iter().zip(&german.steps) {
                let told = one.blocks.iter().any(|block| {
                    matches!(
                        block,
                        Block::Paragraph { .. } | Block::Quiz { .. } | Block::Predict { .. }
                    )
                });
                assert!(!told || one.blocks != other.blocks, "{}: {}", builtin.id, one.title);
            }
        }
    }
}
