use std::{process::Stdio, time::Duration};

use tandem_backend::{BackendError, WindowSize};
use tandem_model::{ExecSpec, InstanceRecord, InstanceState};
use tokio::time::timeout;

use super::{Source, Terminal, pty::Pty};
use crate::{App, AppError};

/// Finds the shell to open; `sh` is what every other one is looked up with.
const FIND: [&str; 3] = ["sh", "-c", "command -v bash || command -v sh"];

/// How long that may take: a machine is emulated, perhaps.
const LOOK: Duration = Duration::from_secs(30);

impl App {
    /// A shell in a terminal of its own, `bash` where there is one.
    pub(super) async fn open_shell(
        &self,
        instance: &str,
        size: WindowSize,
    ) -> Result<Terminal, AppError> {
        let record = self.inspect(instance)?;
        let name = record.spec.name.clone();
        check(&record)?;
        let shell = self.shell_of(&name).await?;
        let spec = ExecSpec {
            args: vec![shell.to_owned()],
            env: surroundings(&record.spec.env),
            terminal: true,
            stdin: true,
            ..ExecSpec::default()
        };
        let command = self.exec(&name, &spec).await?;
        let pty =
            Pty::start(command, size).map_err(|e| BackendError::engine("opening a terminal", e))?;
        let command = format!("tandem exec -it {name} {shell}");
        Ok(Terminal { command, source: Source::Shell(pty) })
    }

    async fn shell_of(&self, name: &str) -> Result<&'static str, AppError> {
        let spec = ExecSpec { args: FIND.map(str::to_owned).to_vec(), ..ExecSpec::default() };
        let mut command = tokio::process::Command::from(self.exec(name, &spec).await?);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let failed = |why: String| BackendError::engine("looking for a shell", why);
        let looked = timeout(LOOK, command.output()).await;
        let looked = looked.map_err(|_| failed("the instance does not answer".to_owned()))?;
        let looked = looked.map_err(|e| failed(e.to_string()))?;
        match looked.status.code() {
            Some(0) if looked.stdout.trim_ascii_end().ends_with(b"bash") => Ok("bash"),
            Some(0) => Ok("sh"),
            Some(126 | 127) => Err(BackendError::Unavailable {
                what: format!("a terminal in {name}"),
                why: "its image has no shell".to_owned(),
                fix: format!("`tandem logs {name}` shows what its app says"),
            }
            .into()),
            _ => {
                let said = String::from_utf8_lossy(&looked.stderr);
                let said = said.trim().trim_start_matches("tandem: ");
                Err(failed(said.to_owned()).into())
            }
        }
    }
}

fn check(record: &InstanceRecord) -> Result<(), BackendError> {
    let name = record.spec.name.clone();
    let (state, next) = match record.state {
        InstanceState::Running => return Ok(()),
        InstanceState::Paused => ("paused", format!("let it go on with `tandem unpause {name}`")),
        _ => ("not running", format!("start it first with `tandem start {name}`")),
    };
    Err(BackendError::WrongState { name, state, next })
}

/// What our terminal can do, and how it writes letters, unless the instance
/// has its own mind about those.
fn surroundings(own: &[String]) -> Vec<String> {
    let mut env = vec!["TERM=xterm-256color".to_owned(), "COLORTERM=truecolor".to_owned()];
    let decided = |entry: &String| {
        ["LANG=", "LC_ALL=", "LC_CTYPE="].iter().any(|name| entry.starts_with(name))
    };
    if !own.iter().any(decided) {
        env.push("LANG=C.UTF-8".to_owned());
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_keeps_its_own_language() {
        assert_eq!(surroundings(&[]).last().unwrap(), "LANG=C.UTF-8");
        let own = ["LC_ALL=de_DE.UTF-8".to_owned()];
        assert!(!surroundings(&own).iter().any(|entry| entry.starts_with("LANG")));
    }
}
