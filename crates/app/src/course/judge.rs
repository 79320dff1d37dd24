//! What the numbers say about the article's claims.

mod kept;
mod supply;
mod timed;

use tandem_lab::{apart, describe, values};
use tandem_model::{
    Accelerator, BackendKind, LaneReport, ResultDocument, Verdict, VerdictOutcome,
    format::format_bytes,
};
use tandem_stats::median;

/// The verdicts of a course's result.
pub(crate) fn verdicts(document: &ResultDocument) -> Vec<Verdict> {
    let Some(found) = describe(&document.experiment) else { return Vec::new() };
    let of = |kind: BackendKind| document.lanes.iter().find(|lane| lane.backend == kind);
    let (Some(container), Some(vm)) = (of(BackendKind::Container), of(BackendKind::Vm)) else {
        let why = "The claim speaks of a container and a VM, and this run had not both: add them with --lanes container,vm.";
        return vec![verdict(found.claim, VerdictOutcome::NotMeasured, why.to_owned())];
    };
    let pair = Pair { document, container, vm };
    let judged = match found.id {
        "build" => pair.build(),
        "elasticity" => pair.elasticity(),
        "snapshot" => pair.snapshot(),
        "persistence" => pair.persistence(),
        "portability" => pair.portability(),
        "isolation" => pair.isolation(),
        "overhead" => pair.overhead(),
        _ => pair.neighbour(),
    };
    let (outcome, mut why) =
        judged.unwrap_or_else(|| (VerdictOutcome::NotMeasured, pair.missing()));
    if outcome != VerdictOutcome::NotMeasured {
        why.push(' ');
        why.push_str(found.caveat);
        let timed = ["build", "overhead", "neighbour"].contains(&found.id);
        if timed && vm.accelerator == Some(Accelerator::Tcg) {
            why.push_str(
                " The VM ran under software emulation, so its times are not the hypervisor's.",
            );
        }
        why.push_str(&pair.which());
        why.insert_str(0, &pair.unfair());
    }
    vec![verdict(found.claim, outcome, why)]
}

type Judged = Option<(VerdictOutcome, String)>;

struct Pair<'a> {
    document: &'a ResultDocument,
    container: &'a LaneReport,
    vm: &'a LaneReport,
}

