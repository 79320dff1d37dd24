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

    /// The commands that mend it: what stands in backticks, or all of `fix`
    /// where that is a command.
    pub fn commands(&self) -> Vec<&str> {
        let Some(fix) = &self.fix else { return Vec::new() };
        let marked: Vec<&str> = fix.split('`').skip(1).step_by(2).collect();
        match fix.split(' ').next() {
            _ if !marked.is_empty() => marked,
            Some("sudo" | "export") => vec![fix],
            _ => Vec::new(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_in_backticks_or_alone() {
        let commands = |fix: &str| -> Vec<String> {
            let finding = Capability::missing("x", "-", Some(fix));
            finding.commands().into_iter().map(str::to_owned).collect()
        };
        assert_eq!(commands("sudo apt-get install criu"), ["sudo apt-get install criu"]);
        assert_eq!(commands("`sudo a`, and `sudo b` where c is missing"), ["sudo a", "sudo b"]);
        assert!(commands("name its socket in DOCKER_HOST").is_empty());
        assert!(Capability::ok("x", "-").commands().is_empty());
    }
}
