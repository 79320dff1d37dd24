//! A lesson's conditions, looked up in the real state.

use std::{
    fs::File,
    io::Read as _,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use serde::Serialize;
use tandem_lesson::{Block, Check, Condition, InstanceWish};
use tandem_model::{ErrorCode, InstanceState};
use tandem_probe::get;

use super::{LessonProgress, Spot, block_at};
use crate::{App, AppError};

/// How long an app may take to answer: it may have just been started.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long it may answer something else first.
const SETTLED: Duration = Duration::from_secs(3);
/// One request of it, and the time between two.
const ANSWER: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(250);
/// What is read of a file.
const READ: u64 = 1 << 20;

/// What the checks of a block found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct CheckOutcome {
    /// All hold.
    pub whole: bool,
    /// For each check what it asks, and what is the case instead if it does
    /// not hold.
    pub found: Vec<Looked>,
    /// How far the lesson is done now.
    pub progress: LessonProgress,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct Looked {
    /// What it asks.
    pub asks: String,
    /// What is the case instead.
    pub instead: Option<String>,
}

impl App {
    /// Looks the checks of a block up.
    pub async fn check_lesson(&self, id: &str, spot: Spot) -> Result<CheckOutcome, AppError> {
        let lesson = self.read_lesson(id)?;
        let Block::Check { checks } = block_at(&lesson, spot)? else {
            return Err(AppError::Usage("there is no check here".to_owned()));
        };
        let folder = self.lesson_folder(id)?;
        let mut found = Vec::new();
        for Condition { asks, check } in checks {
            let instead = self.instead_of(&folder, check).await?;
            found.push(Looked { asks: asks.clone(), instead });
        }
        let whole = found.iter().all(|one| one.instead.is_none());
        let progress = self.change_progress(id, |progress| {
            if whole {
                progress.at(spot).whole = true;
            }
        })?;
        Ok(CheckOutcome { whole, found, progress })
    }

    /// What is the case instead of what is asked.
    async fn instead_of(&self, folder: &Path, check: &Check) -> Result<Option<String>, AppError> {
        Ok(match check {
            Check::File { path, contains } => file(folder, path, contains.as_deref()),
            Check::Image { name } => match self.image(name) {
                Ok(_) => None,
                Err(e) if e.code() == ErrorCode::NotFound => Some("there is none".to_owned()),
                Err(e) => return Err(e),
            },
            Check::Instance { name, wish } => self.instance_instead(name, *wish)?,
            Check::Port { ports, contains } => {
                // Without an instance there is nothing to wait for.
                let patience = if self.publishes(ports)? { PATIENCE } else { Duration::ZERO };
                port(ports, contains.as_deref(), patience).await
            }
            Check::Volume { name } => match self.volume(name) {
                Ok(_) => None,
                Err(e) if e.code() == ErrorCode::NotFound => Some("there is none".to_owned()),
                Err(e) => return Err(e),
            },
            Check::Result { experiment } => {
                let finished = self.list_results()?.into_iter().any(|row| {
                    row.experiment == *experiment
                        && row.finished_at.is_some()
                        && row.stopped.is_none()
                });
                (!finished).then(|| "it was not carried out to its end yet".to_owned())
            }
        })
    }

    /// Whether an instance that is up has one of these ports.
    fn publishes(&self, ports: &[u16]) -> Result<bool, AppError> {
        let mut up = self.instances.list()?.into_iter().filter(|record| record.state.is_up());
        Ok(up.any(|record| record.ports.iter().any(|port| ports.contains(&port.host_port))))
    }

    fn instance_instead(&self, name: &str, wish: InstanceWish) -> Result<Option<String>, AppError> {
        let state = match self.instances.find(name) {
            Ok(record) => Some(record.state),
            Err(e) if e.code() == ErrorCode::NotFound => None,
            Err(e) => return Err(e.into()),
        };
        let holds = match wish {
            InstanceWish::Running => state.is_some_and(InstanceState::is_up),
            InstanceWish::Stopped => state.is_some_and(|state| !state.is_up()),
            InstanceWish::Absent => state.is_none(),
        };
        Ok((!holds).then(|| match state {
            Some(state) if state.is_up() => "it runs".to_owned(),
            Some(_) => "it does not run".to_owned(),
            None => "there is none".to_owned(),
        }))
    }
}

fn file(folder: &Path, path: &str, contains: Option<&str>) -> Option<String> {
    let real = folder.join(path).canonicalize();
    let beneath = folder.canonicalize().is_ok_and(|folder| {
        real.as_ref().is_ok_and(|real| real.starts_with(folder) && real.is_file())
    });
    if real.is_ok() && !beneath {
        // A link could lead anywhere, and a pipe would be waited for.
        return Some("it is no file in the lesson's folder".to_owned());
    }
    let mut bytes = Vec::new();
    let read = real.and_then(File::open).and_then(|it| it.take(READ).read_to_end(&mut bytes));
    match (read, contains) {
        (Err(e), _) if e.kind() == std::io::ErrorKind::NotFound => Some("it is not there".into()),
        (Err(e), _) => Some(e.to_string()),
        (Ok(_), Some(text)) if !String::from_utf8_lossy(&bytes).contains(text) => {
            Some("it does not".to_owned())
        }
        _ => None,
    }
}

/// Asks each port until one answers as it should, or for a while.
async fn port(ports: &[u16], contains: Option<&str>, mut patience: Duration) -> Option<String> {
    let begun = tokio::time::Instant::now();
    let mut last = String::new();
    loop {
        for port in ports {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
            match get(address, "/", ANSWER).await {
                Ok(body) => {
                    let text = String::from_utf8_lossy(&body.bytes);
                    if body.status < 400 && contains.is_none_or(|wanted| text.contains(wanted)) {
                        return None;
                    }
                    patience = patience.min(SETTLED);
                    let begin: String = text.chars().take(60).collect();
                    last = format!("port {port} answered {} “{}”", body.status, begin.trim());
                }
                Err(e) if last.is_empty() || ports.len() == 1 => last = e.to_string(),
                Err(_) => {}
            }
        }
        if begun.elapsed() > patience {
            return Some(last);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_in_the_folder_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(outside.path(), "word").unwrap();
        std::fs::write(folder.path().join("inside"), "word").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        let found = |path: &str| file(folder.path(), path, Some("word"));
        assert_eq!(found("inside"), None);
        assert_eq!(found("none").as_deref(), Some("it is not there"));
        assert_eq!(file(folder.path(), "inside", Some("x")).as_deref(), Some("it does not"));
        for path in ["link", "folder"] {
            assert!(found(path).unwrap().contains("no file in the lesson's folder"), "{path}");
        }
    }
}
