use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use rustix::io::ioctl_fionbio;
use tandem_backend::WindowSize;
use tokio::io::{AsyncRead, ReadBuf, unix::AsyncFd};

/// Our side of an app's terminal (pty(7)).
#[derive(Debug)]
pub(crate) struct Terminal {
    master: AsyncFd<OwnedFd>,
}

/// Reads what the app writes. It ends, with an error, when nobody inside has
/// the terminal open any more.
#[derive(Debug)]
pub(crate) struct TerminalReader(Rc<Terminal>);

impl Terminal {
    pub(super) fn new(master: OwnedFd) -> io::Result<Self> {
        ioctl_fionbio(&master, true)?;
        // SAFETY: an owned descriptor names the same open file as long as it
        // lives, and it lives inside the `AsyncFd`.
        let master = unsafe { AsyncFd::register(master) }.map_err(|e| e.into_parts().1)?;
        Ok(Self { master })
    }

    pub(super) fn reader(self: &Rc<Self>) -> TerminalReader {
        TerminalReader(self.clone())
    }

    /// Gives the terminal a size; whoever runs in it gets SIGWINCH.
    pub(crate) fn resize(&self, size: WindowSize) -> io::Result<()> {
        size.apply(self.master.get_ref())
    }

    /// Types all of it.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.master.writable().await?;
            match ready.try_io(|master| Ok(rustix::io::write(master.get_ref(), bytes)?)) {
                Ok(Ok(count)) => bytes = &bytes[count..],
                Ok(Err(e)) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
                Ok(Err(_)) | Err(_) => {}
            }
        }
        Ok(())
    }
}

impl AsyncRead for TerminalReader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.master.poll_read_ready(context))?;
            let read = |master: &AsyncFd<OwnedFd>| {
                Ok(rustix::io::read(master.get_ref(), buffer.initialize_unfilled())?)
            };
            match ready.try_io(read) {
                Ok(Ok(count)) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(e)) if e.kind() != io::ErrorKind::Interrupted => {
                    return Poll::Ready(Err(e));
                }
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }
}

/// The app's side of a terminal, opened through ours, so that no path can
/// lead elsewhere (ioctl_tty(2)).
pub(crate) fn peer_of(master: impl AsFd) -> io::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: takes a number and returns a descriptor.
    let peer = unsafe { libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCGPTPEER, flags) };
    if peer < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(peer) })
}

#[cfg(test)]
mod tests {
    use nix::{
        pty::openpty,
        sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr},
    };
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn much_goes_through_in_both_directions() {
        let pty = openpty(None, None).unwrap();
        let mut raw = tcgetattr(&pty.slave).unwrap();
        cfmakeraw(&mut raw);
        tcsetattr(&pty.slave, SetArg::TCSANOW, &raw).unwrap();
        let terminal = Rc::new(Terminal::new(pty.master).unwrap());
        let app = std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            let mut slave = std::fs::File::from(pty.slave);
            let mut heard = vec![0; 100_000];
            slave.read_exact(&mut heard).unwrap();
            slave.write_all(&heard).unwrap();
        });
        let typed: Vec<u8> =
            (0..100_000_u32).map(|at| b'a' + u8::try_from(at % 26).unwrap()).collect();
        terminal.write_all(&typed).await.unwrap();
        let mut shown = Vec::new();
        let end = terminal.reader().read_to_end(&mut shown).await;
        assert_eq!(end.unwrap_err().raw_os_error(), Some(libc::EIO), "nobody has it open");
        assert!(shown == typed);
        app.join().unwrap();
    }
}
