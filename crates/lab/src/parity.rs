//! The check before timing: do all lanes run the same bytes under the same
//! limits?
//!
//! Each lane is described by facts, name and value. Facts of one name must be
//! equal in all lanes that state it. A further check is a further fact.

use std::collections::BTreeMap;

use tandem_backend::Backend;
use tandem_model::{InstanceRecord, LaneReport, Parity, Resources};
use tandem_probe::cgroup_limits;

/// What a lane really runs: fact to value, both for people.
pub(crate) type Facts = BTreeMap<String, String>;

/// What was seen of a lane in its first launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) facts: Facts,
    /// Body of the first answer.
    pub(crate) body: Vec<u8>,
}

/// Reads the facts of a running instance.
pub(crate) fn facts(backend: &dyn Backend, record: &InstanceRecord, status: u16) -> Facts {
    let limits = applied(backend, record);
    let bytes = |limit: Option<u64>| {
        limit.map_or("none".to_owned(), |bytes| format!("{} MiB", bytes as f64 / 1_048_576.0))
    };
    let cpus = |limit: Option<u32>| {
        limit.map_or("none".to_owned(), |milli| format!("{} processors", f64::from(milli) / 1000.0))
    };
    Facts::from([
        ("image digest".to_owned(), record.spec.digest.to_string()),
        ("HTTP status".to_owned(), status.to_string()),
        ("memory limit".to_owned(), bytes(limits.memory_bytes)),
        ("CPU limit".to_owned(), cpus(limits.milli_cpus)),
    ])
}

/// The limits as the kernel holds them. A virtual machine's are its hardware,
/// and an instance without a cgroup has none.
fn applied(backend: &dyn Backend, record: &InstanceRecord) -> Resources {
    if backend.kind() == tandem_model::BackendKind::Vm {
        return record.spec.resources;
    }
    let limits = cgroup_limits(&record.runtime.cgroups);
    Resources {
        memory_bytes: limits.memory_bytes,
        milli_cpus: limits.milli_cpus,
        pids: limits.pids,
    }
}

/// Compares a lane with the first one.
pub(crate) fn compare(first: (&str, &Observed), other: (&str, &Observed)) -> Parity {
    let ((a, one), (b, two)) = (first, other);
    let mut differences: Vec<String> = one
        .facts
        .iter()
        .filter_map(|(name, value)| Some((name, value, two.facts.get(name)?)))
        .filter(|(_, value, theirs)| value != theirs)
        .map(|(name, value, theirs)| format!("{name}: {value} in {a}, {theirs} in {b}"))
        .collect();
    differences.extend(body_difference((a, &one.body), (b, &two.body)));
    Parity { fair: differences.is_empty(), differences }
}

fn body_difference((a, one): (&str, &[u8]), (b, two): (&str, &[u8])) -> Option<String> {
    if one == two {
        return None;
    }
    let at = one.iter().zip(two).take_while(|(x, y)| x == y).count();
    let excerpt = |body: &[u8]| {
        let piece = &body[at.saturating_sub(10)..body.len().min(at + 30)];
        String::from_utf8_lossy(piece).escape_debug().to_string()
    };
    Some(format!(
        "{BODY}: {} bytes in {a}, {} bytes in {b}, different from byte {} on (`{}` and `{}`)",
        one.len(),
        two.len(),
        at + 1,
        excerpt(one),
        excerpt(two)
    ))
}

/// How a difference of answers begins.
const BODY: &str = "response body";

/// What two lanes did not have alike. Each was compared with the run's first
/// lane: a fact that is another there, and the same in both of these, is none.
pub fn apart(one: &LaneReport, two: &LaneReport) -> Vec<String> {
    let facts = |lane: &LaneReport| -> Vec<(String, String)> {
        let own = format!(" in {}", lane.id);
        let fact = |text: &String| {
            // How answers differ from a third one tells nothing of each other.
            let shape = text.strip_suffix(&own).filter(|_| !text.starts_with(BODY));
            (shape.unwrap_or(text).to_owned(), text.clone())
        };
        let differences = if lane.parity.fair { &[][..] } else { &lane.parity.differences };
        differences.iter().map(fact).collect()
    };
    let (one, two) = (facts(one), facts(two));
    let alone = |these: &[(String, String)], others: &[(String, String)]| -> Vec<String> {
        let other = |shape: &String| others.iter().any(|(theirs, _)| theirs == shape);
        these.iter().filter(|(shape, _)| !other(shape)).map(|(_, text)| text.clone()).collect()
    };
    [alone(&one, &two), alone(&two, &one)].concat()
}

/// The finding for all lanes together.
pub(crate) fn together<'a>(lanes: impl Iterator<Item = &'a Parity>) -> Parity {
    let differences: Vec<String> = lanes.flat_map(|parity| parity.differences.clone()).collect();
    Parity { fair: differences.is_empty(), differences }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(limit: &str, body: &[u8]) -> Observed {
        let facts = Facts::from([
            ("image digest".to_owned(), "sha256:1".to_owned()),
            ("memory limit".to_owned(), limit.to_owned()),
        ]);
        Observed { facts, body: body.to_owned() }
    }

    #[test]
    fn what_only_the_first_lane_lacks_sets_no_two_others_apart() {
        let mut document = crate::analysis::tests::document(3);
        let differ = |lane: &mut LaneReport, texts: &[&str]| {
            lane.parity.fair = false;
            lane.parity.differences =
                texts.iter().map(|it| format!("{it} in {}", lane.id)).collect();
        };
        let limit = "memory limit: none in process, 512 MiB";
        differ(&mut document.lanes[0], &[limit]);
        differ(&mut document.lanes[1], &[limit]);
        assert_eq!(apart(&document.lanes[0], &document.lanes[1]), Vec::<String>::new());
        let body = "response body: 1 bytes in process, 2 bytes";
        differ(&mut document.lanes[0], &[limit, body]);
        differ(&mut document.lanes[1], &["memory limit: none in process, 256 MiB", body]);
        assert_eq!(apart(&document.lanes[0], &document.lanes[1]).len(), 4);
    }

    #[test]
    fn equal_lanes_are_fair() {
        let one = observed("none", b"hello");
        assert!(compare(("container", &one), ("vm/micro", &one)).fair);
        let mut more = one.clone();
        more.facts.insert("flask".to_owned(), "3.0".to_owned());
        assert!(compare(("container", &one), ("vm/micro", &more)).fair);
    }

    #[test]
    fn differences_say_where() {
        let one = observed("none", b"hello world");
        let other = observed("256 MiB", b"hello World");
        let parity = compare(("container", &one), ("vm/micro", &other));
        assert!(!parity.fair);
        assert_eq!(parity.differences[0], "memory limit: none in container, 256 MiB in vm/micro");
        assert!(parity.differences[1].contains("different from byte 7 on"), "{parity:?}");
        assert_eq!(
            together([&parity, &Parity { fair: true, differences: vec![] }].into_iter())
                .differences
                .len(),
            2
        );
    }
}
