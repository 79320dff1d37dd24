//! The results on disk: one SQLite database in the home (WAL, so that readers
//! and the one writer do not wait for each other).
//!
//! A run is a row from its first moment on; each trial is a row as soon as it
//! is measured; a finished run holds its whole document. What a killed run had
//! measured can be read.

mod resume;
mod schema;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, Error::InvalidPath, OpenFlags, OptionalExtension as _, Row, params};
use serde::Serialize;
use tandem_model::{ErrorCode, ResultDocument, TrialRecord};
use tandem_probe::machine;

use crate::Plan;

/// What a run is resumed with must be what it began with.
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub use resume::Resumable;

/// Why results cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("cannot {action} the results in {path}: {source}", path = .path.display())]
    Database {
        /// What was tried, a verb.
        action: &'static str,
        /// The database.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// The database is of a later version, or not ours.
    #[error("{path} was not written by this version of Tandem ({reason}): move it away, or use a newer Tandem", path = .path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A stored document does not read back.
    #[error("the stored run {id} is damaged: {reason}")]
    Damaged {
        /// Run id.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A result with this id is here already.
    #[error("the result {0} is here already: `tandem result show {0}` shows it")]
    Known(String),
    /// No run has this id.
    #[error("there is no result `{0}`: `tandem result ls` lists them")]
    NoResult(String),
    /// A run that does not go on.
    #[error("the run {id} cannot be resumed: {why}")]
    NotResumable {
        /// Its id.
        id: String,
        /// Why not, and what to do.
        why: String,
    },
    /// Several runs match the beginning of an id.
    #[error("`{0}` is the beginning of several result ids: write more of it")]
    Ambiguous(String),
}

impl StoreError {
    /// What somebody can act on.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Database { source, .. }
                if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) =>
            {
                ErrorCode::NoSpace
            }
            Self::Database { .. } | Self::Foreign { .. } | Self::Damaged { .. } => {
                ErrorCode::Internal
            }
            Self::NoResult(_) => ErrorCode::NotFound,
            Self::Ambiguous(_) | Self::Known(_) | Self::NotResumable { .. } => ErrorCode::Usage,
        }
    }
}

/// A run as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ResultRow {
    /// Its id.
    pub id: String,
    /// Experiment id.
    pub experiment: String,
    /// What ran.
    pub subject: String,
    /// When it began.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub started_at: Timestamp,
    /// When it ended; null while it runs, and for one that was killed.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub finished_at: Option<Timestamp>,
    /// Why it has no result, when it was stopped.
    pub stopped: Option<String>,
    /// Where it came from when it was not measured by this home: `imported`,
    /// `merged`, or `recorded` for one that comes with the program.
    pub origin: Option<String>,
    /// Trials on disk.
    pub trials: u32,
}

/// A run as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRun {
    /// The row of the listing.
    pub row: ResultRow,
    /// The whole result of a finished run.
    pub document: Option<ResultDocument>,
    /// Its trials, in the order in which they ran.
    pub trials: Vec<TrialRecord>,
}

/// The database. Calls from several threads wait for each other.
#[derive(Debug)]
pub struct ResultStore {
    path: PathBuf,
    connection: Mutex<Connection>,
}

/// How long a writer waits for another process's.
const BUSY: Duration = Duration::from_secs(10);

