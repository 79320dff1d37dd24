use std::{
    cell::RefCell,
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    rc::Rc,
    time::Duration,
};

use tandem_backend::{BackendError, Serve};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, broadcast},
    task::JoinHandle,
    time::timeout,
};

/// The most that is kept of a console, in bytes.
const MOST: u64 = 1 << 20;

/// How much of the end is at hand for a reason, and for whoever looks in.
const TAIL: usize = 16 * 1024;

/// Pieces that somebody who looks in may be behind; then some are left out.
const PIECES: usize = 64;

/// A serial console: written to a file up to a limit, read on to its end, and
/// open to people who look in.
pub(crate) struct Console {
    tail: Rc<RefCell<Vec<u8>>>,
    door: Door,
    task: JoinHandle<()>,
}

/// A way in for people. It closes with the machine.
#[derive(Clone)]
pub(crate) struct Door {
    tail: Rc<RefCell<Vec<u8>>>,
    pieces: broadcast::WeakSender<Rc<[u8]>>,
    writer: Rc<Mutex<OwnedWriteHalf>>,
}

impl Console {
    /// Keeps what comes from `source` in the file at `path`, replacing what it
    /// held.
    pub(crate) fn keep(source: UnixStream, path: &Path) -> Result<Self, BackendError> {
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
        let file = file.map_err(|e| BackendError::io("open the log", path, e))?;
        let tail = Rc::new(RefCell::new(Vec::new()));
        let (reader, writer) = source.into_split();
        let (sender, _) = broadcast::channel(PIECES);
        let door = Door {
            tail: Rc::clone(&tail),
            pieces: sender.downgrade(),
            writer: Rc::new(Mutex::new(writer)),
        };
        let task = tokio::task::spawn_local(copy(reader, file, Rc::clone(&tail), sender));
        Ok(Self { tail, door, task })
    }

    /// A way in for people.
    pub(crate) fn door(&self) -> Door {
        self.door.clone()
    }

    /// What a kernel that gave up has said last, once QEMU has ended.
    pub(crate) async fn panic(&mut self) -> Option<String> {
        self.heard_out().await;
        panic(&String::from_utf8_lossy(&self.tail.borrow()))
    }

    async fn heard_out(&mut self) {
        if !self.task.is_finished() {
            let _ = timeout(Duration::from_millis(500), &mut self.task).await;
        }
    }

    /// Why a machine ended: what `said` tells, or else the console's last
    /// lines.
    pub(crate) async fn reason(&mut self, said: &str) -> String {
        self.heard_out().await;
        let tail = self.tail.borrow();
        let text = String::from_utf8_lossy(&tail);
        let panic = panic(&text);
        let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
        match (said, panic, last) {
            (_, Some(panic), _) => panic,
            ("", None, None) => "the machine switched itself off".to_owned(),
            ("", None, Some(line)) => format!("its console ends with `{}`", printable(line)),
            (said, None, None) => said.to_owned(),
            (said, None, Some(line)) => {
                format!("{said}; its console ends with `{}`", printable(line))
            }
        }
    }
}

/// How many lines before a panic are told with it.
const BEFORE: usize = 2;

/// What a kernel that gave up has said last, as the end of a sentence; `None`
/// when it did not give up, or another was booted since.
fn panic(text: &str) -> Option<String> {
    const MARK: &str = "Kernel panic - ";
    const BOOT: &str = "Linux version ";
    let text = text.rsplit_once(BOOT).map_or(text, |(_, since)| since);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let at = lines.iter().position(|line| line.contains(MARK))?;
    let (_, reason) = lines[at].split_once(MARK)?;
    let before: Vec<String> = lines[at.saturating_sub(BEFORE)..at]
        .iter()
        .map(|line| format!("`{}`", printable(without_time(line))))
        .collect();
    let before =
        if before.is_empty() { String::new() } else { format!(" after {}", before.join(" and ")) };
    Some(format!(
        "its kernel panicked ({}){before}; `tandem logs --boot` shows its last lines",
        printable(reason)
    ))
}

/// A kernel's line without the seconds since its start.
fn without_time(line: &str) -> &str {
    let stamped = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    let is_time = |text: &str| text.trim().bytes().all(|b| b.is_ascii_digit() || b == b'.');
    stamped.filter(|(time, _)| is_time(time)).map_or(line, |(_, rest)| rest)
}

/// What a guest writes goes to somebody's terminal: no control characters.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

