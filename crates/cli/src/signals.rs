use tandem_app::Cancel;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A token that Ctrl-C and SIGTERM cancel. The second one ends the program at
/// once; supervisors then clean up what belonged to it.
pub(crate) fn cancel_on_interrupt() -> Cancel {
    let cancel = Cancel::new();
    let token = cancel.clone();
    // Heard from now on, and not only once the task is on its way.
    let mut wish = Interrupts::listen();
    tokio::spawn(async move {
        wish.next().await;
        token.cancel();
        wish.next().await;
        std::process::exit(130);
    });
    cancel
}

/// Does a piece of work unless Ctrl-C or SIGTERM comes, which drops it where it
/// waits: what it made so far goes, and is nobody's crash. The second one ends
/// the program at once.
pub(crate) async fn unless_interrupted<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut wish = Interrupts::listen();
    let (sender, interrupted) = tokio::sync::oneshot::channel();
    let listening = tokio::spawn(async move {
        wish.next().await;
        let _ = sender.send(());
        wish.next().await;
        std::process::exit(130);
    });
    let done = tokio::select! {
        biased;
        done = work => Some(done),
        _ = interrupted => None,
    };
    listening.abort();
    done
}

/// Resolves at the next Ctrl-C or SIGTERM from now on.
pub(crate) fn interrupted() -> impl Future<Output = ()> {
    let mut wish = Interrupts::listen();
    async move { wish.next().await }
}

/// What a person or the system ends a command with.
struct Interrupts([Option<Signal>; 2]);

impl Interrupts {
    fn listen() -> Self {
        Self([SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).ok()))
    }

    async fn next(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            () = heard(interrupt) => {}
            () = heard(terminate) => {}
        }
    }
}

async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
