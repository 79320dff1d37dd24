use std::fs;

/// As whom this process works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Root of the machine.
    Root,
    /// Root of a user namespace with this many users.
    Namespace {
        /// The person's id outside.
        uid: u32,
        /// How many user ids there are inside; one is the person alone.
        ids: u64,
    },
    /// Somebody else, without a namespace.
    Ordinary,
}

impl Standing {
    /// That of the calling process.
    pub fn of_process() -> Self {
        let root = rustix::process::geteuid().is_root();
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        Self::from_map(root, &map)
    }

    fn from_map(root: bool, map: &str) -> Self {
        if !root {
            return Self::Ordinary;
        }
        let lines: Vec<Vec<u64>> = map
            .lines()
            .map(|line| line.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect())
            .collect();
        if lines == [[0, 0, u64::from(u32::MAX)]] {
            return Self::Root;
        }
        let own = lines.iter().find(|line| line.first() == Some(&0));
        let uid = own.and_then(|line| u32::try_from(*line.get(1)?).ok()).unwrap_or_default();
        Self::Namespace { uid, ids: lines.iter().filter_map(|line| line.get(2)).sum() }
    }

    /// Whether only one user exists: every file belongs to the person, and no
    /// process can become anybody else.
    pub fn is_single(self) -> bool {
        matches!(self, Self::Namespace { ids: 0..=1, .. })
    }

    /// Whether this is root of the machine itself.
    pub fn is_machine_root(self) -> bool {
        self == Self::Root
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_tells_who_one_is() {
        assert_eq!(Standing::from_map(true, "         0          0 4294967295\n"), Standing::Root);
        assert_eq!(Standing::from_map(false, "0 0 4294967295\n"), Standing::Ordinary);
        let range = Standing::from_map(true, "0 1000 1\n1 100000 65536\n");
        assert_eq!(range, Standing::Namespace { uid: 1000, ids: 65537 });
        assert!(!range.is_single());
        assert!(Standing::from_map(true, "0 1000 1\n").is_single());
    }
}
