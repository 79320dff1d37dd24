use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use tandem_guest::wire::{
    APP, FromGuest, INPUT_WINDOW, LONGEST, OUTPUT_WINDOW, Stream, ToGuest, Window, cost,
};
use tokio::sync::Notify;

use super::{Agent, AgentError};

/// What came of a task.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Its answer.
    Answer(FromGuest),
    /// Output. Give the guest room for more with [`Task::taken`].
    Data(Stream, Vec<u8>),
    /// It ended with this code, after all its output.
    Exited(i32),
    /// The machine is gone.
    Gone,
}

/// What the reading side knows of a task. Everything in it is bounded: data by
/// the window, the rest by being one.
#[derive(Debug)]
pub(super) struct Shared {
    answer: RefCell<Option<FromGuest>>,
    data: RefCell<VecDeque<(Stream, Vec<u8>)>>,
    exit: Cell<Option<i32>>,
    gone: Cell<bool>,
    /// What the guest may still send.
    window: Cell<usize>,
    /// What may still be sent to the guest.
    credit: Cell<usize>,
    changed: Notify,
    credited: Notify,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            answer: RefCell::default(),
            data: RefCell::default(),
            exit: Cell::new(None),
            gone: Cell::new(false),
            window: Cell::new(OUTPUT_WINDOW),
            credit: Cell::new(INPUT_WINDOW),
            changed: Notify::new(),
            credited: Notify::new(),
        }
    }
}

impl Shared {
    /// Takes data from the guest; `false` when it was not allowed.
    pub(super) fn take_data(&self, stream: Stream, bytes: Vec<u8>) -> bool {
        let Some(left) = self.window.get().checked_sub(cost(bytes.len())) else { return false };
        if stream == Stream::Stdin || self.exit.get().is_some() {
            return false;
        }
        self.window.set(left);
        self.data.borrow_mut().push_back((stream, bytes));
        self.changed.notify_one();
        true
    }

    /// Takes a message from the guest; `false` when it was not allowed.
    pub(super) fn take(&self, message: FromGuest) -> bool {
        match message {
            FromGuest::Credit { cost } => {
                let Some(credit) = self.credit.get().checked_add(cost) else { return false };
                if credit > INPUT_WINDOW {
                    return false;
                }
                self.credit.set(credit);
                self.credited.notify_one();
            }
            FromGuest::Exited { code, .. } => {
                if self.exit.get().is_some() {
                    return false;
                }
                // A hostile guest may say any number; exit codes have a byte.
                self.exit.set(Some(code & 0xff));
                self.changed.notify_one();
            }
            answer => {
                if self.answer.borrow().is_some() {
                    return false;
                }
                self.answer.replace(Some(answer));
                self.changed.notify_one();
            }
        }
        true
    }

    /// Gives room for more input. The app's may be more than was ever taken:
    /// what a former host sent before a snapshot is given back to this one.
    pub(super) fn grant(&self, cost: usize) {
        self.credit.set(self.credit.get().saturating_add(cost).min(INPUT_WINDOW));
        self.credited.notify_one();
    }

    /// Nothing more comes.
    pub(super) fn lose(&self) {
        self.gone.set(true);
        self.changed.notify_one();
        self.credited.notify_one();
    }

    fn next(&self) -> Option<Event> {
        if let Some(answer) = self.answer.borrow_mut().take() {
            return Some(Event::Answer(answer));
        }
        if let Some((stream, bytes)) = self.data.borrow_mut().pop_front() {
            return Some(Event::Data(stream, bytes));
        }
        let exited = self.exit.get().map(Event::Exited);
        exited.or_else(|| self.gone.get().then_some(Event::Gone))
    }
}

/// Something that runs in the guest. Dropping it ends that.
pub(crate) struct Task {
    id: u32,
    shared: Rc<Shared>,
    agent: Agent,
}

impl Task {
    pub(super) fn new(id: u32, shared: Rc<Shared>, agent: Agent) -> Self {
        Self { id, shared, agent }
    }

    /// What comes next: the answer, then data, then the end. May be dropped
    /// while it waits.
    pub(crate) async fn next(&self) -> Event {
        loop {
            if let Some(event) = self.shared.next() {
                return event;
            }
            self.shared.changed.notified().await;
        }
    }

    /// So many bytes of one [`Event::Data`] were passed on.
    pub(crate) async fn taken(&self, count: usize) -> Result<(), AgentError> {
        let cost = cost(count);
        self.shared.window.set((self.shared.window.get() + cost).min(OUTPUT_WINDOW));
        self.agent.send(self.id, ToGuest::Credit { cost }).await
    }

    /// Sends input as the guest takes it.
    pub(crate) async fn input(&self, bytes: &[u8]) -> Result<(), AgentError> {
        for piece in bytes.chunks(LONGEST) {
            let cost = cost(piece.len());
            loop {
                if self.shared.gone.get() || self.shared.exit.get().is_some() {
                    return Err(AgentError::Gone);
                }
                if let Some(left) = self.shared.credit.get().checked_sub(cost) {
                    self.shared.credit.set(left);
                    break;
                }
                self.shared.credited.notified().await;
            }
            self.agent.send_input(self.id, piece.to_vec()).await?;
        }
        Ok(())
    }

    /// No more input will come.
    pub(crate) async fn end_input(&self) -> Result<(), AgentError> {
        self.agent.send(self.id, ToGuest::EndOfInput).await
    }

    /// Sends it a signal.
    pub(crate) async fn signal(&self, number: i32) -> Result<(), AgentError> {
        self.agent.send(self.id, ToGuest::Signal { number }).await
    }

    /// Its terminal has this size.
    pub(crate) async fn resize(&self, size: Window) -> Result<(), AgentError> {
        self.agent.send(self.id, ToGuest::Resize(size)).await
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.agent.tasks.borrow_mut().remove(&self.id);
        if self.id == APP {
            // It ends by itself.
            return;
        }
        if self.shared.exit.get().is_none() && !self.shared.gone.get() {
            // A guest that does not read now keeps it until its end.
            let _ = self.agent.tell(self.id, ToGuest::Cancel);
        }
    }
}