async fn copy(
    mut source: OwnedReadHalf,
    mut file: File,
    tail: Rc<RefCell<Vec<u8>>>,
    pieces: broadcast::Sender<Rc<[u8]>>,
) {
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
        // Nobody looks in: that is the usual case.
        let _ = pieces.send(bytes.into());
    }
}

impl Door {
    /// Serves somebody who looks in: what the console said lately, what it
    /// says from now on, and what they type.
    pub(crate) fn serve(self) -> Result<Serve, BackendError> {
        let gone = || BackendError::engine("the console", "the machine has ended");
        let pieces = self.pieces.upgrade().ok_or_else(gone)?.subscribe();
        Ok(Box::new(|stream| drop(tokio::task::spawn_local(self.look_in(pieces, stream)))))
    }

    async fn look_in(self, pieces: broadcast::Receiver<Rc<[u8]>>, stream: UnixStream) {
        let Self { tail, writer, .. } = self;
        let (mut typed, mut shown) = stream.into_split();
        let before = tail.borrow().clone();
        let show = async {
            shown.write_all(&before).await?;
            show(pieces, &mut shown).await
        };
        let type_in = async {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = typed.read(&mut buffer).await {
                // A guest that does not read holds up those who type, only.
                if writer.lock().await.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! { _ = show => {}, () = type_in => {} }
    }
}

async fn show(
    mut pieces: broadcast::Receiver<Rc<[u8]>>,
    shown: &mut OwnedWriteHalf,
) -> std::io::Result<()> {
    loop {
        match pieces.recv().await {
            Ok(piece) => shown.write_all(&piece).await?,
            Err(broadcast::error::RecvError::Lagged(_)) => {
                shown.write_all(b"\r\n[some was left out]\r\n").await?;
            }
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_is_read_and_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console.log");
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let local = tokio::task::LocalSet::new();
        let reason = local.run_until(async {
            let mut console = Console::keep(ours, &path).unwrap();
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
        assert!(reason.starts_with("its kernel panicked (not syncing: [31mbad)"), "{reason}");
        let kept = std::fs::metadata(&path).unwrap().len();
        assert!((MOST..MOST + 100).contains(&kept), "{kept}");
        assert!(std::fs::read(&path).unwrap().ends_with(b"[the rest was not kept]\n"));
    }

    #[test]
    fn a_panic_is_told_with_the_lines_before_it() {
        let text = "[    1.0] one\r\n[    1.5] VFS: Cannot open root device\r\n[    1.6] Please append\r\n\
                    [    1.7] Kernel panic - not syncing: VFS: no root\r\n[    1.8] CPU: 0\r\n";
        let said = panic(text).unwrap();
        assert_eq!(
            said,
            "its kernel panicked (not syncing: VFS: no root) after `VFS: Cannot open root device` and `Please append`; `tandem logs --boot` shows its last lines"
        );
        assert!(panic("[ 1.0] Kernel panic - x").unwrap().contains("(x);"));
        assert_eq!(panic("Kernel pan"), None);
        assert_eq!(panic(&format!("{text}[    0.0] Linux version 6.1\r\nlogin: ")), None);
        assert_eq!(without_time("[drm] fine"), "[drm] fine");
    }

    #[tokio::test]
    async fn somebody_who_looks_in_sees_what_was_said_and_types() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let local = tokio::task::LocalSet::new();
        let looked = local.run_until(async {
            let console = Console::keep(ours, &dir.path().join("console.log")).unwrap();
            theirs.write_all(b"login: ").await.unwrap();
            while console.tail.borrow().len() < 7 {
                tokio::task::yield_now().await;
            }
            let (mut person, stream) = UnixStream::pair().unwrap();
            (console.door().serve().unwrap())(stream);
            person.write_all(b"root\r").await.unwrap();
            let (mut seen, mut typed) = ([0; 7], [0; 5]);
            person.read_exact(&mut seen).await.unwrap();
            theirs.read_exact(&mut typed).await.unwrap();
            theirs.write_all(b"password: ").await.unwrap();
            let mut more = [0; 10];
            person.read_exact(&mut more).await.unwrap();
            assert_eq!((&seen, &typed, &more), (b"login: ", b"root\r", b"password: "));
            let door = console.door();
            drop(theirs);
            console.task.await.unwrap();
            let mut rest = Vec::new();
            person.read_to_end(&mut rest).await.unwrap();
            assert!(rest.is_empty() && door.serve().is_err(), "it closes with the machine");
        });
        looked.await;
    }
}
