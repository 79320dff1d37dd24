//! The channel to a guest's agent, as its supervisor has it.
//!
//! ```text
//!  Session (one task reads)          Agent (any number of handles)
//!  ───────────────────────           ────────────────────────────
//!  QEMU ─▶ frames ─▶ app's output    request(…) ─▶ one answer
//!                 └▶ Task buffers    start(…)   ─▶ Task: data both ways, end
//!                                    all writes go through one queue
//! ```
//!
//! The guest is not trusted. A frame has a longest length; what it may send for
//! a task is bounded by the window that was granted to it, and what it says
//! about a task that nobody began is an error that ends the machine. A guest
//! that stalls is noticed by a time limit, and holds up only those who wait for
//! it.
//!
//! ```text
//! let agent: Agent = running.agent();
//! agent.ping().await?;
//! let online = agent.online().await?;              // after a hot plug
//! agent.quiesce().await?;                          // before a snapshot
//! agent.resume(false).await?;                      // after it, same QEMU
//! agent.resume(true).await?;                       // in a QEMU that restored it
//! agent.refresh(Some((name, mac))).await?;          // clock, entropy, identity
//! let (code, out) = agent.run(command, limit).await?;   // a short command
//! ```

mod session;
mod task;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tandem_guest::wire::{
    APP, Execute, Failure, Frame, FromGuest, GuestStats, MOST_TASKS, Stream, ToGuest, VERSION,
};
use tokio::{
    sync::mpsc,
    time::{error::Elapsed, timeout},
};

pub(crate) use session::{End, Session};
use task::Shared;
pub(crate) use task::{Event, Task};

/// How long a guest may take for an ordinary request. Software emulation on a
/// busy machine is slow.
const LIMIT: Duration = Duration::from_secs(30);

/// The most output of [`Agent::run`] that is kept, bytes.
const MOST_OUTPUT: usize = 1 << 20;

/// Frames that may wait for a guest that does not read.
const QUEUE: usize = 64;

/// What went wrong with a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// The machine ended, or broke the protocol.
    #[error("the guest is gone")]
    Gone,
    /// No answer came in time.
    #[error("the guest gave no answer within {} s; it may be hung or out of memory", .0.as_secs())]
    Timeout(Duration),
    /// The guest says why not.
    #[error("the guest refused: {}", told(.0))]
    Failed(Failure),
    /// Another answer came than the question has.
    #[error("the guest gave an answer to another question")]
    Odd,
    /// So many tasks run already.
    #[error("{MOST_TASKS} commands run in the machine already")]
    TooMany,
    /// The request does not fit into a frame.
    #[error("the command with its environment is longer than a machine takes at once (32 KiB)")]
    TooLong,
}

impl From<Elapsed> for AgentError {
    fn from(_: Elapsed) -> Self {
        Self::Timeout(LIMIT)
    }
}

/// A guest's failure as part of a sentence.
fn told(failure: &Failure) -> String {
    match failure {
        Failure::NotFound => "the program is not there".to_owned(),
        Failure::NoUser { name } => format!("there is no user {name}"),
        Failure::NoDirectory { path } => format!("there is no directory {path}"),
        Failure::NotExecutable { reason } | Failure::Refused { reason } => reason.clone(),
        Failure::Step { step, reason } => format!("{step}: {reason}"),
    }
}

/// What is online in a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Online {
    /// Processors.
    pub(crate) cpus: u32,
    /// Memory that its kernel manages, bytes.
    pub(crate) memory_bytes: u64,
}

/// A handle on a guest's agent. Clones share one channel.
#[derive(Clone)]
pub(crate) struct Agent {
    queue: mpsc::Sender<Vec<u8>>,
    tasks: Tasks,
    last: Rc<Cell<u32>>,
    app: Rc<Shared>,
}

/// The tasks that somebody waits for.
type Tasks = Rc<RefCell<BTreeMap<u32, Rc<Shared>>>>;

impl Agent {
    /// Asks who is there; returns its kernel's release.
    pub(crate) async fn hello(&self) -> Result<String, AgentError> {
        match self.request(ToGuest::Hello { version: VERSION }).await? {
            FromGuest::Hello { kernel, .. } => Ok(kernel),
            _ => Err(AgentError::Odd),
        }
    }

    /// Asks whether it is there.
    pub(crate) async fn ping(&self) -> Result<(), AgentError> {
        self.done(ToGuest::Ping).await
    }

    /// Brings processors and memory online that were plugged in.
    pub(crate) async fn online(&self) -> Result<Online, AgentError> {
        match self.request(ToGuest::Online).await? {
            FromGuest::Online { cpus, memory_bytes } => Ok(Online { cpus, memory_bytes }),
            _ => Err(AgentError::Odd),
        }
    }

