//! How far a guest's boot is, told by its debug port.

use std::time::Duration;

use tandem_backend::{BackendError, Launch};
use tandem_guest::wire::{Failure, Mark, Marks};
use tandem_model::HostInstant;
use tandem_probe::now;
use tokio::{
    io::AsyncReadExt as _,
    net::UnixStream,
    time::{Instant, timeout_at},
};

use super::launch::END_LIMIT;
use crate::{exec::explain, machine::Machine, running::Console};

/// How long a guest may take to execute its app. Software emulation on a busy
/// machine is slow, and an operating system has a lot to do.
const LIMIT: Duration = Duration::from_mins(5);

/// Moments of a boot on the host's clock, in order.
#[derive(Debug, Clone)]
pub(super) struct Moments(Vec<(Mark, HostInstant)>);

impl Moments {
    /// Hands out the slices of a boot that began at `start`, and whose firmware
    /// entered the kernel at `entered` where no loader comes between.
    pub(super) fn phases(
        &self,
        start: HostInstant,
        entered: Option<HostInstant>,
        mut slice: impl FnMut(&'static str, HostInstant, HostInstant),
    ) {
        let mut from = start;
        let first = self.0.first().map(|(_, at)| *at);
        if let Some(at) = entered.filter(|at| *at >= start && first.is_some_and(|it| *at <= it)) {
            slice("firmware", from, at);
            from = at;
        }
        for (mark, at) in &self.0 {
            if let Some(name) = phase_until(*mark, self.by_loader()) {
                slice(name, from, *at);
                from = *at;
            }
        }
    }

    fn by_loader(&self) -> bool {
        self.0.iter().any(|(mark, _)| *mark == Mark::Loader)
    }
}

/// The slice of a boot that a mark ends. An operating system's own user space
/// begins with its root file system; before it is the initial RAM disk's.
fn phase_until(mark: Mark, by_loader: bool) -> Option<&'static str> {
    match mark {
        Mark::Loader => Some("firmware"),
        Mark::Kernel => Some("loader"),
        Mark::Init => Some("kernel"),
        Mark::Root => by_loader.then_some("userspace"),
        Mark::Network => None,
        Mark::Executed => Some(if by_loader { "systemd" } else { "userspace" }),
    }
}

/// Why a boot did not end with the app.
#[derive(Debug)]
pub(super) enum BootError {
    /// The guest said so.
    Failed(Failure),
    /// QEMU closed the port.
    Ended,
    /// The time limit passed.
    Timeout(Duration),
}

/// Follows a boot to the app. The port is read to its end in the background
/// afterwards, so that a guest which writes on does not stop QEMU.
pub(super) async fn follow(mut debug: UnixStream, mut marks: Marks) -> Result<Moments, BootError> {
    let deadline = Instant::now() + LIMIT;
    let mut moments = Vec::new();
    let mut buffer = [0; 512];
    loop {
        let count = match timeout_at(deadline, debug.read(&mut buffer)).await {
            Err(_) => return Err(BootError::Timeout(LIMIT)),
            Ok(Ok(0) | Err(_)) => return Err(BootError::Ended),
            Ok(Ok(count)) => count,
        };
        let at = now();
        for byte in &buffer[..count] {
            match marks.push(*byte) {
                None => {}
                Some(Ok(mark)) => {
                    moments.push((mark, at));
                    if mark == Mark::Executed {
                        tokio::task::spawn_local(async move {
                            while debug.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
                        });
                        return Ok(Moments(moments));
                    }
                }
                Some(Err(failure)) => return Err(BootError::Failed(failure)),
            }
        }
    }
}

/// Hands out the phases of a boot that began at `start`, or tells why it did
/// not reach the app.
pub(super) async fn conclude(
    launch: &mut Launch<'_>,
    machine: &mut Machine,
    console: &mut Console,
    start: HostInstant,
    boot: Result<Moments, BootError>,
) -> Result<(), BackendError> {
    let said = match boot {
        Ok(boot) => {
            let entered = machine.kernel_entered();
            boot.phases(start, entered, |name, from, to| launch.phase_between(name, from, to));
            return Ok(());
        }
        Err(BootError::Failed(failure)) => {
            let program = launch.record.spec.args.first().cloned().unwrap_or_default();
            return Err(explain(failure, &program));
        }
        Err(BootError::Ended) => {
            let _ = machine.end(END_LIMIT).await;
            machine.errors().await
        }
        Err(BootError::Timeout(limit)) => format!("it took more than {} s", limit.as_secs()),
    };
    Err(BackendError::engine("starting the guest", console.reason(&said).await))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    async fn read(bytes: &'static [u8]) -> Result<Moments, BootError> {
        read_as(bytes, Marks::default()).await
    }

    async fn read_as(bytes: &'static [u8], marks: Marks) -> Result<Moments, BootError> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(bytes).await.unwrap();
        drop(theirs);
        tokio::task::LocalSet::new().run_until(follow(ours, marks)).await
    }

    #[tokio::test]
    async fn a_boot_ends_with_the_app_or_with_a_reason() {
        let names = |moments: Moments, entered: Option<HostInstant>| {
            let (mut names, mut last) = (Vec::new(), HostInstant(0));
            moments.phases(last, entered, |name, from, to| {
                assert!(from == last && to >= from);
                last = to;
                names.push(name);
            });
            names
        };
        let micro = read(b"irnx").await.unwrap();
        assert_eq!(names(micro.clone(), None), ["kernel", "userspace"]);
        let entered = Some(HostInstant(1));
        assert_eq!(names(micro.clone(), entered), ["firmware", "kernel", "userspace"]);
        // What comes late is no end of the firmware.
        assert_eq!(names(micro, Some(now())), ["kernel", "userspace"]);
        let whole = read_as(b"lkirnx", Marks::by_loader()).await.unwrap();
        assert_eq!(names(whole, None), ["firmware", "loader", "kernel", "userspace", "systemd"]);
        assert!(matches!(read(b"irn").await, Err(BootError::Ended)));
        let failed = read(b"irn!{\"failure\":\"not_found\"}\n").await;
        let Err(BootError::Failed(failure)) = failed else { panic!("{failed:?}") };
        let error = explain(failure, "app");
        assert_eq!(error.code().exit_code(), 127);
    }
}
