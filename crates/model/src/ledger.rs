use serde::{Deserialize, Serialize};

/// One place where bytes went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct LedgerEntry {
    /// Short name, e.g. `anonymous` or `image, shared by all instances`.
    pub name: String,
    /// Bytes.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub bytes: u64,
}

/// A sum that adds up: where memory or disk went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Ledger {
    /// The parts, largest meaning first.
    pub entries: Vec<LedgerEntry>,
}

impl Ledger {
    /// Adds a part.
    pub fn push(&mut self, name: impl Into<String>, bytes: u64) {
        self.entries.push(LedgerEntry { name: name.into(), bytes });
    }

    /// The sum of all parts, in bytes.
    pub fn total(&self) -> u64 {
        self.entries.iter().map(|entry| entry.bytes).sum()
    }
}
