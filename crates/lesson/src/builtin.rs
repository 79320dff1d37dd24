/// A lesson that comes with the program.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    /// Its id.
    pub id: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! lessons {
    ($($id:literal),+ $(,)?) => {
        /// The lessons that come with the program, in their order: the article
        /// from its first page to its table.
        pub const BUILTIN: &[Builtin] = &[
            $(Builtin { id: $id, text: include_str!(concat!("../lessons/", $id, ".md")) }),+
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

    #[test]
    fn every_lesson_is_whole() {
        for builtin in BUILTIN {
            let lesson = crate::parse(builtin.id, builtin.text).unwrap();
            assert!(lesson.summary.len() > 30, "{}", builtin.id);
            let tasks = lesson.steps.iter().flat_map(|step| &step.blocks);
            assert!(tasks.filter(|block| block.is_task()).count() > 2, "{}", builtin.id);
        }
    }
}
