//! The terminals that the page has open: their output in pieces that fit a
//! frame, and no more of it on the way than the page can draw.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tandem_app::{Cancel, OpenedTerminal, Terminal, TerminalEnd, TerminalKeys, TerminalSize};
use tandem_model::{ErrorCode, Failure};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

/// The most that may be on its way to the page, in bytes.
const WINDOW: usize = 256 * 1024;
/// The most that one message carries.
const MESSAGE: usize = 64 * 1024;
/// Output that comes within this time goes in one message.
const FRAME: Duration = Duration::from_millis(6);
/// The page is given this long to draw the last output before it is told of
/// the end.
const LAST: Duration = Duration::from_secs(2);
/// Closing all terminals may take this long.
const CLOSING: Duration = Duration::from_secs(4);

/// All that are open, by number.
#[derive(Default)]
pub(crate) struct Terminals(Mutex<Table>);

#[derive(Default)]
struct Table {
    opened: u32,
    open: HashMap<u32, Entry>,
}

struct Entry {
    /// Until somebody follows it.
    waiting: Option<Terminal>,
    keys: TerminalKeys,
    closed: Cancel,
    /// Bytes on their way to the page.
    away: watch::Sender<usize>,
}

impl Terminals {
    /// Takes a terminal in.
    pub(crate) fn add(&self, terminal: Terminal) -> OpenedTerminal {
        let mut table = self.lock();
        table.opened += 1;
        let (id, command) = (table.opened, terminal.command().to_owned());
        let entry = Entry {
            keys: terminal.keys(),
            waiting: Some(terminal),
            closed: Cancel::new(),
            away: watch::Sender::new(0),
        };
        table.open.insert(id, entry);
        OpenedTerminal { id, command }
    }

    /// Carries a terminal's output to its end. `send` returns false when the
    /// page is gone.
    pub(crate) async fn follow(
        &self,
        id: u32,
        send: impl Fn(Vec<u8>) -> bool,
    ) -> Result<TerminalEnd, Failure> {
        let taken = self.lock().open.get_mut(&id).and_then(|entry| {
            Some((entry.waiting.take()?, entry.closed.clone(), entry.away.clone()))
        });
        let Some((mut terminal, closed, away)) = taken else {
            let text = "the terminal is closed already: open another one";
            return Err(Failure::new(ErrorCode::NotFound, text.to_owned()));
        };
        let carried = tokio::select! {
            () = carry(&mut terminal, &away, send) => true,
            () = closed.cancelled() => false,
        };
        let end = if carried { terminal.end().await } else { terminal.close().await };
        self.lock().open.remove(&id);
        Ok(end)
    }

    /// Types into a terminal.
    pub(crate) async fn type_in(&self, id: u32, bytes: &[u8]) {
        let found = self.lock().open.get(&id).map(|it| (it.keys.clone(), it.closed.clone()));
        let Some((keys, closed)) = found else { return };
        tokio::select! {
            () = keys.type_in(bytes) => {}
            () = closed.cancelled() => {}
        }
    }

    /// Gives a terminal another size.
    pub(crate) fn resize(&self, id: u32, size: TerminalSize) {
        if let Some(entry) = self.lock().open.get(&id) {
            entry.keys.resize(size);
        }
    }

    /// So many bytes have been drawn.
    pub(crate) fn taken(&self, id: u32, bytes: u32) {
        if let Some(entry) = self.lock().open.get(&id) {
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            entry.away.send_modify(|away| *away = away.saturating_sub(bytes));
        }
    }

    /// Closes a terminal.
    pub(crate) fn close(&self, id: u32) {
        let mut table = self.lock();
        let Some(entry) = table.open.get(&id) else { return };
        entry.closed.cancel();
        if entry.waiting.is_some() {
            // Nobody follows it, and dropping it ends it.
            table.open.remove(&id);
        }
    }

    /// Closes all of them, and waits for their shells.
    pub(crate) async fn close_all(&self) {
        let ids: Vec<_> = self.lock().open.keys().copied().collect();
        for id in &ids {
            self.close(*id);
        }
        let over = async {
            while ids.iter().any(|id| self.lock().open.contains_key(id)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // What is left then ends with this program.
        let _ = timeout(CLOSING, over).await;
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn carry(
    terminal: &mut Terminal,
    away: &watch::Sender<usize>,
    send: impl Fn(Vec<u8>) -> bool,
) {
    let mut drawn = away.subscribe();
    loop {
        let _ = drawn.wait_for(|away| *away < WINDOW).await;
        let Some(piece) = terminal.read().await else { break };
        let piece = gather(terminal, piece).await;
        away.send_modify(|away| *away += piece.len());
        if !send(piece) {
            return;
        }
    }
    let _ = timeout(LAST, drawn.wait_for(|away| *away == 0)).await;
}

/// A piece with what comes right behind it. A lone key's echo is not kept
/// waiting for long.
async fn gather(terminal: &mut Terminal, mut piece: Vec<u8>) -> Vec<u8> {
    let limit = Instant::now() + FRAME;
    while piece.len() < MESSAGE {
        match timeout_at(limit, terminal.read()).await {
            Ok(Some(more)) => piece.extend_from_slice(&more),
            Ok(None) | Err(_) => break,
        }
    }
    piece
}