impl ResultStore {
    /// Opens the database, makes it where needed and brings an older one up to
    /// date.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed =
            |source| StoreError::Database { action: "open", path: path.to_owned(), source };
        let mut connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        // A trial may cost minutes: it must survive a power cut.
        connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(failed)?;
        schema::migrate(&mut connection)
            .map_err(|reason| StoreError::Foreign { path: path.to_owned(), reason })?;
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection) })
    }

    /// Opens the database in a folder that cannot be written to, to look at it;
    /// where there is none it is empty. Nothing must change it meanwhile.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Self::open(Path::new(":memory:"));
        }
        let failed =
            |source| StoreError::Database { action: "open", path: path.to_owned(), source };
        let name = path.to_str().ok_or_else(|| failed(InvalidPath(path.to_owned())))?;
        let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        // Else a journal would have to be made (https://sqlite.org/uri.html).
        let address = format!("file:{name}?immutable=1");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let mut connection = Connection::open_with_flags(address, flags).map_err(failed)?;
        schema::readable(&mut connection)
            .map_err(|reason| StoreError::Foreign { path: path.to_owned(), reason })?;
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection) })
    }

    /// Notes that a run begins.
    pub(crate) fn begin(&self, id: &str, plan: &Plan, at: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO run (id, experiment, subject, image, digest, seed, started_at,
                                    version, machine, process, request)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let subject = &plan.subject;
        let seed = i64::try_from(plan.seed).unwrap_or(i64::MAX);
        let digest = subject.digest.as_str();
        let row = params![
            id,
            plan.experiment,
            subject.name,
            subject.image,
            digest,
            seed,
            at.to_string(),
            VERSION,
            machine().fingerprint,
            resume::own_process(),
            plan.request,
        ];
        self.write("write to", sql, row)
    }

    /// Writes a trial down. `position` counts all trials of the run.
    pub(crate) fn record(
        &self,
        run: &str,
        position: usize,
        trial: &TrialRecord,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO trial (run, position, lane, number, record)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        let record = serde_json::to_string(trial).map_err(|e| damaged(run, &e))?;
        self.write("write to", sql, params![run, position, trial.lane, trial.index, record])
    }

    /// Stores the result of a finished run.
    pub(crate) fn finish(&self, document: &ResultDocument) -> Result<(), StoreError> {
        let sql = "INSERT INTO run (id, experiment, subject, image, digest, seed, started_at, finished_at, document)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                   ON CONFLICT (id) DO UPDATE SET finished_at = ?8, document = ?9";
        let text = serde_json::to_string(document).map_err(|e| damaged(&document.id, &e))?;
        let subject = &document.subject;
        let row = params![
            document.id,
            document.experiment,
            subject.name,
            subject.image,
            subject.digest.as_str(),
            i64::try_from(document.design.seed).unwrap_or(i64::MAX),
            document.started_at.to_string(),
            document.finished_at.to_string(),
            text,
        ];
        self.write("write to", sql, row)
    }

    /// Puts a result in place of the one with its id.
    pub fn replace(&self, document: &ResultDocument) -> Result<(), StoreError> {
        let text = serde_json::to_string(document).map_err(|e| damaged(&document.id, &e))?;
        let sql = "UPDATE run SET document = ?2 WHERE id = ?1";
        self.write("write to", sql, params![document.id, text])
    }

    /// Notes why a run ended without a result.
    pub(crate) fn stop(&self, id: &str, why: &str) -> Result<(), StoreError> {
        let sql = "UPDATE run SET stopped = ?2, finished_at = ?3 WHERE id = ?1";
        self.write("write to", sql, params![id, why, Timestamp::now().to_string()])
    }

    /// Stores a result that was not measured here, with its trials, as one
    /// step. `origin` says where it came from.
    ///
    /// # Errors
    ///
    /// [`StoreError::Known`] when a result with its id is here already.
    pub fn take_in(&self, document: &ResultDocument, origin: &str) -> Result<(), StoreError> {
        if self.list()?.iter().any(|row| row.id == document.id) {
            return Err(StoreError::Known(document.id.clone()));
        }
        self.write("write to", "BEGIN IMMEDIATE", [])?;
        let written = self.finish(document).and_then(|()| {
            let sql = "UPDATE run SET origin = ?2 WHERE id = ?1";
            self.write("write to", sql, params![document.id, origin])?;
            (0..)
                .zip(&document.trials)
                .try_for_each(|(at, trial)| self.record(&document.id, at, trial))
        });
        let end = if written.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.write("write to", end, []);
        written.and(ended)
    }

    /// Removes the run with this id, or with an id that begins so, and its
    /// trials; the whole id.
    pub fn remove(&self, id: &str) -> Result<String, StoreError> {
        let row = self.find(id)?;
        self.write("write to", "DELETE FROM run WHERE id = ?1", [&row.id])?;
        Ok(row.id)
    }

    /// All runs, the latest first.
    pub fn list(&self) -> Result<Vec<ResultRow>, StoreError> {
        let sql = format!("{ROW} ORDER BY run.started_at DESC, run.id");
        let connection = self.connection();
        let read = || {
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map([], row)?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|source| self.failed("list", source))
    }

    /// The run with this id, or with an id that begins so.
    pub fn show(&self, id: &str) -> Result<StoredRun, StoreError> {
        let row = self.find(id)?;
        let connection = self.connection();
        let document: Option<String> = connection
            .query_row("SELECT document FROM run WHERE id = ?1", [&row.id], |row| row.get(0))
            .optional()
            .map_err(|source| self.failed("read", source))?
            .flatten();
        let read = || {
            let mut statement =
                connection.prepare("SELECT record FROM trial WHERE run = ?1 ORDER BY position")?;
            let records = statement.query_map([&row.id], |row| row.get::<_, String>(0))?;
            records.collect::<Result<Vec<_>, _>>()
        };
        let records = read().map_err(|source| self.failed("read", source))?;
        let parse = |text: String| serde_json::from_str(&text).map_err(|e| damaged(&row.id, &e));
        let document = document
            .map(|text| serde_json::from_str(&text).map_err(|e| damaged(&row.id, &e)))
            .transpose()?;
        let trials = records.into_iter().map(parse).collect::<Result<_, _>>()?;
        Ok(StoredRun { row, document, trials })
    }

    fn find(&self, id: &str) -> Result<ResultRow, StoreError> {
        let mut matching: Vec<_> =
            self.list()?.into_iter().filter(|row| row.id.starts_with(id)).collect();
        match (matching.pop(), matching.is_empty()) {
            (Some(row), true) if !id.is_empty() => Ok(row),
            (Some(_), false) if !id.is_empty() => Err(StoreError::Ambiguous(id.to_owned())),
            _ => Err(StoreError::NoResult(id.to_owned())),
        }
    }

    fn write(
        &self,
        action: &'static str,
        sql: &str,
        row: impl rusqlite::Params,
    ) -> Result<(), StoreError> {
        let written = self.connection().execute(sql, row);
        written.map(drop).map_err(|source| self.failed(action, source))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere leaves no half-done statement behind.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, action: &'static str, source: rusqlite::Error) -> StoreError {
        StoreError::Database { action, path: self.path.clone(), source }
    }
}

