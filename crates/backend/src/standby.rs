//! A supervisor that is started before there is an instance for it.
//!
//! Executing a program of forty megabytes takes three milliseconds and more, in
//! which the command finds the image and writes the record: both go on side by
//! side. The supervisor has touched nothing until it is told whose it is, and
//! ends when whoever started it does.

use std::{
    io::{self, Read as _},
    os::{fd::OwnedFd, unix::net},
    path::Path,
    process::Stdio,
};

use serde::{Deserialize, Serialize};
use tandem_model::InstanceId;
use tokio::{
    net::UnixStream,
    process::{Child, ChildStdout, Command},
};

use crate::{
    AttachWishes, BackendError, attach::request, control::write_line, launch::LaunchStream,
};

/// First argument of the hidden entry point of such a supervisor:
/// `tandem __stand_by HOME`.
pub const STAND_BY: &str = "__stand_by";

/// The line on its standard input that tells it whose it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) id: InstanceId,
    /// Whether the rest of the connection is of somebody who is attached.
    pub(crate) attached: bool,
}

/// Such a supervisor, as the starting command holds it. Dropping it ends it.
pub(crate) struct StandBy {
    process: Option<(Child, ChildStdout)>,
    connection: net::UnixStream,
}

impl StandBy {
    /// Starts it with `program`, the `tandem` executable.
    pub(crate) fn spawn(program: &Path, home: &Path) -> io::Result<Self> {
        let (connection, theirs) = net::UnixStream::pair()?;
        let mut child = Command::new(program)
            .arg(STAND_BY)
            .arg(home)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(false)
            .spawn()?;
        let stdout = child.stdout.take().expect("standard output was asked for");
        Ok(Self { process: Some((child, stdout)), connection })
    }

    /// Makes it the supervisor of an instance. Whoever has `wishes` gets a
    /// connection on which it has asked for them.
    pub(crate) async fn begin(
        mut self,
        id: &InstanceId,
        wishes: Option<AttachWishes>,
    ) -> Result<(LaunchStream, Option<UnixStream>), BackendError> {
        let failed = |e| BackendError::engine("starting the supervisor", e);
        let connection = self.connection.try_clone().map_err(failed)?;
        connection.set_nonblocking(true).map_err(failed)?;
        let mut connection = UnixStream::from_std(connection).map_err(failed)?;
        let assignment = Assignment { id: id.clone(), attached: wishes.is_some() };
        write_line(&mut connection, &assignment).await.map_err(failed)?;
        if let Some(wishes) = wishes {
            request(&mut connection, wishes).await.map_err(failed)?;
        }
        let (child, stdout) = self.process.take().expect("it has not begun yet");
        Ok((LaunchStream::of(child, stdout), wishes.map(|_| connection)))
    }
}

impl Drop for StandBy {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.process {
            let _ = child.start_kill();
        }
    }
}

/// Waits to be told; `None` when nobody needs a supervisor after all. Reads not
/// a byte beyond the line.
pub(crate) fn assignment(connection: &mut net::UnixStream) -> Option<Assignment> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match connection.read(&mut byte) {
            Ok(0) => return None,
            Ok(_) if byte[0] == b'\n' => return serde_json::from_slice(&line).ok(),
            Ok(_) => line.extend(byte),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_follows_an_assignment_stays_where_it_is() {
        let (mut ours, mut theirs) = net::UnixStream::pair().unwrap();
        let given = Assignment { id: InstanceId::from_bytes([7; 6]), attached: true };
        let text = serde_json::to_string(&given).unwrap();
        ours.write_all(format!("{text}\nmore").as_bytes()).unwrap();
        let read = assignment(&mut theirs).unwrap();
        assert_eq!((read.id, read.attached), (given.id, true));
        drop(ours);
        let mut rest = String::new();
        theirs.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "more");
    }

    #[test]
    fn a_command_that_ends_first_leaves_nothing_to_do() {
        let (ours, mut theirs) = net::UnixStream::pair().unwrap();
        drop(ours);
        assert!(assignment(&mut theirs).is_none());
    }

    #[tokio::test]
    async fn who_is_not_needed_is_ended() {
        let program = Path::new("/usr/bin/yes");
        if !program.exists() {
            return;
        }
        let standby = StandBy::spawn(program, Path::new("/")).unwrap();
        let pid = standby.process.as_ref().and_then(|(child, _)| child.id()).unwrap();
        drop(standby);
        let stat = format!("/proc/{pid}/stat");
        let ended = || std::fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z "));
        while !ended() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}
