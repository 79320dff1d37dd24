//! Runs as they lie in the database.

use jiff::Timestamp;
use rusqlite::Row;
use serde::Serialize;
use tandem_model::{ResultDocument, TrialRecord};

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

/// What [`row`] reads.
pub(super) const ROW: &str =
    "SELECT run.id, run.experiment, run.subject, run.started_at, run.finished_at,
    run.stopped, run.origin, (SELECT COUNT(*) FROM trial WHERE trial.run = run.id) FROM run";

pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<ResultRow> {
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
