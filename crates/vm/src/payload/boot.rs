//! How far a guest's boot is, told by its debug port.

use std::time::Duration;

use tandem_guest::wire::{Failure, Mark, Marks};
use tandem_model::HostInstant;
use tandem_probe::now;
use tokio::{
    io::AsyncReadExt as _,
    net::UnixStream,
    time::{Instant, timeout_at},
};

/// How long a guest may take to execute its app. Software emulation on a busy
/// machine is slow.
const LIMIT: Duration = Duration::from_mins(3);

/// Moments of a boot on the host's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    /// The guest's first process ran.
    pub(super) init: HostInstant,
    /// The app was executed.
    pub(super) executed: HostInstant,
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
pub(super) async fn follow(mut debug: UnixStream) -> Result<Moments, BootError> {
    let deadline = Instant::now() + LIMIT;
    let mut marks = Marks::default();
    let mut init = None;
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
                None | Some(Ok(Mark::Root | Mark::Network)) => {}
                Some(Ok(Mark::Init)) => init = Some(at),
                Some(Ok(Mark::Executed)) => {
                    tokio::task::spawn_local(async move {
                        while debug.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
                    });
                    return Ok(Moments { init: init.unwrap_or(at), executed: at });
                }
                Some(Err(failure)) => return Err(BootError::Failed(failure)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::exec::explain;

    async fn read(bytes: &'static [u8]) -> Result<Moments, BootError> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(bytes).await.unwrap();
        drop(theirs);
        tokio::task::LocalSet::new().run_until(follow(ours)).await
    }

    #[tokio::test]
    async fn a_boot_ends_with_the_app_or_with_a_reason() {
        let moments = read(b"irnx").await.unwrap();
        assert!(moments.init <= moments.executed);
        assert!(matches!(read(b"irn").await, Err(BootError::Ended)));
        let failed = read(b"irn!{\"failure\":\"not_found\"}\n").await;
        let Err(BootError::Failed(failure)) = failed else { panic!("{failed:?}") };
        let error = explain(failure, "app");
        assert_eq!(error.code().exit_code(), 127);
    }
}
