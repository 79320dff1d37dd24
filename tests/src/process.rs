//! Running one command to its end, with a limit and without losing output.

use std::{
    io::Read,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::Output;

/// Runs a command to its end within `limit`.
pub(crate) fn run(mut command: Command, limit: Duration) -> Result<Output> {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let text = words.join(" ");
    let begin = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{text}`: run `cargo xtask test e2e`"))?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());

    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if begin.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let elapsed = begin.elapsed();
    let (stdout, stdout_held) = stdout.text();
    let (stderr, stderr_held) = stderr.text();
    let code = status.and_then(|status| status.code());
    let output = Output { command: text, code, stdout, stderr, elapsed };
    if status.is_none() {
        bail!("killed after its time limit of {} s\n{output}", limit.as_secs());
    }
    if stdout_held || stderr_held {
        bail!("the command ended, but a process that it left holds its output open\n{output}");
    }
    Ok(output)
}

/// Bytes of a pipe, as they are read by a thread of their own.
struct Collected {
    chunks: mpsc::Receiver<Vec<u8>>,
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> Collected {
    let (send, chunks) = mpsc::channel();
    thread::spawn(move || {
        let Some(mut pipe) = pipe else { return };
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            if send.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    Collected { chunks }
}

impl Collected {
    /// The text, and whether the pipe is still open two seconds later.
    fn text(self) -> (String, bool) {
        let deadline = Instant::now() + Duration::from_secs(2);
        let mut bytes = Vec::new();
        let held = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.chunks.recv_timeout(left) {
                Ok(chunk) => bytes.extend(chunk),
                Err(mpsc::RecvTimeoutError::Disconnected) => break false,
                Err(mpsc::RecvTimeoutError::Timeout) => break true,
            }
        };
        (String::from_utf8_lossy(&bytes).into_owned(), held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<Output> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, limit)
    }

    #[test]
    fn a_command_is_heard_whole() {
        let output = shell("echo out; echo err >&2; exit 3", Duration::from_mins(1)).unwrap();
        assert_eq!(
            (output.code, output.stdout.as_str(), output.stderr.as_str()),
            (Some(3), "out\n", "err\n")
        );
        assert!(output.clone().ok().is_err());
        assert!(output.code_is(3).is_ok());
    }

    #[test]
    fn a_hanging_command_is_killed_and_is_an_error() {
        let error = shell("echo begun; exec sleep 60", Duration::from_millis(200)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("time limit") && text.contains("begun"), "{text}");
    }

    #[test]
    fn a_child_that_keeps_the_output_open_is_found() {
        let error = shell("sleep 4 & exit 0", Duration::from_mins(1)).unwrap_err();
        assert!(error.to_string().contains("holds its output open"), "{error}");
    }
}
