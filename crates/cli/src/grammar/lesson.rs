use std::path::PathBuf;

use clap::{
    Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use tandem_lesson::Language;

use super::Json;

/// `tandem lesson …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Lesson {
    /// List the lessons and how far each is done
    Ls(Json),
    /// Print a lesson
    Show {
        /// The lesson
        id: String,
        #[command(flatten)]
        json: Json,
    },
    /// Do a lesson: run its commands and look its checks up
    Run {
        /// The lesson
        id: String,
        /// Only this step
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
        step: Option<u32>,
        /// Run no command, only look the checks up
        #[arg(long)]
        check: bool,
    },
    /// Forget how far lessons are done, and empty their folders
    Reset {
        /// The lessons
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Write a worksheet to print, as HTML
    #[command(visible_alias = "worksheet")]
    Export {
        /// The lesson
        id: String,
        /// With the answers and explanations, for the teacher
        #[arg(long)]
        answers: bool,
        /// The language, where the lesson has it
        #[arg(long, value_name = "TAG", default_value = "en", value_parser = language())]
        language: Language,
        /// The file; - is standard output
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
}

fn language() -> impl TypedValueParser<Value = Language> {
    let all = [Language::En, Language::De];
    PossibleValuesParser::new(all.map(Language::tag))
        .map(move |tag| all.into_iter().find(|it| it.tag() == tag).unwrap_or_default())
}
