//! The caller's streams, terminal and signals.

use std::{
    io::{self, IsTerminal as _, Read as _, stdin},
    os::fd::OwnedFd,
    thread,
};

use rustix::process::{PidfdFlags, getppid, pidfd_open};
use tandem_backend::{RawMode, WindowSize};
use tandem_guest::wire::Window;
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

/// Size of the caller's terminal, where it has one.
pub(super) fn window() -> Window {
    let size = WindowSize::of(stdin()).or_else(|| WindowSize::of(io::stdout()));
    size.map_or(Window { rows: 0, columns: 0 }, |size| Window {
        rows: size.rows,
        columns: size.columns,
    })
}

/// Makes the caller's terminal raw until the value is dropped.
pub(super) fn raw() -> io::Result<Option<RawMode>> {
    stdin().is_terminal().then(|| RawMode::enter(stdin())).transpose()
}

/// What is typed or piped in; an empty piece is the end. The thread that reads
/// waits with nothing in hand but one piece.
pub(super) fn input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, pieces) = mpsc::channel(2);
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        loop {
            let count = match stdin().lock().read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                other => other.unwrap_or(0),
            };
            if sender.blocking_send(buffer[..count].to_vec()).is_err() || count == 0 {
                return;
            }
        }
    });
    pieces
}

/// The signals that a caller may want to pass on, by number.
pub(super) fn signals() -> io::Result<mpsc::Receiver<i32>> {
    let (sender, numbers) = mpsc::channel(16);
    for kind in [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
        SignalKind::quit(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
        SignalKind::window_change(),
    ] {
        let (sender, mut source) = (sender.clone(), signal(kind)?);
        tokio::spawn(async move {
            while source.recv().await.is_some() {
                if sender.send(kind.as_raw_value()).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(numbers)
}

/// The process that started this one.
pub(super) struct Caller(AsyncFd<OwnedFd>);

impl Caller {
    /// `None` when it has ended already.
    pub(super) fn open() -> Option<Self> {
        let pidfd = pidfd_open(getppid()?, PidfdFlags::empty()).ok()?;
        // SAFETY: the value owns the descriptor and never gives it away.
        unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }.ok().map(Self)
    }

    /// Resolves when it has ended.
    pub(super) async fn ended(&self) {
        if self.0.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
