//! The process behind the window, and what the page asks of it.
//!
//! Every call of the page is passed on as it is, and its answer back; this
//! program knows none of them but those whose answer is an address, which it
//! opens in the browser.

use std::{
    collections::HashMap,
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};
use tandem_model::{ErrorCode, Failure};
use tandem_wire::{AGAIN, ENTRY, Kind, Message, Sender, connect};
use tauri::{
    WebviewWindow, Wry,
    ipc::{Channel, Invoke, InvokeBody, InvokeResolver, InvokeResponseBody, JavaScriptChannelId},
};

use crate::program;

/// Commands whose answer is an address that is opened.
const OPENS: &[&str] = &["open", "open_lesson_link"];

/// What is asked of the process alone is answered at once, or it hangs.
const AT_ONCE: Duration = Duration::from_secs(5);

/// What leaving takes is bounded by the process itself.
const LEAVING: Duration = Duration::from_secs(80);

/// A process that ended sooner would end again, and the page come again and
/// again.
const LIVED: Duration = Duration::from_secs(10);

/// The process is given this long to end by itself.
const ENDING: Duration = Duration::from_secs(5);

/// The process, which is started again when it has ended.
#[derive(Default)]
pub(crate) struct Bridge {
    state: Mutex<State>,
    numbers: AtomicU64,
}

#[derive(Default)]
struct State {
    line: Option<Line>,
    /// The window, from when it is there.
    window: Option<WebviewWindow>,
    /// The window closes: no process is started any more.
    leaving: bool,
}

/// A process that lives, or did.
#[derive(Clone)]
struct Line {
    send: Sender,
    shared: Arc<Shared>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    ended: Condvar,
    child: Mutex<Child>,
}

/// Who waits for what.
#[derive(Default)]
struct Waiting {
    replies: HashMap<u64, Reply>,
    outlets: HashMap<u64, Channel<InvokeResponseBody>>,
    /// The process has ended; nothing comes any more.
    over: bool,
}

/// Who waits for an answer.
enum Reply {
    Page(InvokeResolver<Wry>),
    /// The answer is an address.
    Opened(InvokeResolver<Wry>),
    Own(mpsc::Sender<Result<Vec<u8>, Failure>>),
}

