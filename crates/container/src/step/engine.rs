use std::{
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    path::PathBuf,
    process::Stdio,
    sync::OnceLock,
};

use async_trait::async_trait;
use tandem_backend::{BackendError, StepRunner, StepSpec, Stream};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    process::{Child, Command},
};

use super::{Answer, Request, STEP};
use crate::confine::Filter;

/// Runs build steps, each in a fresh helper process.
#[derive(Debug, Clone)]
pub struct StepEngine {
    program: PathBuf,
    filter: OnceLock<Filter>,
}

impl StepEngine {
    /// A runner that starts helpers with `program`, the `tandem` executable.
    pub fn new(program: PathBuf) -> Self {
        Self { program, filter: OnceLock::new() }
    }

    fn filter(&self) -> Result<Filter, BackendError> {
        if let Some(filter) = self.filter.get() {
            return Ok(filter.clone());
        }
        let made = Filter::default_profile()
            .map_err(|e| BackendError::engine("the system call filter", e))?;
        Ok(self.filter.get_or_init(|| made).clone())
    }

    fn spawn(&self) -> Result<(Child, UnixStream), BackendError> {
        let failed = |e| BackendError::io("start", &self.program, e);
        let (ours, theirs) = StdUnixStream::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let child = Command::new(&self.program)
            .arg(STEP)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // The helper's end takes the command and its mounts along.
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        Ok((child, UnixStream::from_std(ours).map_err(failed)?))
    }
}

#[async_trait]
impl StepRunner for StepEngine {
    fn refusal(&self, architecture: &str) -> Option<String> {
        tandem_probe::foreign(architecture).reason()
    }

    async fn run_step(
        &self,
        step: &StepSpec,
        output: &mut (dyn for<'l> FnMut(Stream, &'l str) + Send),
    ) -> Result<i32, BackendError> {
        let lost = || BackendError::engine("the build step", "its helper process ended early");
        let (mut child, mut socket) = self.spawn()?;
        let request = Request { step, filter: self.filter()? };
        let mut request =
            serde_json::to_vec(&request).map_err(|e| BackendError::engine("the build step", e))?;
        request.push(b'\n');
        socket.write_all(&request).await.map_err(|_| lost())?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(lost());
        };
        let (mut stdout, mut stderr) = (Lines::new(stdout), Lines::new(stderr));
        loop {
            tokio::select! {
                Some(line) = stdout.next() => output(Stream::Stdout, &line),
                Some(line) = stderr.next() => output(Stream::Stderr, &line),
                else => break,
            }
        }
        let mut answer = String::new();
        let mut reader = BufReader::new(socket);
        reader.read_line(&mut answer).await.map_err(|_| lost())?;
        let _ = child.wait().await;
        match serde_json::from_str(&answer).map_err(|_| lost())? {
            Answer::Ended(code) => Ok(code),
            Answer::Failed(failure) => Err(failure.into()),
        }
    }
}

/// The longest line that is kept whole, bytes.
const LONGEST: u64 = 64 * 1024;

/// Lines of a stream; `next` may be dropped half-way and loses nothing.
struct Lines<R> {
    reader: Option<BufReader<R>>,
    pending: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(stream: R) -> Self {
        Self { reader: Some(BufReader::new(stream)), pending: Vec::new() }
    }

    /// The next line without its end; `None` at the end of the stream.
    async fn next(&mut self) -> Option<String> {
        let reader = self.reader.as_mut()?;
        let room = LONGEST - self.pending.len() as u64;
        let read = reader.take(room).read_until(b'\n', &mut self.pending).await;
        let ended = !matches!(read, Ok(count) if count > 0);
        if ended {
            self.reader = None;
            if self.pending.is_empty() {
                return None;
            }
        }
        let line = std::mem::take(&mut self.pending);
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_cut_at_the_limit_and_the_last_needs_no_end() {
        let long = "x".repeat(usize::try_from(LONGEST).unwrap() + 3);
        let text = format!("one\n\n{long}\nlast");
        let mut lines = Lines::new(text.as_bytes());
        let mut found = Vec::new();
        while let Some(line) = lines.next().await {
            found.push(line);
        }
        assert_eq!(found[..2], ["one", ""]);
        assert_eq!(found[2].len() + found[3].len(), long.len());
        assert_eq!(found[4], "last");
    }
}
