use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    pty::openpty,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tandem_backend::WindowSize;
use tokio::{io::unix::AsyncFd, process::Child, time::timeout};

/// The most that is read at once, in bytes.
const PIECE: usize = 16 * 1024;
/// How long a shell may take to go when its terminal is closed.
const GOING: Duration = Duration::from_secs(2);

/// A program that runs in a pseudo-terminal of ours (pty(7)).
pub(super) struct Pty {
    keys: Keys,
    child: Child,
}

/// What is typed there.
#[derive(Clone)]
pub(super) struct Keys {
    master: Arc<AsyncFd<File>>,
    /// The program, as long as its number is its own.
    program: Arc<Mutex<Option<Pid>>>,
}

impl Pty {
    /// Starts the program in a new terminal of this size.
    pub(super) fn start(mut command: Command, size: WindowSize) -> io::Result<Self> {
        let pair = openpty(None, None)?;
        size.apply(&pair.slave)?;
        let master = File::from(pair.master);
        let flags = OFlag::from_bits_retain(fcntl(&master, FcntlArg::F_GETFL)?);
        fcntl(&master, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        fcntl(&master, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
        let stream = || pair.slave.try_clone().map(Stdio::from);
        command.stdin(stream()?).stdout(stream()?).stderr(stream()?);
        let mut command = tokio::process::Command::from(command);
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        // Ours would keep the terminal open beyond the program's end.
        drop((command, pair.slave));
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        // SAFETY: the value owns the descriptor and never gives it away.
        let master = Arc::new(unsafe { AsyncFd::register(master) }?);
        Ok(Self { keys: Keys { master, program: Arc::new(Mutex::new(pid)) }, child })
    }

    pub(super) fn keys(&self) -> Keys {
        self.keys.clone()
    }

    pub(super) async fn read(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; PIECE];
        loop {
            let mut ready = self.keys.master.readable().await.ok()?;
            match ready.try_io(|file| file.get_ref().read(&mut buffer)) {
                // The other side is closed, which reads as an error (EIO).
                Ok(Ok(0) | Err(_)) => return None,
                Ok(Ok(count)) => {
                    buffer.truncate(count);
                    return Some(buffer);
                }
                Err(_) => {}
            }
        }
    }

    /// The exit code, once the program has ended.
    pub(super) async fn code(mut self) -> Option<i32> {
        let ended = self.child.wait().await;
        self.keys.forget();
        ended.ok()?.code()
    }

    /// Tells the program that its terminal is gone, and kills it when it does
    /// not go by itself.
    pub(super) async fn hang_up(mut self) {
        self.keys.signal(Signal::SIGHUP);
        let gone = timeout(GOING, async {
            // What is written meanwhile must not hold the program up.
            while self.read().await.is_some() {}
            self.child.wait().await
        });
        if gone.await.is_err() {
            let _ = self.child.kill().await;
        }
        self.keys.forget();
    }
}

impl Keys {
    pub(super) async fn type_in(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Ok(mut ready) = self.master.writable().await else { return };
            match ready.try_io(|file| file.get_ref().write(bytes)) {
                Ok(Ok(count)) => bytes = &bytes[count..],
                Ok(Err(e)) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(_)) => return,
                Err(_) => {}
            }
        }
    }

    pub(super) fn resize(&self, size: WindowSize) {
        if size.apply(self.master.get_ref()).is_ok() {
            // The terminal is not the helper's own, so nobody else tells it.
            self.signal(Signal::SIGWINCH);
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = *self.lock() {
            let _ = kill(pid, signal);
        }
    }

    fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Pid>> {
        self.program.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: WindowSize = WindowSize { rows: 24, columns: 80 };

    fn script(text: &str) -> Pty {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        Pty::start(command, SIZE).unwrap()
    }

    async fn until(pty: &mut Pty, words: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(words) {
            let piece = timeout(Duration::from_secs(20), pty.read()).await.unwrap();
            seen.push_str(&String::from_utf8_lossy(&piece.expect("the end came first")));
        }
        seen
    }

    #[tokio::test]
    async fn what_is_typed_arrives_and_the_size_follows() {
        let mut pty = script("stty size; read word; stty size; exit 7");
        until(&mut pty, "24 80").await;
        pty.keys().resize(WindowSize { rows: 40, columns: 132 });
        pty.keys().type_in(b"go\r").await;
        until(&mut pty, "40 132").await;
        while pty.read().await.is_some() {}
        assert_eq!(pty.code().await, Some(7));
    }

    #[tokio::test]
    async fn a_flood_is_held_up_until_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let through = dir.path().join("through");
        let text = format!("head -c 1000000 /dev/zero; : > '{}'", through.display());
        let mut pty = script(&text);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!through.exists(), "somebody has taken in what nobody read");
        let mut count = 0;
        while let Some(piece) = pty.read().await {
            count += piece.len();
        }
        assert_eq!((count, pty.code().await, through.exists()), (1_000_000, Some(0), true));
    }

    #[tokio::test]
    async fn a_program_that_does_not_go_is_killed() {
        let mut pty = script("trap '' HUP; echo $$; while :; do sleep 0.1; done");
        let text = until(&mut pty, "\n").await;
        let process = format!("/proc/{}", text.trim());
        pty.hang_up().await;
        assert!(!std::path::Path::new(&process).exists());
    }
}
