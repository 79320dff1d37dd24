//! The results on disk: one SQLite database in the home (WAL, so that readers
//! and the one writer do not wait for each other).
//!
//! A run is a row from its first moment on; each trial is a row as soon as it
//! is measured; a finished run holds its whole document. What a killed run had
//! measured can be read.

mod error;
mod resume;
mod row;
mod schema;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, Error::InvalidPath, OpenFlags, OptionalExtension as _, params};
use tandem_model::{ResultDocument, TrialRecord};
use tandem_probe::machine;

use crate::Plan;

pub use error::StoreError;
pub use resume::Resumable;
use row::{ROW, row};
pub use row::{ResultRow, StoredRun};

/// What a run is resumed with must be what it began with.
const VERSION: &str = env!("CARGO_PKG_VERSION");

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

    /// Writes a trial down, behind those of the run that are there: fewer than
    /// were measured, where a disk was full in between.
    pub(crate) fn record(&self, run: &str, trial: &TrialRecord) -> Result<(), StoreError> {
        let sql = "INSERT INTO trial (run, position, lane, number, record)
                   SELECT ?1, coalesce(max(position) + 1, 0), ?2, ?3, ?4
                   FROM trial WHERE run = ?1";
        let record = serde_json::to_string(trial).map_err(|e| damaged(run, &e))?;
        self.write("write to", sql, params![run, trial.lane, trial.index, record])
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
            document.trials.iter().try_for_each(|trial| self.record(&document.id, trial))
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

fn damaged(id: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Damaged { id: id.to_owned(), reason: error.to_string() }
}
