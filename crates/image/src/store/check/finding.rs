use std::fmt;

use serde::Serialize;

/// Something in the home that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// Which one.
    pub what: String,
    /// What is wrong with it.
    pub detail: String,
    /// What was done about it; none while it is as it was.
    pub repaired: Option<String>,
    /// What a person can do about it.
    pub advice: String,
}

/// What is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// The list of images itself.
    Index,
    /// A name whose image is not there or cannot be read.
    Image,
    /// Stored bytes that are missing or others.
    Blob,
    /// An unpacked layer that differs from its blob.
    Layer,
    /// Something that no image needs.
    Orphan,
    /// A file that a killed program left half-written.
    Leftover,
    /// An instance without its image.
    Instance,
}

/// What mends most things.
pub(super) const REPAIR: &str = "tandem system check --repair";

impl Finding {
    pub(super) fn new(
        kind: FindingKind,
        what: impl fmt::Display,
        detail: impl fmt::Display,
    ) -> Self {
        Self {
            kind,
            what: what.to_string(),
            detail: detail.to_string(),
            repaired: None,
            advice: REPAIR.to_owned(),
        }
    }

    pub(super) fn advised(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    pub(super) fn mended(mut self, how: impl Into<String>) -> Self {
        self.repaired = Some(how.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; ", self.what, self.detail)?;
        match &self.repaired {
            Some(how) => f.write_str(how),
            None => f.write_str(&self.advice),
        }
    }
}
