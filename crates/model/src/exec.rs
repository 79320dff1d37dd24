use serde::{Deserialize, Serialize};

/// A command to be executed in a running instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecSpec {
    /// Program and arguments; never empty.
    pub args: Vec<String>,
    /// `NAME=value` beyond the instance's own environment; a later one wins.
    pub env: Vec<String>,
    /// Absolute working directory; the instance's own when `None`.
    pub cwd: Option<String>,
    /// `USER[:GROUP]`; the instance's own when `None`.
    pub user: Option<String>,
    /// The command gets a terminal.
    pub terminal: bool,
    /// Standard input is passed on; else it is empty.
    pub stdin: bool,
    /// The command outlives the caller, without any of its streams.
    pub detach: bool,
}
