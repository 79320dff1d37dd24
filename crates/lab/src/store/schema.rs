use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

/// The steps from an empty database to the present one. A step that was ever
/// released is never changed; a new version is a new step at the end.
const STEPS: &[M<'static>] = &[
    M::up(
        "CREATE TABLE run (
        id          TEXT PRIMARY KEY,
        experiment  TEXT NOT NULL,
        subject     TEXT NOT NULL,
        image       TEXT NOT NULL,
        digest      TEXT NOT NULL,
        seed        INTEGER NOT NULL,
        started_at  TEXT NOT NULL, -- RFC 3339
        finished_at TEXT,
        stopped     TEXT,          -- why there is no document
        document    TEXT           -- JSON, tandem.result/1
    ) STRICT;
    CREATE INDEX run_started_at ON run (started_at);
    CREATE TABLE trial (
        run      TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        position INTEGER NOT NULL, -- in the order of the run
        lane     TEXT NOT NULL,
        number   INTEGER NOT NULL, -- within the lane
        record   TEXT NOT NULL,    -- JSON
        PRIMARY KEY (run, position)
    ) STRICT, WITHOUT ROWID;",
    ),
    // Where a result came from that was not measured here.
    M::up("ALTER TABLE run ADD COLUMN origin TEXT;"),
    // What it takes to go on with a run that ended early.
    M::up(
        "ALTER TABLE run ADD COLUMN version TEXT;
    ALTER TABLE run ADD COLUMN machine TEXT; -- fingerprint
    ALTER TABLE run ADD COLUMN process TEXT; -- JSON: who carries it out
    ALTER TABLE run ADD COLUMN request TEXT; -- the caller's, to plan it again
    ALTER TABLE run ADD COLUMN lanes TEXT;   -- JSON: the lanes as they were found",
    ),
    // A listing counts trials and shows a few words of each run; neither
    // records nor documents need be read for that.
    M::up(
        "CREATE INDEX trial_run ON trial (run);
    CREATE INDEX run_listing ON run
        (started_at DESC, id, experiment, subject, finished_at, stopped, origin);",
    ),
];

/// Brings a database up to date; a sentence when it is not ours.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), String> {
    let steps = Migrations::from_slice(STEPS);
    // Somebody else may be making the same tables at this moment; afterwards
    // there is nothing left to do.
    for _ in 0..10 {
        if steps.to_latest(connection).is_ok() {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    steps.to_latest(connection).map_err(|e| e.to_string())
}

/// The least version that can be read as it is: later steps only make it quick.
const READABLE: i64 = 3;

/// Makes sure that a database which cannot be changed can be read.
pub(super) fn readable(connection: &mut Connection) -> Result<(), String> {
    let version: rusqlite::Result<i64> =
        connection.pragma_query_value(None, "user_version", |row| row.get(0));
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    match version {
        Ok(version) if (READABLE..=known).contains(&version) => Ok(()),
        // It says what is wrong, since nothing can be done about it.
        _ => migrate(connection),
    }
}
