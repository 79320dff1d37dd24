//! The claims of the article, judged by the numbers.

mod equal;
mod growth;

pub(crate) use equal::equal_lanes;
pub(crate) use growth::{density, resize};

use tandem_model::{
    Accelerator, BackendKind, CacheState, LaneReport, ResultDocument, Verdict, VerdictOutcome,
    format::format_number,
};
use tandem_stats::{judge::Thresholds, median};

use super::{contrast::Contrast, format::quantity, values};
use crate::parity::apart;

const FASTER: &str = "Containers are faster to spin up than a VM";
const HEAVIER: &str = "VMs are heavier than containers: a running VM takes more memory";
const SIZE: &str = "Virtual machines are heavy (GB), containers are lightweight (MB)";

/// Judges the claim about start-up.
pub(crate) fn startup(document: &ResultDocument) -> Vec<Verdict> {
    of_pair(document, &[FASTER], |pair| vec![pair.faster()])
}

/// Judges the claims about size.
pub(crate) fn size(document: &ResultDocument) -> Vec<Verdict> {
    of_pair(document, &[HEAVIER, SIZE], |pair| vec![pair.heavier(), pair.size()])
}

/// Judges claims about a container and a VM, where the run had both.
fn of_pair(
    document: &ResultDocument,
    claims: &[&str],
    judge: impl FnOnce(&Pair<'_>) -> Vec<Verdict>,
) -> Vec<Verdict> {
    let of = |kind: BackendKind| document.lanes.iter().find(|lane| lane.backend == kind);
    match (of(BackendKind::Container), of(BackendKind::Vm)) {
        (Some(container), Some(vm)) => judge(&Pair { document, container, vm }),
        (container, _) => {
            let missing = if container.is_none() { "container" } else { "vm" };
            let why = format!(
                "The claim compares a container with a VM, and this run had no {missing} lane: add it with --lanes container,vm."
            );
            claims.iter().map(|claim| not_measured(claim, why.clone())).collect()
        }
    }
}

struct Pair<'a> {
    document: &'a ResultDocument,
    container: &'a LaneReport,
    vm: &'a LaneReport,
}

