//! A small client for QEMU's monitor, over a socket pair that QEMU inherits:
//! there is no path that somebody else could connect to.

pub(crate) mod fuzz;
mod message;
mod state;

use std::{
    fs::File,
    io::{self, IoSlice},
    os::fd::AsRawFd as _,
    sync::{Mutex as Held, PoisonError},
    time::Duration,
};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, Interest},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Mutex,
    time::timeout,
};

use crate::machine::maps_memory;
use message::{Lines, Message};
pub(crate) use state::Form;

/// What went wrong with the monitor.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QmpError {
    /// QEMU closed it: it has ended, or is about to.
    #[error("QEMU closed its monitor")]
    Closed,
    /// The socket failed.
    #[error("QEMU's monitor failed: {0}")]
    Io(io::Error),
    /// QEMU said something that cannot be understood.
    #[error("QEMU's monitor said something unreadable: {0}")]
    Unreadable(String),
    /// QEMU refused a command.
    #[error("QEMU refused `{command}`: {reason}")]
    Refused {
        /// The command.
        command: &'static str,
        /// QEMU's reason.
        reason: String,
    },
    /// QEMU gave no answer in time.
    #[error("QEMU gave no answer to `{command}` within {} s", .limit.as_secs())]
    Timeout {
        /// The command.
        command: &'static str,
        /// The limit.
        limit: Duration,
    },
}

impl From<io::Error> for QmpError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// How long QEMU may take for an ordinary command.
const LIMIT: Duration = Duration::from_secs(10);

/// How long a QEMU that has ended may take to close its monitor.
const AFTER: Duration = Duration::from_millis(500);

/// The event of a guest whose kernel gave up (QEMU, `qapi/run-state.json`).
const PANICKED: &str = "GUEST_PANICKED";

/// A monitor after its greeting.
pub(crate) struct Qmp {
    version: String,
    maps_memory: bool,
    dialogue: Mutex<Dialogue>,
    /// Sets that an older QEMU keeps open until the machine goes on.
    kept: Held<Vec<u32>>,
}

struct Dialogue {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    lines: Lines,
    last_id: u64,
    /// The guest has told that its kernel gave up.
    panicked: bool,
}

impl Qmp {
    /// Waits for the greeting and leaves the negotiation behind. `limit` is
    /// for QEMU's whole start.
    pub(crate) async fn connect(stream: UnixStream, limit: Duration) -> Result<Self, QmpError> {
        let (reader, writer) = stream.into_split();
        let mut dialogue =
            Dialogue { reader, writer, lines: Lines::default(), last_id: 0, panicked: false };
        let greeting = timeout(limit, dialogue.greeting()).await;
        let version = greeting.map_err(|_| QmpError::Timeout { command: "greeting", limit })??;
        let maps_memory = maps_memory(&version);
        let (dialogue, kept) = (Mutex::new(dialogue), Held::default());
        let qmp = Self { version, maps_memory, dialogue, kept };
        qmp.execute("qmp_capabilities", None).await?;
        Ok(qmp)
    }

    /// QEMU's version, e.g. `10.0.2`.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Whether it writes each page of the memory to a place of its own.
    pub(crate) fn maps_memory(&self) -> bool {
        self.maps_memory
    }

    /// Executes a command and returns its answer.
    pub(crate) async fn execute(
        &self,
        command: &'static str,
        arguments: Option<Value>,
    ) -> Result<Value, QmpError> {
        self.execute_with(command, arguments, None).await
    }

    async fn execute_with(
        &self,
        command: &'static str,
        arguments: Option<Value>,
        file: Option<&File>,
    ) -> Result<Value, QmpError> {
        let mut dialogue = self.dialogue.lock().await;
        let answer = timeout(LIMIT, dialogue.execute(command, arguments, file)).await;
        answer.map_err(|_| QmpError::Timeout { command, limit: LIMIT })?
    }

    /// Gives QEMU an open file, as one of the set of descriptors with this
    /// number.
    pub(crate) async fn hand(&self, set: u32, file: &File) -> Result<(), QmpError> {
        if self.kept().contains(&set) {
            let reason =
                "it has not let go of an earlier file until the machine goes on".to_owned();
            return Err(QmpError::Refused { command: "add-fd", reason });
        }
        let arguments = json!({"fdset-id": set});
        self.execute_with("add-fd", Some(arguments), Some(file)).await.map(drop)
    }

    /// Has QEMU forget a set; what it has open of it stays open.
    pub(crate) async fn forget(&self, set: u32) -> Result<(), QmpError> {
        self.execute("remove-fd", Some(json!({"fdset-id": set}))).await?;
        if !self.maps_memory {
            self.kept().push(set);
        }
        Ok(())
    }

