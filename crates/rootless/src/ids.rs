//! Subordinate ids (subuid(5), subgid(5)).

use std::{fs, path::Path};

use nix::unistd::{Gid, Uid, User};

/// Ids that a person may use beside the own one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// The first, outside.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// What a person was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    /// The person's name; the number where it has none.
    pub name: String,
    /// User ids.
    pub users: Vec<IdRange>,
    /// Group ids.
    pub groups: Vec<IdRange>,
}

impl Ranges {
    /// Whether there are ids of both kinds.
    pub fn usable(&self) -> bool {
        !self.users.is_empty() && !self.groups.is_empty()
    }
}

/// What this person was given on this machine.
fn ranges_of(uid: u32) -> Ranges {
    let name = User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
    let name = name.unwrap_or_else(|| uid.to_string());
    let read = |path: &str| {
        let text = fs::read_to_string(Path::new(path)).unwrap_or_default();
        parse(&text, &name, uid)
    };
    Ranges { users: read("/etc/subuid"), groups: read("/etc/subgid"), name }
}

/// The same for whoever called this process, also from within the namespace.
pub fn ranges_of_caller() -> Ranges {
    let uid = match crate::Standing::of_process() {
        crate::Standing::Namespace { uid, .. } => uid,
        _ => rustix::process::getuid().as_raw(),
    };
    ranges_of(uid)
}

/// Lines are `NAME-OR-NUMBER:FIRST:COUNT`; other lines are nobody's.
fn parse(text: &str, name: &str, uid: u32) -> Vec<IdRange> {
    let mut found: Vec<IdRange> = Vec::new();
    for line in text.lines() {
        let mut fields = line.trim().split(':');
        let (Some(owner), Some(first), Some(count), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if owner != name && owner.parse() != Ok(uid) {
            continue;
        }
        let (Ok(first), Ok(count)) = (first.parse::<u32>(), count.parse::<u32>()) else { continue };
        let fits = count > 0 && first.checked_add(count).is_some();
        let overlaps = |other: &IdRange| {
            u64::from(first) < u64::from(other.first) + u64::from(other.count)
                && u64::from(other.first) < u64::from(first) + u64::from(count)
        };
        if fits && first != uid && !found.iter().any(overlaps) {
            found.push(IdRange { first, count });
        }
    }
    found
}

/// Lines of a map: the person's own id as 0, then the ranges
/// (user_namespaces(7), "Defining user and group ID mappings").
pub(crate) fn map(own: u32, ranges: &[IdRange]) -> Vec<[u32; 3]> {
    let mut lines = vec![[0, own, 1]];
    let mut inside = 1_u32;
    for range in ranges {
        let Some(next) = inside.checked_add(range.count) else { break };
        lines.push([inside, range.first, range.count]);
        inside = next;
    }
    lines
}

/// The caller's own ids.
pub(crate) fn own() -> (u32, u32) {
    (Uid::effective().as_raw(), Gid::effective().as_raw())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_go_by_name_or_number() {
        let text = "root:1:5\nada:100000:65536\n# ada:3:4\n1000:300000:10\nada:110000:7\nbob:9:9\n\
                    ada:4294967295:9\nada:5\n";
        let found = parse(text, "ada", 1000);
        let expected = [(100_000, 65_536), (300_000, 10)];
        assert_eq!(found, expected.map(|(first, count)| IdRange { first, count }));
        let lines = map(1000, &found);
        assert_eq!(lines, [[0, 1000, 1], [1, 100_000, 65_536], [65_537, 300_000, 10]]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_map_holds_an_id_twice(text in "([ab]:[0-9]{1,10}:[0-9]{1,10}\n|\\PC{0,12}\n){0,8}") {
            let lines = map(7, &parse(&text, "a", 7));
            for (at, one) in lines.iter().enumerate() {
                for other in &lines[..at] {
                    for column in [0, 1] {
                        let (a, b) = (u64::from(one[column]), u64::from(other[column]));
                        let (a_end, b_end) = (a + u64::from(one[2]), b + u64::from(other[2]));
                        // A range may hold the person's own id by mistake of
                        // whoever gave it; newuidmap then refuses.
                        prop_assert!(a_end <= b || b_end <= a || (column == 1 && other[2] == 1));
                    }
                }
            }
        }
    }
}
