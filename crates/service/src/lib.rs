//! The process behind the window: it answers what the page asks for.
//!
//! ```text
//! page ─▶ tandem-desktop ═ tandem-wire ═▶ this ─▶ tandem-app
//! ```
//!
//! The window's own program cannot do the work where an ordinary user has
//! started it: containers want a user namespace, which only a process with a
//! single thread may enter, and in which the desktop's services (its message
//! bus, its browser, its reader of screens) would take the person for somebody
//! else. So it starts the `tandem` command with a hidden word, which enters the
//! namespace as any command does and then comes here. It lives as long as the
//! window: when that is gone, however it ended, what goes on is cancelled and
//! cleaned up. It is no daemon, and instances do not need it.

mod call;
mod commands;
mod journal;
mod session;
mod shell;
mod terminals;
mod work;

use std::{
    ffi::OsString,
    io,
    os::unix::net::UnixStream,
    process::ExitCode,
    sync::{Arc, OnceLock},
};

use tandem_app::{App, AppError};
use tandem_model::{ErrorCode, Failure};
use tandem_wire::{AGAIN, Kind, Message, Sender};
use tokio::{
    runtime::Handle,
    signal::unix::{SignalKind, signal},
    sync::Notify,
};

use crate::{call::Call, shell::Shell};

/// Serves the window that started this process, until it is gone.
/// `arguments` follow the hidden word. The process must have a single thread.
pub fn main(arguments: &[OsString]) -> ExitCode {
    let served = tandem_app::take_standard_input().and_then(|window| {
        tandem_app::keep_descriptors();
        let app = opened(arguments);
        serve(window, Shell::new(app, arguments.get(1).is_some_and(|word| word == AGAIN)))
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("tandem: cannot serve the window: {e}");
            ExitCode::from(125)
        }
    }
}

/// Opens the home that `TANDEM_HOME` names, or the usual one. A failure is
/// shown by the page, which opens all the same.
fn opened(arguments: &[OsString]) -> Result<Arc<App>, Failure> {
    let own = env!("CARGO_PKG_VERSION");
    let window = arguments.first().map(|it| it.to_string_lossy()).unwrap_or_default();
    if window != own {
        let text = format!(
            "the window is of Tandem {window}, and its `tandem` command of {own}: install both from one package"
        );
        return Err(Failure::new(ErrorCode::Unavailable, text));
    }
    let open = || {
        tandem_app::enter(None, true)?;
        let program = std::env::current_exe().unwrap_or_else(|_| "tandem".into());
        App::open(None, program)
    };
    open().map_err(|e: AppError| e.to_failure())
}

fn serve(window: UnixStream, shell: Shell) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let shell = Arc::new(shell);
        let gone = Arc::new(Notify::new());
        tokio::spawn(shell.session().pump());
        let page = Arc::new(OnceLock::new());
        let take = taker(&shell, &page);
        let tell = Arc::clone(&gone);
        let sender = tandem_wire::connect(window, take, move || tell.notify_one())?;
        let _ = page.set(sender);
        tokio::select! {
            () = gone.notified() => {}
            () = told_to_end() => {}
        }
        shell.leave();
        shell.left().await;
        Ok(())
    });
    // What is in the middle of something that cannot be left ends with us.
    runtime.shutdown_background();
    served
}

/// Answers each call beside the others.
fn taker(shell: &Arc<Shell>, page: &Arc<OnceLock<Sender>>) -> impl FnMut(Message) + Send + 'static {
    let (shell, page, runtime) = (Arc::clone(shell), Arc::clone(page), Handle::current());
    move |message| {
        let page = page.wait().clone();
        let shell = Arc::clone(&shell);
        runtime.spawn(async move {
            let answer = match Call::read(&message.body, &page) {
                Ok(call) => commands::answer(&shell, &call).await,
                Err(failure) => Err(failure),
            };
            page.send(match answer {
                Ok(body) => Message::new(Kind::Answer, message.number, body),
                Err(failure) => {
                    let body = serde_json::to_vec(&failure).unwrap_or_default();
                    Message::new(Kind::Fault, message.number, body)
                }
            });
        });
    }
}

/// Resolves when this process is asked to end. Ctrl-C and the end of a
/// terminal are for the window, which asks in its turn.
async fn told_to_end() {
    let stream = |kind| signal(kind).ok();
    let _unheard = (stream(SignalKind::interrupt()), stream(SignalKind::hangup()));
    match stream(SignalKind::terminate()) {
        Some(mut asked) => drop(asked.recv().await),
        None => std::future::pending().await,
    }
}
