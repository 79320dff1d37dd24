use std::{
    io::{self, IsTerminal as _, Write},
    task::Poll,
    time::Duration,
};

use tandem_app::App;
use tandem_backend::{AttachEvent, Attached, RawMode, Stream, WindowSize};
use tandem_model::Exit;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
};

use super::{keys::DetachKeys, typing::pass_on};

/// How much later one may hear of the keys than the supervisor does.
const MOMENT: Duration = Duration::from_millis(500);

/// One command joined to one app.
pub(crate) struct Session<'a> {
    pub(crate) app: &'a App,
    /// The instance's id.
    pub(crate) instance: &'a str,
    /// The app has a terminal.
    pub(crate) terminal: bool,
    /// Standard input is passed on.
    pub(crate) input: bool,
    pub(crate) keys: DetachKeys,
    /// Signals are passed on to an app without a terminal.
    pub(crate) proxy: bool,
}

/// Why a session is over.
#[derive(Debug)]
pub(crate) enum Left {
    /// The app has ended.
    Ended(Option<Exit>),
    /// The keys were typed; the app goes on.
    Detached,
    /// Whoever read our output is gone; the app goes on.
    NobodyReads,
    /// The supervisor let go without a word.
    Lost,
}

/// The signals that belong to the app while a command stands for it. Those
/// that come before anybody asks are kept.
pub(crate) struct Signals(Vec<(i32, Signal)>);

impl Signals {
    /// Takes them over from now on.
    pub(crate) fn take() -> io::Result<Self> {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::quit(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
        ];
        let own = |kind: SignalKind| Ok((kind.as_raw_value(), signal(kind)?));
        kinds.into_iter().map(own).collect::<io::Result<_>>().map(Self)
    }

    /// The number of the next one. May be dropped while it waits.
    async fn next(&mut self) -> i32 {
        std::future::poll_fn(|context| {
            for (number, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(*number);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Resolves when one comes that asks for an end.
    pub(crate) async fn ended(&mut self) {
        let ends = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        loop {
            let number = self.next().await;
            if ends.iter().any(|kind| kind.as_raw_value() == number) {
                return;
            }
        }
    }
}

impl Session<'_> {
    /// Stands for the app until it ends or is left alone.
    pub(crate) async fn run(self, attached: Attached, mut signals: Signals) -> io::Result<Left> {
        let (input, mut output) = attached.split();
        let typist = self.input && io::stdin().is_terminal();
        let raw = (self.terminal && typist).then(|| RawMode::enter(io::stdin())).transpose()?;
        let mut resized = signal(SignalKind::window_change())?;
        let (sizes, wanted) = mpsc::unbounded_channel();
        let (left, mut detached) = oneshot::channel();
        let keys = (self.terminal && self.input).then(|| self.keys.clone());
        let typing = tokio::spawn(pass_on(input, self.input, keys, wanted, left));
        let mut asked = false;
        self.tell_size(&sizes);
        let over = loop {
            tokio::select! {
                biased;
                Ok(()) = &mut detached => break Left::Detached,
                event = output.next() => match event {
                    None => {
                        // It may be the answer to the keys, of which we hear as well.
                        let keys = tokio::time::timeout(MOMENT, &mut detached).await;
                        break if matches!(keys, Ok(Ok(()))) { Left::Detached } else { Left::Lost };
                    }
                    Some(AttachEvent::End(exit)) => break Left::Ended(exit),
                    Some(AttachEvent::Output(stream, bytes)) => {
                        if show(stream, &bytes).is_err() {
                            break Left::NobodyReads;
                        }
                    }
                },
                _ = resized.recv() => self.tell_size(&sizes),
                number = signals.next(), if self.proxy || !self.terminal => {
                    self.pass_signal(number, &mut asked).await;
                }
            }
        };
        typing.abort();
        drop(raw);
        Ok(over)
    }

    fn tell_size(&self, sizes: &mpsc::UnboundedSender<WindowSize>) {
        let size = WindowSize::of(io::stdout()).or_else(|| WindowSize::of(io::stdin()));
        if let (true, Some(size)) = (self.terminal, size) {
            let _ = sizes.send(size);
        }
    }

    /// The first wish for an end goes to the app, the second kills it.
    async fn pass_signal(&self, number: i32, asked: &mut bool) {
        let wish = [SignalKind::interrupt(), SignalKind::terminate()];
        let wish = wish.iter().any(|kind| kind.as_raw_value() == number);
        let again = wish && std::mem::replace(asked, true);
        let name = if again { "KILL".to_owned() } else { number.to_string() };
        // It may end at the same moment.
        if self.app.signal(self.instance, &name).await.is_ok() && wish && !again {
            crate::output::complain("passed on to the app; once more kills it");
        }
    }
}

/// Shows a piece of output where it belongs.
fn show(stream: Stream, bytes: &[u8]) -> io::Result<()> {
    let write = |mut target: &mut dyn Write| {
        target.write_all(bytes)?;
        Write::flush(&mut target)
    };
    match stream {
        Stream::Stdout => write(&mut io::stdout().lock()),
        Stream::Stderr => write(&mut io::stderr().lock()),
    }
}