    /// Gives a machine that goes on from a snapshot the time of day, fresh
    /// random numbers and, as another instance, a host name and a hardware
    /// address of its own.
    pub(crate) async fn refresh(
        &self,
        identity: Option<(&str, [u8; 6])>,
    ) -> Result<(), AgentError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let clock_ns = u64::try_from(since.as_nanos()).unwrap_or_default();
        let hostname = identity.map(|(name, _)| name.to_owned());
        let mac = identity.map(|(_, mac)| mac);
        self.done(ToGuest::Refresh { clock_ns, entropy: entropy(), hostname, mac }).await
    }

    /// Brings files to rest and makes the guest silent, so that the channel is
    /// between two frames. Nothing else may be asked until [`Self::resume`].
    pub(crate) async fn quiesce(&self) -> Result<(), AgentError> {
        self.done(ToGuest::Quiesce).await
    }

    /// Lets the guest talk again; `fresh` in a QEMU that restored a snapshot,
    /// where nobody waits for what ran before.
    pub(crate) async fn resume(&self, fresh: bool) -> Result<(), AgentError> {
        self.done(ToGuest::Resume { fresh }).await
    }

    /// What the guest uses, as it says.
    pub(crate) async fn stats(&self) -> Result<GuestStats, AgentError> {
        match self.request(ToGuest::Stats).await? {
            FromGuest::Stats(stats) => Ok(stats),
            _ => Err(AgentError::Odd),
        }
    }

    /// Asks for the machine's end; it is told like the app's own end.
    pub(crate) fn shut_down(&self) -> Result<(), AgentError> {
        self.tell(APP, ToGuest::Shutdown)
    }

    /// The app's input. Only one may be had at a time: input has an order.
    pub(crate) fn app(&self) -> Task {
        Task::new(APP, Rc::clone(&self.app), self.clone())
    }

    /// Sends a signal to the app.
    pub(crate) fn signal(&self, number: i32) -> Result<(), AgentError> {
        self.tell(APP, ToGuest::Signal { number })
    }

    /// Executes a command to its end; returns its exit code and output.
    pub(crate) async fn run(
        &self,
        command: Execute,
        limit: Duration,
    ) -> Result<(i32, Vec<u8>), AgentError> {
        let run = async {
            let task = self.start(ToGuest::Execute(command)).await?;
            let mut output = Vec::new();
            loop {
                match task.next().await {
                    Event::Data(_, bytes) => {
                        let room = MOST_OUTPUT.saturating_sub(output.len());
                        output.extend_from_slice(&bytes[..bytes.len().min(room)]);
                        task.taken(bytes.len()).await?;
                    }
                    Event::Answer(FromGuest::Executed) => {}
                    Event::Answer(FromGuest::Failed { failure }) => {
                        return Err(AgentError::Failed(failure));
                    }
                    Event::Answer(_) => return Err(AgentError::Odd),
                    Event::Exited(code) => return Ok((code, output)),
                    Event::Gone => return Err(AgentError::Gone),
                }
            }
        };
        timeout(limit, run).await.map_err(|_| AgentError::Timeout(limit))?
    }

    /// Begins a task. What comes of it is told by [`Task::next`].
    pub(crate) async fn start(&self, request: ToGuest) -> Result<Task, AgentError> {
        let id = self.last.get().checked_add(1).ok_or(AgentError::TooMany)?;
        if self.tasks.borrow().len() >= MOST_TASKS {
            return Err(AgentError::TooMany);
        }
        let bytes = Frame::message(id, request).to_bytes().ok_or(AgentError::TooLong)?;
        self.last.set(id);
        let shared = Rc::new(Shared::default());
        self.tasks.borrow_mut().insert(id, Rc::clone(&shared));
        let task = Task::new(id, shared, self.clone());
        if self.queue.is_closed() {
            return Err(AgentError::Gone);
        }
        self.push(bytes).await?;
        Ok(task)
    }

    /// A request with one answer.
    async fn request(&self, request: ToGuest) -> Result<FromGuest, AgentError> {
        let answer = async {
            let task = self.start(request).await?;
            match task.next().await {
                Event::Answer(FromGuest::Failed { failure }) => Err(AgentError::Failed(failure)),
                Event::Answer(answer) => Ok(answer),
                Event::Gone => Err(AgentError::Gone),
                Event::Data(..) | Event::Exited(_) => Err(AgentError::Odd),
            }
        };
        timeout(LIMIT, answer).await?
    }

    async fn done(&self, request: ToGuest) -> Result<(), AgentError> {
        match self.request(request).await? {
            FromGuest::Done => Ok(()),
            _ => Err(AgentError::Odd),
        }
    }

    /// Says something that has no answer; refused when the guest has not read
    /// for a while.
    fn tell(&self, task: u32, message: ToGuest) -> Result<(), AgentError> {
        let bytes = Frame::message(task, message).to_bytes().ok_or(AgentError::TooLong)?;
        self.queue.try_send(bytes).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => AgentError::Timeout(Duration::ZERO),
            mpsc::error::TrySendError::Closed(_) => AgentError::Gone,
        })
    }

    async fn push(&self, bytes: Vec<u8>) -> Result<(), AgentError> {
        self.queue.send(bytes).await.map_err(|_| AgentError::Gone)
    }

    async fn send(&self, task: u32, message: ToGuest) -> Result<(), AgentError> {
        let bytes = Frame::message(task, message).to_bytes().ok_or(AgentError::TooLong)?;
        self.push(bytes).await
    }

    async fn send_input(&self, task: u32, bytes: Vec<u8>) -> Result<(), AgentError> {
        let frame = Frame::<ToGuest>::data(task, Stream::Stdin, bytes);
        self.push(frame.to_bytes().ok_or(AgentError::TooLong)?).await
    }
}

/// Random bytes from the host's kernel, as digits.
fn entropy() -> String {
    let mut bytes = [0_u8; 64];
    let filled = std::fs::File::open("/dev/urandom")
        .and_then(|mut source| std::io::Read::read_exact(&mut source, &mut bytes));
    // The guest's own generator is no worse off without.
    if filled.is_err() {
        return String::new();
    }
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
