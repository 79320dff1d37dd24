use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::BootstrapError;

/// A long-running program whose lines are passed on. It is the leader of a
/// process group that is ended, and waited for, when this is dropped.
pub(super) struct Child {
    process: std::process::Child,
    lines: Receiver<String>,
    reader: Option<JoinHandle<()>>,
}

/// Lines that tell a person nothing.
const NOISE: [&str; 2] = ["I: running --setup-hook", "W: Download is performed unsandboxed"];
/// What an ordinary user cannot mount, and nothing of a base needs.
const REFUSED: [&str; 2] = ["/sys: permission denied", "dmesg(1) may have more information"];
/// How often `cancelled` is asked.
const ASK: Duration = Duration::from_millis(100);
/// How long the program may take to clean up after itself.
const PATIENCE: Duration = Duration::from_secs(5);

impl Child {
    pub(super) fn spawn(mut command: Command) -> Result<Self, BootstrapError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let (read, write) =
            std::io::pipe().map_err(BootstrapError::io("make a pipe for", &program))?;
        let both = write.try_clone().map_err(BootstrapError::io("make a pipe for", &program))?;
        command.stdin(Stdio::null()).stdout(both).stderr(write).process_group(0);
        let process = command.spawn().map_err(BootstrapError::io("start", &program))?;
        // The command holds the pipe's other end open.
        drop(command);
        let (send, lines) = channel();
        let reader = std::thread::spawn(move || {
            let mut reader = BufReader::new(read);
            let mut line = Vec::new();
            // Programs rewrite their progress with carriage returns.
            while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(&line);
                let last = text.trim_end().rsplit('\r').next().unwrap_or_default().to_owned();
                line.clear();
                if !last.is_empty() && send.send(last).is_err() {
                    return;
                }
            }
        });
        Ok(Self { process, lines, reader: Some(reader) })
    }

    /// Passes lines on until the program ends.
    pub(super) fn run(
        mut self,
        on_line: &mut dyn FnMut(&str),
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), BootstrapError> {
        let (mut errors, mut last) = (Vec::new(), Vec::new());
        loop {
            if cancelled() {
                return Err(BootstrapError::Cancelled);
            }
            match self.lines.recv_timeout(ASK) {
                Ok(line) => {
                    let noise = NOISE.iter().any(|noise| line.starts_with(noise))
                        || REFUSED.iter().any(|refused| line.contains(refused));
                    if !noise {
                        on_line(&line);
                        keep(&mut last, &line);
                    }
                    if line.starts_with("E:") || line.contains("rror") {
                        keep(&mut errors, &line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                // All who could write are gone.
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.process.wait().map_err(BootstrapError::io("wait for", "mmdebstrap"))?;
        if status.success() {
            return Ok(());
        }
        let told = if errors.is_empty() { last } else { errors };
        let reason = format!("{status}: {}", told.join("; "));
        Err(BootstrapError::Failed { reason: reason.trim_end_matches([':', ' ']).to_owned() })
    }

    fn signal(&self, signal: Signal) {
        if let Ok(id) = i32::try_from(self.process.id())
            && let Some(group) = Pid::from_raw(id)
        {
            // It may have ended on its own.
            let _ = kill_process_group(group, signal);
        }
    }
}

/// Lines that a message has room for.
const KEPT: usize = 3;

/// Puts a line behind those before, of which the first goes where there are
/// too many.
fn keep(lines: &mut Vec<String>, line: &str) {
    if lines.len() == KEPT {
        lines.remove(0);
    }
    lines.push(line.to_owned());
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Ok(Some(_)) = self.process.try_wait() {
            return;
        }
        self.signal(Signal::TERM);
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.signal(Signal::KILL);
        let _ = self.process.wait();
        // The pipe closes when the last process of the namespace is gone, so
        // nobody writes into the scratch folder any more.
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Child::spawn(command).unwrap()
    }

    #[test]
    fn lines_and_errors_are_passed_on() {
        let mut lines = Vec::new();
        let script = "echo one; printf 'a\\rtwo\\n' >&2; echo E: no mirror >&2; exit 3";
        let error = sh(script).run(&mut |line| lines.push(line.to_owned()), &|| false).unwrap_err();
        assert_eq!(lines, ["one", "two", "E: no mirror"]);
        let text = error.to_string();
        assert!(text.contains("no mirror") && text.contains('3'), "{text}");
        let script = "for word in a b c d; do echo line $word; done; exit 4";
        let text = sh(script).run(&mut |_| (), &|| false).unwrap_err().to_string();
        assert!(text.contains("4: line b; line c; line d)"), "{text}");
    }

    #[test]
    fn cancelling_ends_the_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("late");
        let script = format!("(sleep 1; touch {0}) & sleep 60", file.display());
        let begun = Instant::now();
        let error = sh(&script).run(&mut |_| (), &|| true).unwrap_err();
        assert!(matches!(error, BootstrapError::Cancelled));
        assert!(begun.elapsed() < Duration::from_secs(4));
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!file.exists());
    }
}
