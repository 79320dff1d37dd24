//! What a machine's agent can do beside executing programs of the image.

use tandem_guest::wire::{FILES, PROCESSES, STATS};
use tandem_model::ExecSpec;

pub use tandem_guest::wire::{GuestStats, Process as GuestProcess};

/// One of the agent's own tools, executed like a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestTool {
    /// Reads and writes files: a line of JSON `{"task": …}` in, an answer line
    /// out, and an archive one way or the other.
    Files,
    /// Lists processes, a [`GuestProcess`] as JSON in each line.
    Processes,
    /// Tells what the machine uses, one line of [`GuestStats`] as JSON.
    Stats,
}

impl GuestTool {
    /// The command that is this tool.
    pub fn command(self) -> ExecSpec {
        let name = match self {
            Self::Files => FILES,
            Self::Processes => PROCESSES,
            Self::Stats => STATS,
        };
        ExecSpec {
            args: vec![name.to_owned()],
            cwd: Some("/".to_owned()),
            user: Some("0".to_owned()),
            stdin: self == Self::Files,
            ..ExecSpec::default()
        }
    }
}
