use serde::{Deserialize, Serialize};

/// Whether this machine can do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum CapabilityStatus {
    /// It works here, seen by a probe.
    Ok,
    /// It works with a restriction that `detail` names.
    Limited,
    /// It does not work here; `detail` says why.
    Missing,
}

/// One line of `tandem doctor`: what this machine can do, or why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Capability {
    /// Stable name in snake case, e.g. `vm_kvm`.
    pub id: String,
    /// The finding.
    pub status: CapabilityStatus,
    /// One sentence with what was seen.
    pub detail: String,
    /// A command that mends it, when there is one.
    pub fix: Option<String>,
}

impl Capability {
    /// A capability that works.
    pub fn ok(id: &str, detail: impl Into<String>) -> Self {
        Self { id: id.into(), status: CapabilityStatus::Ok, detail: detail.into(), fix: None }
    }

    /// A capability that works with a restriction.
    pub fn limited(id: &str, detail: impl Into<String>, fix: Option<&str>) -> Self {
        Self {
            id: id.into(),
            status: CapabilityStatus::Limited,
            detail: detail.into(),
            fix: fix.map(Into::into),
        }
    }

    /// A capability that is not there.
    pub fn missing(id: &str, detail: impl Into<String>, fix: Option<&str>) -> Self {
        Self {
            id: id.into(),
            status: CapabilityStatus::Missing,
            detail: detail.into(),
            fix: fix.map(Into::into),
        }
    }
}