impl Bridge {
    /// Starts the process, so that it gets ready beside the toolkit. A failure
    /// is told by the first call.
    pub(crate) fn begin() -> &'static Self {
        // As long as the program.
        let bridge = Box::leak(Box::<Self>::default());
        let _ = bridge.line();
        bridge
    }

    /// The window whose page is loaded again when the process has ended.
    pub(crate) fn show_in(&self, window: WebviewWindow) {
        self.lock().window = Some(window);
    }

    /// Passes a call of the page on.
    pub(crate) fn pass(&'static self, invoke: Invoke<Wry>) {
        let Invoke { message, resolver, .. } = invoke;
        let InvokeBody::Json(Value::Object(mut arguments)) = message.payload().clone() else {
            resolver.reject(Failure::new(ErrorCode::Internal, "a call without named arguments"));
            return;
        };
        let mut outlets = Vec::new();
        for value in arguments.values_mut() {
            let text = value.as_str().unwrap_or_default();
            if let Ok(outlet) = text.parse::<JavaScriptChannelId>() {
                let number = self.number();
                outlets.push((number, outlet.channel_on(message.webview())));
                *value = number.into();
            }
        }
        let command = message.command();
        let reply = if OPENS.contains(&command) { Reply::Opened } else { Reply::Page };
        self.call(command, arguments, reply(resolver), outlets);
    }

    /// Asks for what the page shows first.
    pub(crate) fn beginning(&'static self) -> Result<Vec<u8>, Failure> {
        self.ask("beginning", AT_ONCE)
    }

    /// Asks something of the window's own, and waits for the answer.
    fn ask(&'static self, command: &str, limit: Duration) -> Result<Vec<u8>, Failure> {
        let (send, answer) = mpsc::channel();
        self.call(command, Map::new(), Reply::Own(send), Vec::new());
        answer.recv_timeout(limit).unwrap_or_else(|_| Err(ended()))
    }

    /// Has all that goes on stopped and cleaned up, and the process ended.
    /// `on_stopping` is told whether that may take a while.
    pub(crate) fn leave(&'static self, on_stopping: impl FnOnce(bool)) {
        self.lock().leaving = true;
        let leaves = self.ask("leave", AT_ONCE);
        on_stopping(leaves.as_ref().is_ok_and(|measures| measures == b"true"));
        // One that hangs is not asked twice.
        let _ = leaves.and_then(|_| self.ask("left", LEAVING));
        let Some(line) = self.lock().line.take() else { return };
        line.send.end();
        if !line.shared.is_over_within(ENDING) {
            line.shared.kill();
            line.shared.is_over_within(ENDING);
        }
    }

    fn call(
        &'static self,
        command: &str,
        arguments: Map<String, Value>,
        reply: Reply,
        outlets: Vec<(u64, Channel<InvokeResponseBody>)>,
    ) {
        let line = match self.line() {
            Ok(line) => line,
            Err(failure) => return reply.fail(failure),
        };
        let number = self.number();
        {
            let mut waiting = line.shared.lock();
            if waiting.over {
                drop(waiting);
                return reply.fail(ended());
            }
            waiting.replies.insert(number, reply);
            waiting.outlets.extend(outlets);
        }
        let body = json!({ "command": command, "arguments": arguments }).to_string();
        // Where nobody listens any more, the end is told to all who wait.
        line.send.send(Message::new(Kind::Call, number, body.into_bytes()));
    }

    /// The process that lives, or a new one.
    fn line(&'static self) -> Result<Line, Failure> {
        let mut state = self.lock();
        if let Some(line) = state.line.as_ref().filter(|line| !line.shared.lock().over) {
            return Ok(line.clone());
        }
        if state.leaving {
            return Err(ended());
        }
        let started = self.start(state.line.is_some()).map_err(|e| {
            let text = format!(
                "the `tandem` command, which does the window's work, cannot be started ({}: {e}): install Tandem anew",
                program::tandem().display()
            );
            Failure::new(ErrorCode::Unavailable, text)
        })?;
        Ok(state.line.insert(started).clone())
    }

    fn start(&'static self, again: bool) -> io::Result<Line> {
        let begun = Instant::now();
        let (own, theirs) = UnixStream::pair()?;
        let child = Command::new(program::tandem())
            .args([ENTRY, env!("CARGO_PKG_VERSION")])
            .args(again.then_some(AGAIN))
            .stdin(OwnedFd::from(theirs))
            .spawn()?;
        let shared = Arc::new(Shared::new(child));
        let (hears, ends) = (Arc::clone(&shared), Arc::clone(&shared));
        let end = move || {
            ends.end();
            if begun.elapsed() > LIVED {
                self.load_again();
            }
        };
        let send = connect(own, move |message| take(&hears, message), end)?;
        Ok(Line { send, shared })
    }

    /// The page follows what has ended with the process: it begins anew, as it
    /// does whenever a person loads it again.
    fn load_again(&self) {
        let state = self.lock();
        if let Some(window) = state.window.as_ref().filter(|_| !state.leaving) {
            let _ = window.eval("location.reload()");
        }
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn new(child: Child) -> Self {
        let (waiting, ended) = (Mutex::default(), Condvar::new());
        Self { waiting, ended, child: Mutex::new(child) }
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kill(&self) {
        let _ = self.child().kill();
    }

    /// Waits for the end of the process, so long and no longer.
    fn is_over_within(&self, limit: Duration) -> bool {
        let lives = |waiting: &mut Waiting| !waiting.over;
        let waited = self.ended.wait_timeout_while(self.lock(), limit, lives);
        waited.is_ok_and(|(_, timeout)| !timeout.timed_out())
    }

    /// Nothing comes any more: tells all who wait, once the process is gone.
    fn end(&self) {
        // It is not held for long, so that it can be killed meanwhile.
        while matches!(self.child().try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(5));
        }
        let replies = {
            let mut waiting = self.lock();
            waiting.over = true;
            waiting.outlets.clear();
            std::mem::take(&mut waiting.replies)
        };
        for reply in replies.into_values() {
            reply.fail(ended());
        }
        self.ended.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands a message to who waits for it.
fn take(shared: &Shared, message: Message) {
    let Message { kind, number, body } = message;
    match kind {
        Kind::Answer | Kind::Fault => {
            let reply = shared.lock().replies.remove(&number);
            let Some(reply) = reply else { return };
            if kind == Kind::Answer {
                reply.answer(body);
            } else {
                reply.fail(serde_json::from_slice(&body).unwrap_or_else(|_| ended()));
            }
        }
        Kind::Told | Kind::Bytes => {
            let outlet = shared.lock().outlets.get(&number).cloned();
            // A page that is gone does not miss it.
            let _ = outlet.map(|outlet| {
                outlet.send(if kind == Kind::Told {
                    text(body)
                } else {
                    InvokeResponseBody::Raw(body)
                })
            });
        }
        Kind::Over => drop(shared.lock().outlets.remove(&number)),
        Kind::Call => {}
    }
}

impl Reply {
    fn answer(self, body: Vec<u8>) {
        match self {
            Self::Page(page) => page.respond(Ok(text(body))),
            // Nobody is kept waiting for a browser that is slow to come.
            Self::Opened(page) => drop(thread::spawn(move || match browse(&body) {
                Ok(()) => page.resolve(()),
                Err(failure) => page.reject(failure),
            })),
            Self::Own(own) => drop(own.send(Ok(body))),
        }
    }

    fn fail(self, failure: Failure) {
        match self {
            Self::Page(page) | Self::Opened(page) => page.reject(failure),
            Self::Own(own) => drop(own.send(Err(failure))),
        }
    }
}

/// JSON for the page.
fn text(body: Vec<u8>) -> InvokeResponseBody {
    InvokeResponseBody::Json(String::from_utf8_lossy(&body).into_owned())
}

/// Opens an address, given as JSON, in the person's browser.
fn browse(address: &[u8]) -> Result<(), Failure> {
    let url: String = serde_json::from_slice(address).unwrap_or_default();
    if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(Failure::new(ErrorCode::Usage, format!("`{url}` is no address of a web page")));
    }
    tauri_plugin_opener::open_url(&url, None::<&str>).map_err(|e| {
        let message = format!("no browser could be started ({e}): open {url} yourself");
        Failure::new(ErrorCode::Unavailable, message)
    })
}

fn ended() -> Failure {
    Failure::new(
        ErrorCode::Unavailable,
        "the process that does the window's work has ended: try again, which starts it anew",
    )
}
