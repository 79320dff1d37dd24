use std::{net::SocketAddr, process::Command, time::Duration};

use anyhow::Result;

use crate::{Output, process};

/// How long one command of an engine may take beside the clock.
const LIMIT: Duration = Duration::from_mins(5);

/// Somebody with Docker's command line: the verbs and options used here mean
/// the same everywhere.
pub(crate) trait Engine {
    /// A command of it, verb first.
    fn command(&self, words: &[&str]) -> Command;

    /// Options of `run` that choose the lane.
    fn lane(&self) -> &'static [&'static str] {
        &[]
    }

    /// What to give to `-p` for port 8080 inside, and where that answers.
    fn publish(&self) -> Result<(String, SocketAddr)>;

    /// The processes that stand by a container of this name while it runs.
    fn keepers(&self, container: &str) -> Result<Vec<u32>>;

    /// Whether a virtual machine runs the image.
    fn is_machine(&self) -> bool {
        false
    }

    /// Runs a command of it to its successful end.
    fn call(&self, words: &[&str]) -> Result<Output> {
        process::run(self.command(words), LIMIT)?.ok()
    }

    /// A `run` command: options of the lane, then these words.
    fn run_command(&self, words: &[&str]) -> Command {
        self.command(&[&["run"], self.lane(), words].concat())
    }
}

/// A container that is removed with the value, whatever state it is in.
pub(crate) struct Running<'a> {
    engine: &'a dyn Engine,
    name: &'a str,
}

impl<'a> Running<'a> {
    /// Runs a container of this name in the background.
    pub(crate) fn start(engine: &'a dyn Engine, name: &'a str, words: &[&str]) -> Result<Self> {
        let own = Self { engine, name };
        let words = [&["-d", "--name", name][..], words].concat();
        process::run(engine.run_command(&words), LIMIT)?.ok()?;
        Ok(own)
    }

    /// Removes it and says when that failed.
    pub(crate) fn end(self) -> Result<()> {
        let (engine, name) = (self.engine, self.name);
        std::mem::forget(self);
        engine.call(&["rm", "-f", name]).map(drop)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // After an error: what is not there cannot be removed.
        let _ = self.engine.call(&["rm", "-f", self.name]);
    }
}
