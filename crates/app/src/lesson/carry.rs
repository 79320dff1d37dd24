//! Doing a lesson's command: the `tandem` program itself, as if it was typed.

use std::{path::Path, process::Stdio, time::Duration};

use serde::Serialize;
use tandem_image::bootstrap::BaseKind;
use tandem_lesson::{Block, Command};
use tandem_model::ImageRef;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    process::Child,
    sync::mpsc::{UnboundedSender, unbounded_channel},
    time::timeout,
};

use super::{LessonProgress, Spot, block_at};
use crate::{App, AppError, Cancel};

/// How long a command may take to clean up after it was asked to stop.
const GRACE: Duration = Duration::from_secs(30);
/// A line that is longer is cut into pieces, bytes.
const LONGEST_LINE: u64 = 4096;

/// A line of a command's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct SaidBy {
    /// It came from standard error.
    pub error: bool,
    /// The line.
    pub text: String,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct CommandEnd {
    /// Its exit code.
    pub code: i32,
    /// How far the lesson is done now.
    pub progress: LessonProgress,
}

impl App {
    /// Runs a command of a run block. Cancelling ends it as Ctrl-C does.
    pub async fn run_lesson_command(
        &self,
        id: &str,
        spot: Spot,
        number: u32,
        say: &mut (dyn FnMut(SaidBy) + Send),
        cancel: &Cancel,
    ) -> Result<CommandEnd, AppError> {
        let lesson = self.read_lesson(id)?;
        let Block::Run { commands, any } = block_at(&lesson, spot)? else {
            return Err(AppError::Usage("there is no command here".to_owned()));
        };
        let Some(line) = commands.get(number as usize) else {
            return Err(AppError::Usage(format!("there are {} commands here", commands.len())));
        };
        let command: Command = line.parse().map_err(AppError::Usage)?;
        let folder = self.lesson_folder(id)?;
        let code = if let Some(there) = copied_already(&folder, &command) {
            let text = format!("{there} is there already: `tandem lesson reset {id}` begins anew");
            say(SaidBy { error: false, text });
            0
        } else if let Some(base) = self.base_of(&command) {
            let text = format!("{base} is there already: `{line}` makes it anew");
            say(SaidBy { error: false, text });
            0
        } else {
            self.carry(&folder, &command, say, cancel).await?
        };
        let wanted = if *any { 1 } else { commands.len() };
        let progress = self.change_progress(id, |progress| {
            if code != 0 {
                return;
            }
            let done = progress.at(spot);
            if !done.commands.contains(&number) {
                done.commands.push(number);
            }
            done.whole |= done.commands.len() >= wanted;
        })?;
        Ok(CommandEnd { code, progress })
    }

    /// The base that an `image bootstrap` would make, when it is here: a class
    /// without internet has brought it along.
    fn base_of(&self, command: &Command) -> Option<ImageRef> {
        let kind = match command.arguments.as_slice() {
            [image, make] if image == "image" && make == "bootstrap" => BaseKind::Python,
            [image, make, kind] if image == "image" && make == "bootstrap" => match kind.as_str() {
                "python" => BaseKind::Python,
                "debian" => BaseKind::Debian,
                _ => return None,
            },
            _ => return None,
        };
        self.base_here(kind)
    }

    async fn carry(
        &self,
        folder: &Path,
        command: &Command,
        say: &mut (dyn FnMut(SaidBy) + Send),
        cancel: &Cancel,
    ) -> Result<i32, AppError> {
        let mut child = tokio::process::Command::new(&self.program)
            .args(&command.arguments)
            .current_dir(folder)
            .env("TANDEM_HOME", self.home.root())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| AppError::io("run", &self.program, e))?;
        let (sender, mut lines) = unbounded_channel();
        let outputs = [
            child.stdout.take().map(|out| tokio::spawn(pass(out, false, sender.clone()))),
            child.stderr.take().map(|err| tokio::spawn(pass(err, true, sender))),
        ];
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line) => say(line),
                    None => break,
                },
                () = cancel.cancelled() => {
                    end(&mut child).await;
                    outputs.into_iter().flatten().for_each(|task| task.abort());
                    return Err(tandem_backend::BackendError::Cancelled.into());
                }
            }
        }
        let status = child.wait().await.map_err(|e| AppError::io("run", &self.program, e))?;
        Ok(status.code().unwrap_or(128))
    }
}

/// The folder that a `sample copy` would make, when it is there: a lesson is
/// done again on what was edited, not over it.
fn copied_already<'c>(folder: &Path, command: &'c Command) -> Option<&'c str> {
    match command.arguments.as_slice() {
        [sample, copy, _, to] if sample == "sample" && copy == "copy" => {
            folder.join(to).join("Dockerfile").is_file().then_some(to)
        }
        _ => None,
    }
}

/// Asks as Ctrl-C does, so that it cleans up, and insists later.
async fn end(child: &mut Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
    }
    if timeout(GRACE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

async fn pass(from: impl AsyncRead + Unpin, error: bool, to: UnboundedSender<SaidBy>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        // What has no line ends comes in pieces.
        let mut piece = (&mut from).take(LONGEST_LINE);
        if !piece.read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
            return;
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if to.send(SaidBy { error, text }).is_err() {
            return;
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_whole_and_what_has_none_in_pieces() {
        let long = "x".repeat(10_000);
        let text = format!("one\n{long}\nlast");
        let (sender, mut lines) = unbounded_channel();
        pass(text.as_bytes(), true, sender).await;
        let mut said = Vec::new();
        while let Some(line) = lines.recv().await {
            assert!(line.error && line.text.len() <= 4096);
            said.push(line.text);
        }
        assert_eq!((said[0].as_str(), said.last().unwrap().as_str()), ("one", "last"));
        assert_eq!(said[1..said.len() - 1].concat(), long);
    }
}
