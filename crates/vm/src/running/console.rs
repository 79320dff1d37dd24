use std::{
    cell::RefCell,
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    rc::Rc,
    time::Duration,
};

use tandem_backend::BackendError;
use tokio::{io::AsyncReadExt as _, net::UnixStream, task::JoinHandle, time::timeout};

/// The most that is kept of a console, in bytes.
const MOST: u64 = 1 << 20;

/// How much of the end is at hand for a reason.
const TAIL: usize = 16 * 1024;

/// A serial console: written to a file up to a limit, read on to its end.
pub(crate) struct Console {
    tail: Rc<RefCell<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Console {
    /// Keeps what comes from `source` in the file at `path`, replacing what it
    /// held.
    pub(crate) fn keep(source: UnixStream, path: &Path) -> Result<Self, BackendError> {
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
        let file = file.map_err(|e| BackendError::io("open the log", path, e))?;
        let tail = Rc::new(RefCell::new(Vec::new()));
        let task = tokio::task::spawn_local(copy(source, file, Rc::clone(&tail)));
        Ok(Self { tail, task })
    }

    /// Why a machine ended: what `said` tells, or else the console's last
    /// lines.
    pub(crate) async fn reason(mut self, said: &str) -> String {
        let _ = timeout(Duration::from_millis(500), &mut self.task).await;
        let tail = self.tail.borrow();
        let text = String::from_utf8_lossy(&tail);
        let panic = text.lines().find_map(|line| line.split_once("Kernel panic - "));
        let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
        let line = panic.map(|(_, rest)| format!("kernel panic, {rest}"));
        let line = line.or_else(|| last.map(str::to_owned));
        match (said, line) {
            ("", None) => "the machine switched itself off".to_owned(),
            ("", Some(line)) => format!("its console ends with `{}`", printable(&line)),
            (said, None) => said.to_owned(),
            (said, Some(line)) => format!("{said}; its console ends with `{}`", printable(&line)),
        }
    }
}

/// What a guest writes goes to somebody's terminal: no control characters.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

async fn copy(mut source: UnixStream, mut file: File, tail: Rc<RefCell<Vec<u8>>>) {
    let mut buffer = [0; 4096];
    let mut room = MOST;
    while let Ok(count @ 1..) = source.read(&mut buffer).await {
        let bytes = &buffer[..count];
        let kept = usize::try_from(room).unwrap_or(usize::MAX).min(count);
        // A full disk loses log lines, never the machine.
        let _ = file.write_all(&bytes[..kept]);
        room -= kept as u64;
        if room == 0 && kept > 0 {
            let _ = file.write_all(b"\n[the rest was not kept]\n");
        }
        let mut tail = tail.borrow_mut();
        tail.extend_from_slice(bytes);
        let surplus = tail.len().saturating_sub(TAIL);
        tail.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn a_flood_is_read_and_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console.log");
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let local = tokio::task::LocalSet::new();
        let reason = local.run_until(async {
            let console = Console::keep(ours, &path).unwrap();
            for _ in 0..40 {
                theirs.write_all(&vec![b'x'; 64 * 1024]).await.unwrap();
            }
            theirs
                .write_all(b"\n[ 1.0] Kernel panic - not syncing: \x1b[31mbad\nend\n")
                .await
                .unwrap();
            drop(theirs);
            console.reason("").await
        });
        let reason = reason.await;
        assert_eq!(reason, "its console ends with `kernel panic, not syncing: [31mbad`");
        let kept = std::fs::metadata(&path).unwrap().len();
        assert!((MOST..MOST + 100).contains(&kept), "{kept}");
    }
}
