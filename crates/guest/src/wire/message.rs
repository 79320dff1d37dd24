use serde::{Deserialize, Serialize};

use super::Failure;

/// Version of the messages.
pub const VERSION: u32 = 1;

/// Name of the virtio-serial port.
pub const PORT_NAME: &str = "org.tandem.agent.0";

/// How much input of a task the host may have sent beyond what the guest has
/// taken, by [`super::cost`].
pub const INPUT_WINDOW: usize = 128 * 1024;

/// How much output of a task the guest may have sent beyond what the host has
/// taken, by [`super::cost`]. The app's own output has no window: it goes into
/// the log at once.
pub const OUTPUT_WINDOW: usize = 256 * 1024;

/// Tasks that may run at the same time besides the app.
pub const MOST_TASKS: usize = 32;

/// A program to be executed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execute {
    /// Program and arguments.
    pub args: Vec<String>,
    /// `NAME=value`; a later entry wins.
    pub env: Vec<String>,
    /// Absolute working directory.
    pub cwd: String,
    /// `USER[:GROUP]` by name or number, empty for root.
    pub user: String,
    /// Input will come.
    #[serde(default)]
    pub stdin: bool,
    /// It gets a terminal of this size.
    #[serde(default)]
    pub terminal: Option<Window>,
    /// It has no streams and outlives whoever asked for it.
    #[serde(default)]
    pub detach: bool,
}

/// Size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Lines; 0 is unknown.
    pub rows: u16,
    /// Characters in a line; 0 is unknown.
    pub columns: u16,
}

/// What the host asks of a running guest, about the frame's task.
///
/// A request with a new number begins a task. It is answered with
/// [`FromGuest::Failed`], or with what stands here; a task that runs sends
/// data, and [`FromGuest::Exited`] at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum ToGuest {
    /// [`FromGuest::Hello`].
    Hello {
        /// The host's [`VERSION`].
        version: u32,
    },
    /// [`FromGuest::Done`].
    Ping,
    /// Execute a program: [`FromGuest::Executed`], and it runs.
    Execute(Execute),
    /// Send a signal to the task; no answer.
    Signal {
        /// Its number.
        number: i32,
    },
    /// The task's terminal has another size; no answer.
    Resize(Window),
    /// No more input comes for the task; no answer.
    EndOfInput,
    /// So much more output may be sent, by [`super::cost`]; no answer.
    Credit {
        /// How much.
        cost: usize,
    },
    /// End the task at once; nobody listens any more. No answer.
    Cancel,
    /// Bring processors and memory online that were plugged in:
    /// [`FromGuest::Online`].
    Online,
    /// The machine goes on from a snapshot: [`FromGuest::Done`].
    Refresh {
        /// Time of day, nanoseconds since 1970.
        clock_ns: u64,
        /// Random bytes as hexadecimal digits, for the kernel's generator.
        entropy: String,
        /// A new host name.
        hostname: Option<String>,
        /// A new hardware address of the network device.
        #[serde(default)]
        mac: Option<[u8; 6]>,
    },
    /// Bring files to rest on the disk and be silent: [`FromGuest::Done`] is
    /// the last thing said until [`ToGuest::Resume`]. A snapshot taken
    /// afterwards holds no half frame.
    Quiesce,
    /// Talk again: [`FromGuest::Done`].
    Resume {
        /// Another host is there than before; tasks of the former one end.
        fresh: bool,
    },
    /// End the app, bring files to rest and switch off: the answer is the
    /// app's [`FromGuest::Exited`].
    Shutdown,
    /// What the guest uses: [`FromGuest::Stats`].
    Stats,
    /// Something that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What a running guest says besides data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum FromGuest {
    /// Who it is.
    Hello {
        /// The guest's [`VERSION`].
        version: u32,
        /// `uname -r`.
        kernel: String,
    },
    /// It was done.
    Done,
    /// It could not be done.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// The task's program was executed.
    Executed,
    /// So much more input may be sent, by [`super::cost`].
    Credit {
        /// How much.
        cost: usize,
    },
    /// The task ended, and its output was sent. Of the app: its files are also
    /// safe on the disk, and the machine may be switched off.
    Exited {
        /// The exit code; 128 + signal when a signal ended it.
        code: i32,
        /// The guest's kernel killed it for want of memory.
        out_of_memory: bool,
    },
    /// What is online now.
    Online {
        /// Processors.
        cpus: u32,
        /// Memory that the kernel manages, bytes.
        memory_bytes: u64,
    },
    /// What the guest uses.
    Stats(GuestStats),
}

/// What a guest uses, as its kernel tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestStats {
    /// Memory that the kernel manages, bytes.
    pub memory_total: u64,
    /// Memory that new programs could have, bytes.
    pub memory_available: u64,
    /// Memory that holds files, bytes.
    pub memory_cached: u64,
    /// Processors online.
    pub cpus: u32,
    /// Processor time of everything but idling, nanoseconds.
    pub cpu_ns: u64,
    /// Processes.
    pub processes: u32,
    /// Bytes received, loopback left out.
    pub net_received: u64,
    /// Bytes sent, loopback left out.
    pub net_sent: u64,
    /// Bytes of the root file system.
    pub disk_total: u64,
    /// Bytes of it in use.
    pub disk_used: u64,
}
