use std::{fmt, time::Duration};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// What a finished command said.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command as typed.
    pub command: String,
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// From its start to its end.
    pub elapsed: Duration,
}

impl Output {
    /// The output, if the command ended with code 0.
    pub fn ok(self) -> Result<Self> {
        self.code_is(0)
    }

    /// The output, if the command ended with this code.
    pub fn code_is(self, code: i32) -> Result<Self> {
        if self.code != Some(code) {
            bail!("expected exit code {code}\n{self}");
        }
        Ok(self)
    }

    /// The one JSON document on standard output.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("not one JSON document\n{self}"))
    }

    /// Standard output without the white space around it.
    pub fn line(&self) -> &str {
        self.stdout.trim()
    }

    /// An error that a person can act on: exactly one line on standard error,
    /// nothing on standard output, every one of `words` in it.
    pub fn is_one_sentence(&self, words: &[&str]) -> Result<()> {
        let lines = self.stderr.trim().lines().count();
        if lines != 1 || !self.stdout.is_empty() {
            bail!("expected one sentence on standard error\n{self}");
        }
        self.says(words)
    }

    /// Standard error has every one of `words`.
    pub fn says(&self, words: &[&str]) -> Result<()> {
        if let Some(word) = words.iter().find(|word| !self.stderr.contains(**word)) {
            bail!("`{word}` is not in the message\n{self}");
        }
        Ok(())
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map_or("a signal".into(), |code| code.to_string());
        write!(
            f,
            "$ {}\nended with {code} after {:.1} s\n-- stdout\n{}\n-- stderr\n{}",
            self.command,
            self.elapsed.as_secs_f64(),
            self.stdout.trim_end(),
            self.stderr.trim_end()
        )
    }
}
