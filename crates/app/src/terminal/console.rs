use std::{
    fs::File,
    io::{self, Read as _},
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use tandem_model::{InstanceId, InstanceState};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::Mutex,
    time::Instant,
};

use super::{Source, Terminal};
use crate::{App, AppError, changes::Changes};

/// How often one that cannot be typed into yet is tried.
const TRY: Duration = Duration::from_millis(250);
/// So much of a console is kept in its file; after that only its line has it.
const KEPT: u64 = 1 << 20;
const PIECE: usize = 16 * 1024;

/// The way in, once the machine has come up.
type Way = Arc<Mutex<Option<OwnedWriteHalf>>>;

/// A serial console. The file has it from the machine's start on, without a
/// gap; the line is there to type, and to read on when the file is full.
pub(super) struct ConsoleLine {
    app: Weak<App>,
    id: InstanceId,
    path: PathBuf,
    changes: Changes,
    file: Option<File>,
    shown: u64,
    line: Option<OwnedReadHalf>,
    tried: Option<Instant>,
    keys: Keys,
}

/// What is typed there.
#[derive(Clone)]
pub(super) struct Keys(Way);

impl App {
    pub(super) fn open_console_line(
        self: &Arc<Self>,
        instance: &str,
    ) -> Result<Terminal, AppError> {
        let record = self.machine_with_console(instance)?;
        let line = ConsoleLine {
            app: Arc::downgrade(self),
            path: self.console_log(&record.id),
            changes: self.changes_of_logs(&record),
            id: record.id,
            file: None,
            shown: 0,
            line: None,
            tried: None,
            keys: Keys(Way::default()),
        };
        let command = format!("tandem console {}", record.spec.name);
        Ok(Terminal { command, source: Source::Console(line) })
    }
}

impl ConsoleLine {
    pub(super) fn keys(&self) -> Keys {
        self.keys.clone()
    }

    pub(super) async fn read(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; PIECE];
        loop {
            // The state is read before the file: what is written in between is
            // then still shown.
            let up = self.app.upgrade()?.is_up(&self.id).unwrap_or(false);
            self.reach().await;
            let count = self.next(&mut buffer).unwrap_or(0);
            if count > 0 {
                self.shown += count as u64;
                buffer.truncate(count);
                return Some(buffer);
            }
            if !up {
                return None;
            }
            let heard = match &mut self.line {
                Some(line) => tokio::select! {
                    count = line.read(&mut buffer) => Some(count),
                    () = self.changes.next() => None,
                },
                None => {
                    self.changes.within(TRY).await;
                    continue;
                }
            };
            match heard {
                Some(Ok(count @ 1..)) if self.shown >= KEPT => {
                    buffer.truncate(count);
                    return Some(buffer);
                }
                // The file has it as well.
                Some(Ok(1..)) | None => {}
                Some(Ok(0) | Err(_)) => self.lose().await,
            }
        }
    }

    fn next(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::open(&self.path)?),
        };
        file.read(buffer)
    }

    /// Takes hold of the line, where that can be done already.
    async fn reach(&mut self) {
        if self.line.is_some() || self.tried.is_some_and(|at| at.elapsed() < TRY) {
            return;
        }
        self.tried = Some(Instant::now());
        let Some(app) = self.app.upgrade() else { return };
        let running =
            app.inspect(self.id.as_str()).is_ok_and(|it| it.state == InstanceState::Running);
        if !running {
            return;
        }
        if let Ok((_, stream)) = app.console(self.id.as_str()).await {
            let (line, way) = stream.into_split();
            self.line = Some(line);
            *self.keys.0.lock().await = Some(way);
        }
    }

    async fn lose(&mut self) {
        self.line = None;
        *self.keys.0.lock().await = None;
    }
}

impl Keys {
    pub(super) async fn type_in(&self, bytes: &[u8]) {
        if let Some(way) = self.0.lock().await.as_mut() {
            // A line that was lost is found anew by whoever reads.
            let _ = way.write_all(bytes).await;
        }
    }
}
