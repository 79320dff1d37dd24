//! Why numbers of two results are not set against each other, and what else
//! differs where they are.

use tandem_model::{Accelerator, LaneReport, ResultDocument};

/// Why no number of two results is compared.
pub(super) fn whole(a: &ResultDocument, b: &ResultDocument) -> Option<String> {
    if a.experiment != b.experiment {
        return Some(format!(
            "the experiments differ, {} and {}: each has its own method",
            a.experiment, b.experiment
        ));
    }
    (a.subject.digest != b.subject.digest).then(|| {
        format!(
            "the images differ, {} and {}: different bytes are different subjects",
            a.subject.digest.short(),
            b.subject.digest.short()
        )
    })
}

/// Why no number of a lane is compared.
pub(super) fn lane(a: &ResultDocument, b: &ResultDocument, id: &str) -> Option<String> {
    let (of_a, of_b) = match (find(a, id), find(b, id)) {
        (Some(a), Some(b)) => (a, b),
        (None, _) => return Some("the first result has no such lane".to_owned()),
        (_, None) => return Some("this result has no such lane".to_owned()),
    };
    if (of_a.backend, &of_a.profile) != (of_b.backend, &of_b.profile) {
        return Some("the lanes are of different kinds".to_owned());
    }
    (of_a.accelerator != of_b.accelerator).then(|| {
        let word = |lane: &LaneReport| lane.accelerator.map_or("none", Accelerator::as_str);
        format!(
            "the accelerators differ, {} and {}: KVM and software emulation are never compared",
            word(of_a),
            word(of_b)
        )
    })
}

/// What else differs: the reader decides what it means.
pub(super) fn besides(a: &ResultDocument, b: &ResultDocument) -> Vec<String> {
    let mut differs = Vec::new();
    let mut note = |what: String, x: &str, y: &str| {
        if x != y {
            differs.push(format!("{what}: {x} and {y}"));
        }
    };
    let (x, y) = (&a.machine, &b.machine);
    if x.fingerprint != y.fingerprint {
        note("other machines: processor".to_owned(), &x.cpu, &y.cpu);
        note("cores".to_owned(), &x.cores.to_string(), &y.cores.to_string());
        note("kernel".to_owned(), &x.kernel, &y.kernel);
        note("system".to_owned(), &x.os, &y.os);
        note("control groups".to_owned(), &x.cgroup, &y.cgroup);
        let beneath = |machine: &tandem_model::Machine| {
            machine.virtualised.clone().unwrap_or_else(|| "none".to_owned())
        };
        note("hypervisor beneath".to_owned(), &beneath(x), &beneath(y));
    }
    for of_a in &a.lanes {
        let Some(of_b) = find(b, &of_a.id) else { continue };
        note(format!("engine of {}", of_a.id), &of_a.engine, &of_b.engine);
    }
    differs.extend(conditions(a, b));
    if x.fingerprint != y.fingerprint && !differs.iter().any(|it| it.starts_with("other machines"))
    {
        differs.insert(0, "other machines, of the same kind of processor".to_owned());
    }
    differs
}

/// What of the conditions of measuring differs, which are factors of their own:
/// the page cache, and the limits of lanes that both have.
pub(crate) fn conditions(a: &ResultDocument, b: &ResultDocument) -> Vec<String> {
    let cache = |it: &ResultDocument| format!("{:?}", it.design.cache).to_lowercase();
    let limits = |lane: &LaneReport| {
        let number = |it: Option<u64>| it.map_or("none".to_owned(), |it| it.to_string());
        let resources = &lane.resources;
        format!(
            "memory {}, thousandths of a processor {}, processes {}",
            number(resources.memory_bytes),
            number(resources.milli_cpus.map(u64::from)),
            number(resources.pids.map(u64::from))
        )
    };
    let lanes = a.lanes.iter().filter_map(|of_a| Some((of_a, find(b, &of_a.id)?)));
    let limits =
        lanes.map(|(of_a, of_b)| (format!("limits of {}", of_a.id), limits(of_a), limits(of_b)));
    std::iter::once(("page cache".to_owned(), cache(a), cache(b)))
        .chain(limits)
        .filter(|(_, x, y)| x != y)
        .map(|(what, x, y)| format!("{what}: {x} and {y}"))
        .collect()
}

fn find<'a>(result: &'a ResultDocument, id: &str) -> Option<&'a LaneReport> {
    result.lanes.iter().find(|lane| lane.id == id)
}