const ROW: &str = "SELECT run.id, run.experiment, run.subject, run.started_at, run.finished_at,
    run.stopped, run.origin, (SELECT COUNT(*) FROM trial WHERE trial.run = run.id) FROM run";

fn row(row: &Row<'_>) -> rusqlite::Result<ResultRow> {
    let time = |at: usize| -> rusqlite::Result<Option<Timestamp>> {
        let text: Option<String> = row.get(at)?;
        text.map(|text| text.parse()).transpose().map_err(|e: jiff::Error| {
            rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(e))
        })
    };
    Ok(ResultRow {
        id: row.get(0)?,
        experiment: row.get(1)?,
        subject: row.get(2)?,
        started_at: time(3)?.unwrap_or_default(),
        finished_at: time(4)?,
        stopped: row.get(5)?,
        origin: row.get(6)?,
        trials: row.get(7)?,
    })
}

fn damaged(id: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Damaged { id: id.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::tests::document;

    fn open() -> (tempfile::TempDir, ResultStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = ResultStore::open(&dir.path().join("results.db")).unwrap();
        (dir, store)
    }

    #[test]
    fn a_run_is_there_from_its_first_trial_on() {
        let (dir, store) = open();
        let document = document(2);
        let plan = Plan::new("compare", document.subject.clone());
        store.begin("aa11bb22", &plan, Timestamp::now()).unwrap();
        store.record("aa11bb22", 0, &document.trials[0]).unwrap();
        store.record("aa11bb22", 1, &document.trials[1]).unwrap();
        // Somebody else reads what a killed run left.
        let other = ResultStore::open(&dir.path().join("results.db")).unwrap();
        let found = other.show("aa11").unwrap();
        assert_eq!((found.row.trials, found.row.finished_at), (2, None));
        assert_eq!(found.trials, document.trials[..2]);
        assert_eq!(found.document, None);
        store.stop("aa11bb22", "the run was cancelled").unwrap();
        assert_eq!(other.list().unwrap()[0].stopped.as_deref(), Some("the run was cancelled"));
    }

    #[test]
    fn what_cannot_be_written_to_can_be_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("odd %41?#.db");
        assert_eq!(ResultStore::open_read_only(&path).unwrap().list().unwrap(), []);
        assert!(!path.exists());
        let document = document(2);
        let plan = Plan::new("compare", document.subject.clone());
        let store = ResultStore::open(&path).unwrap();
        store.begin("aa11bb22", &plan, Timestamp::now()).unwrap();
        drop(store);
        let looking = ResultStore::open_read_only(&path).unwrap();
        assert_eq!(looking.list().unwrap().len(), 1);
        drop(looking);
        // One of an earlier version too, which cannot be brought up to date.
        let older = Connection::open(&path).unwrap();
        older.execute_batch("DROP INDEX trial_run; PRAGMA user_version = 3;").unwrap();
        drop(older);
        let looking = ResultStore::open_read_only(&path).unwrap();
        assert_eq!(looking.list().unwrap().len(), 1);
        assert!(looking.stop("aa11bb22", "by whoever looks").is_err());
    }

    #[test]
    fn a_finished_run_reads_back_whole() {
        let (_dir, store) = open();
        let document = document(3);
        store.finish(&document).unwrap();
        let found = store.show(&document.id).unwrap();
        assert_eq!(found.document, Some(document));
        assert!(matches!(store.show("ff"), Err(StoreError::NoResult(_))));
        assert!(matches!(store.show(""), Err(StoreError::NoResult(_))));
    }

    #[test]
    fn the_beginning_of_two_ids_names_neither() {
        let (_dir, store) = open();
        let plan = Plan::new("compare", document(1).subject);
        for id in ["ab000001", "ab000002"] {
            store.begin(id, &plan, Timestamp::now()).unwrap();
        }
        assert!(matches!(store.show("ab"), Err(StoreError::Ambiguous(_))));
    }

    #[test]
    fn a_database_of_another_time_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.db");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 999).unwrap();
        drop(connection);
        assert!(matches!(ResultStore::open(&path), Err(StoreError::Foreign { .. })));
        std::fs::write(&path, "this is no database, whatever its name says").unwrap();
        assert!(ResultStore::open(&path).is_err());
    }
}
