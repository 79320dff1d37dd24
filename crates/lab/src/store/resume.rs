//! What a run that ended early left, for going on with it.

use rusqlite::{OptionalExtension as _, params};
use tandem_model::{Digest, LaneReport, ProcessIdentity};
use tandem_probe::{alive, identity, machine};

use super::{ResultStore, StoreError, VERSION, damaged};
use crate::Earlier;

/// A run that can go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Resumable {
    /// Its first part.
    pub earlier: Earlier,
    /// What the caller kept with its plan.
    pub request: String,
    /// The image that it measured, which the rest must measure too.
    pub digest: Digest,
    /// Seed of its order and of its intervals.
    pub seed: u64,
}

/// Whoever carries a run out.
pub(super) fn own_process() -> Option<String> {
    serde_json::to_string(&identity(std::process::id())?).ok()
}

/// The columns that [`ResultStore::earlier`] looks at.
type Row = (Option<String>, Option<String>, Option<String>, Option<String>, Option<String>);

impl ResultStore {
    /// The run with this id, or with an id that begins so, when it ended early
    /// and this machine and version can go on with it.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotResumable`] with the reason.
    pub fn earlier(&self, id: &str) -> Result<Resumable, StoreError> {
        let stored = self.show(id)?;
        let id = stored.row.id.clone();
        let refused = |why: &str| StoreError::NotResumable { id: id.clone(), why: why.to_owned() };
        if stored.document.is_some() || stored.row.origin.is_some() {
            return Err(refused("it has its result, `tandem result show` shows it"));
        }
        let sql = "SELECT version, machine, process, request, lanes FROM run WHERE id = ?1";
        let read = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Row> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        };
        let found: Option<Row> = self
            .connection()
            .query_row(sql, [&id], read)
            .optional()
            .map_err(|source| self.failed("read", source))?;
        let sql = "SELECT digest, seed FROM run WHERE id = ?1";
        let (digest, seed): (String, i64) = self
            .connection()
            .query_row(sql, [&id], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(|source| self.failed("read", source))?;
        let (version, fingerprint, process, request, lanes) = found.unwrap_or_default();
        let begin = "begin a new run with `tandem experiment run`";
        let Some(request) = request.filter(|text| !text.is_empty()) else {
            return Err(refused(&format!(
                "an older Tandem did not write down what it was; {begin}"
            )));
        };
        if version.as_deref() != Some(VERSION) {
            let was = version.unwrap_or_default();
            let why = format!("it was begun with Tandem {was}, and this is {VERSION}; {begin}");
            return Err(refused(&why));
        }
        if fingerprint.as_deref() != Some(machine().fingerprint.as_str()) {
            let why = "it was begun on another machine, or on another kernel of this one; ";
            return Err(refused(&format!("{why}{begin}")));
        }
        let owner = process.and_then(|text| serde_json::from_str::<ProcessIdentity>(&text).ok());
        if let Some(owner) = owner.filter(|owner| alive(*owner) && stored.row.stopped.is_none()) {
            let why = format!("it still runs, in process {}: wait for it, or end it", owner.pid);
            return Err(refused(&why));
        }
        let lanes: Vec<LaneReport> = match lanes {
            Some(text) => serde_json::from_str(&text).map_err(|e| damaged(&id, &e))?,
            None => Vec::new(),
        };
        let digest = digest.parse().map_err(|_| StoreError::Damaged {
            id: id.clone(),
            reason: "its image has no digest".to_owned(),
        })?;
        let started_at = stored.row.started_at;
        Ok(Resumable {
            earlier: Earlier { id: id.clone(), started_at, lanes, trials: stored.trials },
            request,
            digest,
            seed: u64::try_from(seed).unwrap_or_default(),
        })
    }

    /// Notes that a run goes on, in this process.
    pub(crate) fn go_on(&self, id: &str) -> Result<(), StoreError> {
        let sql = "UPDATE run SET stopped = NULL, finished_at = NULL, process = ?2 WHERE id = ?1";
        self.write("write to", sql, params![id, own_process()])
    }

    /// Notes what the lanes of a run are.
    pub(crate) fn lanes(&self, id: &str, lanes: &[LaneReport]) -> Result<(), StoreError> {
        let text = serde_json::to_string(lanes).map_err(|e| damaged(id, &e))?;
        self.write("write to", "UPDATE run SET lanes = ?2 WHERE id = ?1", params![id, text])
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{Plan, analysis::tests::document};

    /// A run of nobody who lives, with one column changed.
    fn refused(change: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let store = ResultStore::open(&dir.path().join("results.db")).unwrap();
        let mut plan = Plan::new("compare", document(1).subject);
        plan.request = "{}".to_owned();
        store.begin("aa11bb22", &plan, Timestamp::now()).unwrap();
        let gone = r#"{"pid":1,"start":18446744073709551615}"#;
        store.write("write to", "UPDATE run SET process = ?1", [gone]).unwrap();
        assert!(store.earlier("aa11").is_ok());
        store.write("write to", change, []).unwrap();
        store.earlier("aa11").unwrap_err().to_string()
    }

    #[test]
    fn another_machine_or_version_does_not_go_on() {
        assert!(refused("UPDATE run SET version = '0.0.9'").contains("Tandem 0.0.9"));
        assert!(refused("UPDATE run SET machine = 'ff'").contains("another machine"));
        assert!(refused("UPDATE run SET request = NULL").contains("older Tandem"));
        assert!(refused("UPDATE run SET origin = 'imported'").contains("has its result"));
        assert!(refused("UPDATE run SET lanes = '[{'").contains("damaged"));
    }

    #[test]
    fn a_run_that_goes_on_is_left_alone() {
        let own = own_process().unwrap();
        let text = refused(&format!("UPDATE run SET process = '{own}'"));
        assert!(text.contains("still runs"), "{text}");
    }
}