impl Pair<'_> {
    fn of(&self, lane: &LaneReport, metric: &str) -> Option<f64> {
        median(&values(&self.document.trials, &lane.id, metric)).ok()
    }

    /// Container and VM.
    fn both(&self, metric: &str) -> Option<(f64, f64)> {
        Some((self.of(self.container, metric)?, self.of(self.vm, metric)?))
    }

    /// Whether it was so in every trial.
    fn always(&self, lane: &LaneReport, metric: &str) -> Option<bool> {
        let values = values(&self.document.trials, &lane.id, metric);
        (!values.is_empty()).then(|| values.iter().all(|value| *value > 0.5))
    }

    fn persistence(&self) -> Judged {
        let c = |metric: &str| self.always(self.container, metric);
        let restart = c("survives.layer_restart")?;
        let recreate = c("survives.layer_anew")?;
        let volume = c("survives.volume_anew")?;
        let vm = self.always(self.vm, "survives.layer_restart")?;
        let vm_anew = self.always(self.vm, "survives.layer_anew")?;
        let outcome = if vm && !recreate && volume {
            VerdictOutcome::Supported
        } else {
            VerdictOutcome::Refuted
        };
        let word = |yes: bool| if yes { "still there" } else { "gone" };
        Some((
            outcome,
            format!(
                "In the container's own files the mark was {} after a restart and {} after it was made anew; in its volume it was {}. In the VM's disk it was {} after a restart and {} after it was made anew: a disk file goes with its machine.",
                word(restart),
                word(recreate),
                word(volume),
                word(vm),
                word(vm_anew)
            ),
        ))
    }

    fn portability(&self) -> Judged {
        let same = |lane: &LaneReport| {
            Some(self.always(lane, "same_answer")? && self.always(lane, "same_digest")?)
        };
        let (container, vm) = (same(self.container)?, same(self.vm)?);
        let (c_bytes, v_bytes) = self.both("export_bytes")?;
        let outcome =
            if container && vm { VerdictOutcome::Supported } else { VerdictOutcome::Refuted };
        Some((
            outcome,
            format!(
                "In a second home the container {} and the VM {}; carried were {} and {}.",
                if container { "answered the same" } else { "did not answer the same" },
                if vm { "answered the same" } else { "did not" },
                bytes(c_bytes),
                bytes(v_bytes)
            ),
        ))
    }

    fn isolation(&self) -> Judged {
        let kernel = |lane: &LaneReport| self.always(lane, "own_kernel");
        let hidden = |lane: &LaneReport| {
            Some(
                !self.always(lane, "sees_host_processes")?
                    && !self.always(lane, "sees_host_files")?,
            )
        };
        let (c_kernel, v_kernel) = (kernel(self.container)?, kernel(self.vm)?);
        let (c_hidden, v_hidden) = (hidden(self.container)?, hidden(self.vm)?);
        let bomb = self.always(self.container, "contained.bomb").unwrap_or(false)
            && self.always(self.vm, "contained.bomb").unwrap_or(false);
        // Earlier versions let no hog loose.
        let hog = self
            .always(self.container, "contained.hog")
            .zip(self.always(self.vm, "contained.hog"))
            .map(|(container, vm)| container && vm);
        let contained = bomb && hog != Some(false);
        let outcome = if v_kernel && !c_kernel && c_hidden && v_hidden && contained {
            VerdictOutcome::Supported
        } else {
            VerdictOutcome::Refuted
        };
        let word =
            |own: bool| if own { "has a kernel of its own" } else { "shares the host's kernel" };
        let seen = |hidden: bool| if hidden { "none" } else { "some" };
        let told = match hog {
            None => "",
            Some(true) => {
                " A program that took more and more memory was stopped at the limit in both."
            }
            Some(false) => {
                " A program that took more and more memory was not stopped at the limit in both."
            }
        };
        Some((
            outcome,
            format!(
                "The VM {}, the container {}. Of the host's processes and files the VM saw {}, the container {}. The bomb of processes was {}.",
                word(v_kernel),
                word(c_kernel),
                seen(v_hidden),
                seen(c_hidden),
                if bomb { "contained in both" } else { "not contained in both" }
            ) + told,
        ))
    }

    /// What of the two was not the same, as the first sentence.
    fn unfair(&self) -> String {
        let differences = apart(self.container, self.vm);
        if differences.is_empty() {
            return String::new();
        }
        format!("This comparison is unfair ({}). ", differences.join("; "))
    }

    /// Which machine is meant, when there were several.
    fn which(&self) -> String {
        let machines = self.document.lanes.iter().filter(|it| it.backend == BackendKind::Vm);
        if machines.count() < 2 {
            return String::new();
        }
        format!(" The VM is {}; the other machines' figures stand in the table.", self.vm.id)
    }

    fn missing(&self) -> String {
        let has_process =
            self.document.lanes.iter().any(|lane| lane.backend == BackendKind::Process);
        if self.document.experiment == "overhead" && !has_process {
            return "The claim compares both with a bare process, and this run had none: add it with --lanes process,container,vm.".to_owned();
        }
        let lanes = [&self.container.id, &self.vm.id];
        let mut of_lanes = self.document.trials.iter().filter(|it| lanes.contains(&&it.lane));
        let reason = of_lanes.find_map(|trial| trial.reason.as_ref());
        match reason.and_then(|reason| reason.lines().next()) {
            Some(line) => {
                // What a program said last stands in the lines after it.
                let line = line.trim_end_matches("; its last output:");
                format!("Not every lane was measured. The first reason: {line}")
            }
            None => "Not every lane was measured.".to_owned(),
        }
    }
}

fn bytes(value: f64) -> String {
    format_bytes(value)
}

fn verdict(claim: &str, outcome: VerdictOutcome, why: String) -> Verdict {
    Verdict { claim: claim.to_owned(), outcome, why }
}

#[cfg(test)]
mod tests;