impl Pair<'_> {
    fn faster(&self) -> Verdict {
        let Some(found) = self.contrast("first_response") else {
            return not_measured(FASTER, self.missing("first_response"));
        };
        let (outcome, evidence) = found.judged();
        let mut why = vec![
            format!(
                "From the request to the first answer the VM took {} times as long as the container ({}).",
                found.times(),
                found.numbers()
            ),
            evidence,
        ];
        why.push(match self.vm.accelerator {
            Some(Accelerator::Kvm) => "The VM ran with KVM.".to_owned(),
            _ => "The VM ran under software emulation (TCG), so the ratio is not the hypervisor's."
                .to_owned(),
        });
        if self.document.design.cache == CacheState::Warm {
            why.push("Files were in the page cache.".to_owned());
        }
        why.push("Speed says nothing about isolation: a VM has a kernel of its own, a container shares the host's.".to_owned());
        why.push(self.which());
        self.verdict(FASTER, outcome, why)
    }

    fn heavier(&self) -> Verdict {
        let Some(found) = self.contrast("memory_host") else {
            return not_measured(HEAVIER, self.missing("memory_host"));
        };
        let (outcome, evidence) = found.judged();
        let why = vec![
            format!(
                "After its first answers the VM took {} times as much of the host's memory as the container ({}; proportional set size).",
                found.times(),
                found.numbers()
            ),
            evidence,
            "A VM holds a kernel and a page cache of its own; the container uses the host's, which is not counted here.".to_owned(),
            self.which(),
        ];
        self.verdict(HEAVIER, outcome, why)
    }

    /// Gigabytes and megabytes are absolute words, so the claim needs both
    /// sides to be what it says. Disk is what a first instance needs: image
    /// and own files.
    fn size(&self) -> Verdict {
        let machine = self.whole();
        let Some(((container, vm), n)) = self
            .disk(self.container)
            .zip(self.disk(machine))
            .map(|((c, n), (v, m))| ((c, v), n.min(m)))
        else {
            return not_measured(SIZE, self.missing("image_bytes"));
        };
        let heavy = vm >= GIGABYTE;
        let light = container < GIGABYTE;
        let outcome = match (heavy, light) {
            _ if n < Thresholds::default().min_trials => VerdictOutcome::Inconclusive,
            (true, true) => VerdictOutcome::Supported,
            _ => VerdictOutcome::Refuted,
        };
        let bytes = |value| quantity(value, tandem_model::Unit::Bytes);
        let mut why = vec![format!(
            "On disk {} takes {} and the container {} ({} times as much; image and own files of one instance, medians of {n} trials each).",
            if machine.id == self.vm.id {
                "the VM"
            } else {
                "the VM with a whole operating system"
            },
            bytes(vm),
            bytes(container),
            format_number(vm / container.max(1.0))
        )];
        if !heavy {
            why.push(below_a_gigabyte(machine).to_owned());
        }
        if !light {
            why.push("The container's image alone is larger than 1 GB.".to_owned());
        }
        why.extend(self.own_bytes(machine));
        self.verdict(SIZE, outcome, why)
    }

    /// What each further instance costs, for that is where layers are shared.
    fn own_bytes(&self, machine: &LaneReport) -> Option<String> {
        let of = |lane: &LaneReport| {
            median(&values(&self.document.trials, &lane.id, "instance_bytes")).ok()
        };
        let bytes = |value| quantity(value, tandem_model::Unit::Bytes);
        Some(format!(
            "A further instance of the same image adds {} (VM) and {} (container).",
            bytes(of(machine)?),
            bytes(of(self.container)?)
        ))
    }

    /// The machine that a claim about whole operating systems is about, where
    /// the run had one.
    fn whole(&self) -> &LaneReport {
        self.document.lanes.iter().find(|lane| is_whole(lane)).unwrap_or(self.vm)
    }

    /// Which machine is meant, when there were several.
    fn which(&self) -> String {
        let machines = |lane: &&LaneReport| lane.backend == BackendKind::Vm;
        if self.document.lanes.iter().filter(machines).count() < 2 {
            return String::new();
        }
        format!("The VM is {}; the other machines' figures stand in the table.", self.vm.id)
    }

    fn disk(&self, lane: &LaneReport) -> Option<(f64, usize)> {
        let of = |metric| values(&self.document.trials, &lane.id, metric);
        let (image, own) = (of("image_bytes"), of("instance_bytes"));
        let total = median(&image).ok()? + median(&own).ok()?;
        Some((total, image.len().min(own.len())))
    }

    fn contrast(&self, metric: &str) -> Option<Contrast> {
        Contrast::of(self.document, metric, self.container, self.vm)
    }

    fn missing(&self, metric: &str) -> String {
        let lanes = [self.container, self.vm];
        let without =
            |lane: &&LaneReport| values(&self.document.trials, &lane.id, metric).is_empty();
        let names: Vec<String> =
            lanes.into_iter().filter(without).map(|lane| lane.id.clone()).collect();
        if names.is_empty() {
            return format!(
                "`{metric}` was zero or less in a trial of {} or {}, of which there is no ratio.",
                self.container.id, self.vm.id
            );
        }
        let reason = self.document.trials.iter().find_map(|trial| {
            let reason = trial.reason.as_ref().filter(|_| names.contains(&trial.lane))?;
            reason.lines().next().map(|line| format!(" The first reason: {line}"))
        });
        format!(
            "No trial measured it in {}.{}",
            super::format::list(&names),
            reason.unwrap_or_default()
        )
    }

    fn verdict(&self, claim: &str, outcome: VerdictOutcome, mut why: Vec<String>) -> Verdict {
        let unfair = apart(self.container, self.vm);
        if !unfair.is_empty() {
            why.insert(0, format!("This comparison is unfair ({}).", unfair.join("; ")));
        }
        why.retain(|sentence| !sentence.is_empty());
        Verdict { claim: claim.to_owned(), outcome, why: why.join(" ") }
    }
}

fn is_whole(lane: &LaneReport) -> bool {
    lane.backend == BackendKind::Vm && lane.profile.as_deref() == Some("full")
}

fn below_a_gigabyte(machine: &LaneReport) -> &'static str {
    if is_whole(machine) {
        "The VM stays below 1 GB because its Debian has only what boots and serves; systems as people install them are larger."
    } else {
        "The VM stays below 1 GB because it is the `micro` kind: a kernel, a small init and the same files as the container. The gigabytes of the claim are those of a whole operating system: add the lane vm/full."
    }
}

