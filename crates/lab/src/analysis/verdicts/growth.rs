use tandem_model::{
    Accelerator, ResultDocument, Unit, Verdict, VerdictOutcome, format::format_number,
};
use tandem_stats::{judge::Thresholds, median};

use super::{Pair, not_measured, of_pair, quantity};
use crate::analysis::{contrast::too_few, values};

const LIGHT: &str = "Containers are lightweight: more of them fit on one machine";
const STAYS_UP: &str = "Reallocating resources takes a VM offline, a container stays up";

/// Judges how much a further instance takes.
pub(crate) fn density(document: &ResultDocument) -> Vec<Verdict> {
    of_pair(document, &[LIGHT], |pair| vec![fits(pair)])
}

fn fits(pair: &Pair<'_>) -> Verdict {
    let Some(found) = pair.contrast("marginal_memory") else {
        let of = |lane: &str| values(&pair.document.trials, lane, "instances");
        let single = [&pair.container.id, &pair.vm.id].into_iter().flat_map(|lane| of(lane));
        let mut why = pair.missing("marginal_memory");
        if single.reduce(f64::max).is_some_and(|most| most < 2.0) {
            why.push_str(" One instance alone shows no growth: let more run with --instances.");
        }
        return not_measured(LIGHT, why);
    };
    let (outcome, evidence) = found.judged();
    let mut why = vec![
        format!(
            "A further VM took {} times as much of the host's memory as a further container ({}).",
            found.times(),
            found.numbers()
        ),
        evidence,
    ];
    let count = |lane: &str| median(&values(&pair.document.trials, lane, "fits")).ok();
    if let (Some(containers), Some(machines)) = (count(&pair.container.id), count(&pair.vm.id)) {
        why.push(format!(
            "By that, {} containers or {} VMs fit into the memory that was free; reckoned, not tried.",
            format_number(containers.floor()),
            format_number(machines.floor())
        ));
    }
    why.push("All of them were idle, and a VM keeps its kernel apart from its neighbours', which a container does not.".to_owned());
    pair.verdict(LIGHT, outcome, why)
}

/// Judges what clients lost while limits changed.
pub(crate) fn resize(document: &ResultDocument) -> Vec<Verdict> {
    of_pair(document, &[STAYS_UP], |pair| vec![stays_up(pair)])
}

fn stays_up(pair: &Pair<'_>) -> Verdict {
    let of = |lane: &str, metric: &str| values(&pair.document.trials, lane, metric);
    let lost = of(&pair.container.id, "failed_requests");
    let (offline, hot) =
        (of(&pair.vm.id, "cold_resize_downtime"), of(&pair.vm.id, "failed_requests"));
    if lost.is_empty() {
        return not_measured(STAYS_UP, pair.missing("failed_requests"));
    }
    if offline.is_empty() {
        return not_measured(STAYS_UP, pair.missing("cold_resize_downtime"));
    }
    let stayed = lost.iter().all(|count| *count == 0.0);
    let went = offline.iter().all(|time| *time > 0.0);
    let n = lost.len().min(offline.len());
    let outcome = match (stayed, went) {
        (true, true) if n < Thresholds::default().min_trials => VerdictOutcome::Inconclusive,
        (true, true) => VerdictOutcome::Supported,
        _ => VerdictOutcome::Refuted,
    };
    let sum: f64 = lost.iter().sum();
    let asked: f64 = of(&pair.container.id, "requests").iter().sum();
    let mut why = vec![format!(
        "While its limits changed the container lost {} of {} requests in {} trials; stopped, changed and started, the VM was away for {} (median of {}).",
        format_number(sum),
        format_number(asked),
        lost.len(),
        quantity(median(&offline).unwrap_or(0.0), Unit::Ns),
        offline.len()
    )];
    if outcome == VerdictOutcome::Inconclusive {
        why.push(too_few());
    }
    why.push(match hot.iter().sum::<f64>() {
        _ if hot.is_empty() => "The VM could not be changed while it ran.".to_owned(),
        lost => format!(
            "But a VM that was started with room to grow was changed while it ran too, and lost {} requests.",
            format_number(lost)
        ),
    });
    if let Some(found) = pair.contrast("cold_resize_downtime") {
        why.push(format!(
            "A container that is stopped for it is away as well; the VM {} times as long ({}).",
            found.times(),
            found.numbers()
        ));
    }
    if pair.vm.accelerator != Some(Accelerator::Kvm) {
        why.push(
            "The VM ran under software emulation (TCG), so its times are not the hypervisor's."
                .to_owned(),
        );
    }
    pair.verdict(STAYS_UP, outcome, why)
}