    /// Has an older QEMU, whose machine runs, close what it forgot while that
    /// stood still.
    async fn let_go(&self) {
        let kept = std::mem::take(&mut *self.kept());
        for set in kept {
            // One that it closed at once is unknown to it.
            let _ = self.execute("remove-fd", Some(json!({"fdset-id": set}))).await;
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the guest has told that its kernel gave up, by a device for that;
    /// once QEMU has ended.
    pub(crate) async fn panicked(&self) -> bool {
        let mut dialogue = self.dialogue.lock().await;
        let rest = async {
            while let Ok(message) = dialogue.next().await {
                let panicked = matches!(message, Message::Event { event } if event == PANICKED);
                dialogue.panicked |= panicked;
            }
        };
        let _ = timeout(AFTER, rest).await;
        dialogue.panicked
    }

    /// Asks QEMU to end, with its disks written.
    pub(crate) async fn quit(&self) -> Result<(), QmpError> {
        match self.execute("quit", None).await {
            // It may be gone before its answer is.
            Ok(_) | Err(QmpError::Closed) => Ok(()),
            Err(e) => Err(e),
        }
    }
}

impl Dialogue {
    async fn greeting(&mut self) -> Result<String, QmpError> {
        match self.next().await? {
            Message::Greeting { qmp } => Ok(qmp.version()),
            other => Err(QmpError::Unreadable(format!("{other:?} instead of a greeting"))),
        }
    }

    async fn execute(
        &mut self,
        command: &'static str,
        arguments: Option<Value>,
        file: Option<&File>,
    ) -> Result<Value, QmpError> {
        self.last_id += 1;
        let id = self.last_id;
        let mut request = json!({"execute": command, "id": id});
        if let Some(arguments) = arguments {
            request["arguments"] = arguments;
        }
        let mut line = request.to_string();
        line.push('\n');
        let sent = match file {
            Some(file) => self.send(line.as_bytes(), file).await?,
            None => 0,
        };
        self.writer.write_all(&line.as_bytes()[sent..]).await?;
        loop {
            match self.next().await? {
                Message::Return { id: answered, r#return } if answered == id => {
                    return Ok(r#return);
                }
                Message::Error { id: answered, error }
                    if answered.is_none_or(|answered| answered == id) =>
                {
                    return Err(QmpError::Refused { command, reason: error.desc });
                }
                Message::Event { event } => self.panicked |= event == PANICKED,
                // Answers to callers who did not wait for them.
                _ => {}
            }
        }
    }

    /// Sends a file with as many of the bytes as the socket takes, which are
    /// one at least.
    async fn send(&self, bytes: &[u8], file: &File) -> io::Result<usize> {
        let stream: &UnixStream = self.writer.as_ref();
        let write = || {
            let (bytes, files) = ([IoSlice::new(bytes)], [file.as_raw_fd()]);
            let rights = [ControlMessage::ScmRights(&files)];
            let fd = stream.as_raw_fd();
            Ok(sendmsg::<()>(fd, &bytes, &rights, MsgFlags::MSG_NOSIGNAL, None)?)
        };
        stream.async_io(Interest::WRITABLE, write).await
    }

    /// The next message. May be dropped while it waits.
    async fn next(&mut self) -> Result<Message, QmpError> {
        loop {
            if let Some(message) = self.lines.next_message() {
                return message.map_err(QmpError::Unreadable);
            }
            let mut buffer = [0; 4096];
            match self.reader.read(&mut buffer).await? {
                0 => return Err(QmpError::Closed),
                count => self.lines.push(&buffer[..count]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt as _, BufReader};

    use super::*;

    const GREETING: &str =
        "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 2, \"minor\": 0, \"major\": 10}}}}\r\n";

    /// A QEMU that greets and then answers each command with the next text,
    /// `ID` standing for the command's id.
    fn qemu(answers: &'static [&'static str]) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        tokio::spawn(async move {
            let (reader, mut writer) = theirs.into_split();
            writer.write_all(GREETING.as_bytes()).await.unwrap();
            let mut lines = BufReader::new(reader).lines();
            for answer in answers {
                let line = lines.next_line().await.unwrap().unwrap();
                let request: Value = serde_json::from_str(&line).unwrap();
                let text = answer.replace("ID", &request["id"].to_string());
                writer.write_all(text.as_bytes()).await.unwrap();
            }
            // Closed here.
        });
        ours
    }

    #[tokio::test]
    async fn answers_are_told_from_events_and_refusals() {
        let stream = qemu(&[
            "{\"return\": {}, \"id\": ID}\r\n",
            "{\"event\": \"RESUME\", \"timestamp\": {}}\r\n{\"return\": 5, \"id\": ID}\r\n",
            "{\"error\": {\"class\": \"x\", \"desc\": \"not now\"}, \"id\": ID}\r\n",
        ]);
        let qmp = Qmp::connect(stream, LIMIT).await.unwrap();
        assert_eq!(qmp.version(), "10.0.2");
        assert_eq!(qmp.execute("cont", None).await.unwrap(), json!(5));
        let refused = qmp.execute("stop", None).await.unwrap_err();
        assert_eq!(refused.to_string(), "QEMU refused `stop`: not now");
        assert!(qmp.quit().await.is_ok(), "a closed monitor is what quitting wants");
    }

    #[tokio::test]
    async fn what_an_older_qemu_keeps_is_forgotten_when_the_machine_goes_on() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let seen = tokio::spawn(async move {
            let (reader, mut writer) = theirs.into_split();
            writer.write_all(GREETING.replace("10}", "7}").as_bytes()).await.unwrap();
            let (mut lines, mut seen) = (BufReader::new(reader).lines(), Vec::new());
            while let Some(line) = lines.next_line().await.unwrap() {
                let request: Value = serde_json::from_str(&line).unwrap();
                let said = format!("{} {}", request["execute"], request["arguments"]["fdset-id"]);
                seen.push(said.replace('"', ""));
                let answer = format!("{{\"return\": {{}}, \"id\": {}}}\n", request["id"]);
                writer.write_all(answer.as_bytes()).await.unwrap();
            }
            seen
        });
        let qmp = Qmp::connect(ours, LIMIT).await.unwrap();
        assert!(!qmp.maps_memory());
        qmp.forget(7).await.unwrap();
        let file = tempfile::tempfile().unwrap();
        let again = qmp.hand(7, &file).await.unwrap_err().to_string();
        assert!(again.contains("until the machine goes on"), "{again}");
        qmp.hand(8, &file).await.unwrap();
        qmp.cont().await.unwrap();
        qmp.cont().await.unwrap();
        qmp.hand(7, &file).await.unwrap();
        drop(qmp);
        let seen = seen.await.unwrap();
        let own = ["remove-fd 7", "add-fd 8", "cont null", "remove-fd 7", "cont null", "add-fd 7"];
        assert_eq!(seen[1..], own);
    }

    #[tokio::test]
    async fn a_panic_is_heard_before_and_after() {
        let panic =
            "{\"event\": \"GUEST_PANICKED\", \"data\": {}}\r\n{\"return\": {}, \"id\": ID}\r\n";
        let stream = qemu(vec!["{\"return\": {}, \"id\": ID}\r\n", panic].leak());
        let qmp = Qmp::connect(stream, LIMIT).await.unwrap();
        qmp.stop().await.unwrap();
        assert!(qmp.panicked().await);
        let after =
            "{\"return\": {}, \"id\": ID}\r\n{\"event\": \"GUEST_PANICKED\", \"data\": {}}\r\n";
        let qmp = Qmp::connect(qemu(vec![after].leak()), LIMIT).await.unwrap();
        assert!(qmp.panicked().await);
        let quiet = Qmp::connect(qemu(&["{\"return\": {}, \"id\": ID}\r\n"]), LIMIT).await.unwrap();
        assert!(!quiet.panicked().await);
    }

    #[tokio::test]
    async fn a_file_goes_along_with_its_command() {
        use nix::{
            cmsg_space,
            sys::socket::{ControlMessageOwned, recvmsg},
        };

        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (reader, writer) = UnixStream::from_std(ours).unwrap().into_split();
        let mut dialogue =
            Dialogue { reader, writer, lines: Lines::default(), last_id: 0, panicked: false };
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"text").unwrap();
        let asked = dialogue.execute("add-fd", Some(json!({"fdset-id": 7})), Some(&file));
        let _ = timeout(Duration::from_millis(50), asked).await;
        let mut bytes = [0; 200];
        let mut space = cmsg_space!(std::os::fd::RawFd);
        let mut parts = [io::IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::empty();
        let came = recvmsg::<()>(theirs.as_raw_fd(), &mut parts, Some(&mut space), flags).unwrap();
        let count = came.bytes;
        let Some(ControlMessageOwned::ScmRights(files)) = came.cmsgs().unwrap().next() else {
            panic!("no file came")
        };
        let length = std::fs::metadata(format!("/proc/self/fd/{}", files[0])).unwrap().len();
        nix::unistd::close(files[0]).unwrap();
        let request: Value = serde_json::from_slice(&bytes[..count]).unwrap();
        assert_eq!((length, &request["arguments"]["fdset-id"]), (4, &json!(7)));
    }

    #[tokio::test]
    async fn a_qemu_that_ends_or_babbles_is_an_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(matches!(Qmp::connect(ours, LIMIT).await, Err(QmpError::Closed)));
        let stream = qemu(&["nonsense\r\n"]);
        assert!(matches!(Qmp::connect(stream, LIMIT).await, Err(QmpError::Unreadable(_))));
        let (ours, _silent) = UnixStream::pair().unwrap();
        let limit = Duration::from_millis(20);
        assert!(matches!(Qmp::connect(ours, limit).await, Err(QmpError::Timeout { .. })));
    }
}