/// The article's border between "MB" and "GB", in bytes.
const GIGABYTE: f64 = 1e9;

fn not_measured(claim: &str, why: String) -> Verdict {
    Verdict { claim: claim.to_owned(), outcome: VerdictOutcome::NotMeasured, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::tests::document;

    fn both(document: &ResultDocument) -> Vec<Verdict> {
        let mut all = startup(document);
        all.extend(size(document));
        all
    }

    #[test]
    fn a_clear_difference_is_told_with_its_caveat() {
        let found = both(&document(5));
        assert_eq!(found[0].outcome, VerdictOutcome::Supported);
        for part in [
            "22.4 times",
            "95 % interval",
            "9.00 s and 0.40 s",
            "n = 5 and 5",
            "software emulation",
        ] {
            assert!(found[0].why.contains(part), "{part}: {}", found[0].why);
        }
        assert_eq!(found[1].outcome, VerdictOutcome::Supported);
        // 166 MiB are no gigabyte.
        assert_eq!(found[2].outcome, VerdictOutcome::Refuted);
        assert!(found[2].why.contains("166 MiB"), "{}", found[2].why);
    }

    #[test]
    fn with_kvm_nothing_is_emulated() {
        let mut document = document(5);
        document.lanes[1].accelerator = Some(Accelerator::Kvm);
        let why = &both(&document)[0].why;
        assert!(why.contains("KVM") && !why.contains("emulation"), "{why}");
    }

    #[test]
    fn too_few_trials_decide_nothing() {
        let found = both(&document(3));
        assert!(
            found.iter().all(|verdict| verdict.outcome == VerdictOutcome::Inconclusive),
            "{found:?}"
        );
    }

    #[test]
    fn what_did_not_run_is_not_measured() {
        let mut document = document(5);
        document.trials.retain(|trial| trial.lane != "vm/micro");
        let found = both(&document);
        assert!(found.iter().all(|verdict| verdict.outcome == VerdictOutcome::NotMeasured));
        assert!(found[0].why.contains("vm/micro"), "{}", found[0].why);
        document.lanes.pop();
        assert!(both(&document)[0].why.contains("no vm lane"));
    }

    #[test]
    fn what_has_no_ratio_is_not_said_to_be_unmeasured() {
        let mut document = document(5);
        for trial in &mut document.trials {
            let of = if trial.lane == "container" && trial.index == 2 { -4e3 } else { 4e7 };
            trial.metrics.insert("marginal_memory".to_owned(), of.into());
        }
        let found = &density(&document)[0];
        assert_eq!(found.outcome, VerdictOutcome::NotMeasured);
        assert!(found.why.contains("zero or less in a trial of container or"), "{}", found.why);
        for trial in &mut document.trials {
            trial.metrics.remove("marginal_memory");
            trial.metrics.insert("instances".to_owned(), 1.into());
        }
        let found = &density(&document)[0];
        assert!(found.why.ends_with("let more run with --instances."), "{}", found.why);
    }

    #[test]
    fn a_whole_operating_system_is_what_the_claim_about_size_means() {
        let mut document = document(5);
        let micro = document.lanes[1].clone();
        document.lanes.push(LaneReport {
            id: "vm/full".into(),
            profile: Some("full".into()),
            ..micro
        });
        let more: Vec<_> = document
            .trials
            .iter()
            .filter(|trial| trial.lane == "vm/micro")
            .cloned()
            .map(|mut trial| {
                trial.lane = "vm/full".into();
                trial.metrics.insert("image_bytes".into(), 2e9.into());
                trial
            })
            .collect();
        document.trials.extend(more);
        let found = both(&document);
        assert!(found[0].why.contains("The VM is vm/micro"), "{}", found[0].why);
        assert_eq!(found[2].outcome, VerdictOutcome::Supported);
        assert!(found[2].why.contains("whole operating system"), "{}", found[2].why);
        document.lanes.remove(1);
        let alone = &both(&document)[2].why;
        assert!(alone.starts_with("On disk the VM takes"), "{alone}");
    }

    #[test]
    fn an_unfair_comparison_says_so_first() {
        let mut document = document(5);
        document.lanes[1].parity.fair = false;
        document.lanes[1].parity.differences = vec!["memory limit: a, b".to_owned()];
        assert!(both(&document)[0].why.starts_with("This comparison is unfair (memory limit"));
    }
}
