//! A build as text.

use std::{collections::BTreeMap, io::IsTerminal as _};

use tandem_build::BuildEvent;
use tandem_report::{format_bytes, format_duration};

use super::{super::Context, screen::Live};
use crate::{
    grammar::Progress,
    output::{plain, tell},
};

/// Writes what happens to standard error.
pub(super) struct Log<'a> {
    context: &'a Context,
    progress: Progress,
    /// What each step that runs is called.
    steps: BTreeMap<u32, String>,
    /// The step that the last line belongs to.
    last: u32,
    /// In place of lines, where somebody looks on.
    live: Option<Live>,
}

impl<'a> Log<'a> {
    pub(super) fn new(context: &'a Context, progress: Progress) -> Self {
        let seen = progress == Progress::Auto && !context.quiet && std::io::stderr().is_terminal();
        let able = std::env::var_os("TERM").is_none_or(|name| name != "dumb");
        let live = (seen && able).then(|| Live::new(context.color));
        Self { context, progress, steps: BTreeMap::new(), last: 0, live }
    }

    pub(super) fn write(&mut self, event: &BuildEvent) {
        if self.progress == Progress::Json {
            tell(&serde_json::to_string(event).unwrap_or_default());
            return;
        }
        if let Some(live) = &self.live {
            live.tell(event);
            return;
        }
        match event {
            BuildEvent::StepStarted { index, total, instruction, .. } => {
                let name = format!("[{index}/{total}] {}", plain(instruction));
                self.context.say(&name);
                self.steps.insert(*index, name);
                self.last = *index;
            }
            BuildEvent::StepCached { index } => self.ended(*index, "cached"),
            BuildEvent::Output { index, line, .. } => self.line(*index, &plain(line)),
            BuildEvent::Substituted(it) => {
                let (to, from) = (plain(&it.to), plain(&it.from));
                self.context.say(&format!("tandem: {to} stands in for {from}"));
            }
            BuildEvent::Warning { message, .. } => {
                self.context.say(&format!("warning: {}", plain(message)));
            }
            BuildEvent::StepFinished { index, elapsed_ns, bytes } => {
                let mut text = format!("done in {}", format_duration(*elapsed_ns));
                if *bytes > 0 {
                    text = format!("{text}, {}", format_bytes(*bytes));
                }
                self.ended(*index, &text);
            }
            BuildEvent::Done { .. } => {}
        }
    }

    /// A line of a step; of another than the last one, under its name again.
    fn line(&mut self, index: u32, text: &str) {
        if index != self.last {
            if let Some(name) = self.steps.get(&index) {
                self.context.say(name);
            }
            self.last = index;
        }
        self.context.say(&format!("      {text}"));
    }

    fn ended(&mut self, index: u32, text: &str) {
        self.line(index, text);
        self.steps.remove(&index);
    }
}
