//! What the numbers say about the article's claims.

use std::fmt::Write as _;

use tandem_lab::{describe, values};
use tandem_model::{
    Accelerator, BackendKind, LaneReport, OutcomeKind, ResultDocument, TrialRecord, Verdict,
    VerdictOutcome,
    format::{format_bytes, format_duration, format_number},
};
use tandem_stats::median;

pub(super) fn verdicts(document: &ResultDocument) -> Vec<Verdict> {
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
    let (mut outcome, mut why) =
        judged.unwrap_or_else(|| (VerdictOutcome::NotMeasured, pair.missing()));
    let timed = ["build", "overhead", "neighbour"].contains(&found.id);
    if timed && outcome != VerdictOutcome::NotMeasured && pair.least_trials() < ENOUGH {
        outcome = VerdictOutcome::Inconclusive;
        let _ = write!(
            why,
            " That is too few trials to decide by: run {ENOUGH} with --trials {ENOUGH}."
        );
    }
    if outcome != VerdictOutcome::NotMeasured {
        why.push(' ');
        why.push_str(found.caveat);
        if timed && vm.accelerator == Some(Accelerator::Tcg) {
            why.push_str(
                " The VM ran under software emulation, so its times are not the hypervisor's.",
            );
        }
    }
    vec![verdict(found.claim, outcome, why)]
}

type Judged = Option<(VerdictOutcome, String)>;

struct Pair<'a> {
    document: &'a ResultDocument,
    container: &'a LaneReport,
    vm: &'a LaneReport,
}

/// Trials below which times decide nothing.
const ENOUGH: usize = 5;

/// A difference smaller than this is none.
const MARGIN: f64 = 1.1;

impl Pair<'_> {
    fn of(&self, lane: &LaneReport, metric: &str) -> Option<f64> {
        median(&values(&self.document.trials, &lane.id, metric)).ok()
    }

    /// Measured trials of the lane that has fewer.
    fn least_trials(&self) -> usize {
        let of = |lane: &LaneReport| {
            let measured = |it: &&TrialRecord| {
                it.lane == lane.id && !it.warmup && it.outcome == OutcomeKind::Measured
            };
            self.document.trials.iter().filter(measured).count()
        };
        of(self.container).min(of(self.vm))
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

    fn build(&self) -> Judged {
        let (container, vm) = self.both("edit_to_response")?;
        let cold = self.both("build_cold").map_or(0.0, |(c, v)| f64::midpoint(c, v));
        Some((
            larger(vm, container),
            format!(
                "From the changed line to the answer it took {} with the container and {} with the VM ({} times); a build without a cache takes {}.",
                time(container),
                time(vm),
                times(vm, container),
                time(cold)
            ),
        ))
    }

    fn elasticity(&self) -> Judged {
        let (container, vm) = self.both("reached_bytes")?;
        let demand = self.of(self.container, "demand_bytes")?;
        let free = self.of(self.container, "reached_without_limit_bytes")?;
        let outcome = if free >= demand * 0.95 && vm < demand * 0.95 {
            VerdictOutcome::Supported
        } else {
            VerdictOutcome::Refuted
        };
        Some((
            outcome,
            format!(
                "Asked for {}, a container without a limit got {}, one with a limit {}, and the VM {} of what it was given.",
                bytes(demand),
                bytes(free),
                bytes(container),
                bytes(vm)
            ),
        ))
    }

    fn snapshot(&self) -> Judged {
        let told = |lane: &LaneReport| {
            let disk = self.always(lane, "survives.disk")?;
            let memory = self.always(lane, "survives.memory")?;
            Some((disk, memory))
        };
        let ((c_disk, c_memory), (v_disk, v_memory)) = (told(self.container)?, told(self.vm)?);
        let outcome = if v_disk && v_memory && !c_memory {
            VerdictOutcome::Supported
        } else {
            VerdictOutcome::Refuted
        };
        let word = |yes: bool| if yes { "came back" } else { "did not" };
        Some((
            outcome,
            format!(
                "VM: the mark on disk {}, the one in memory {}. Container: the mark on disk {}, the one in memory {}. So VMs do restore whole; a container is less ephemeral than the claim says, for its files can be kept{}.",
                word(v_disk),
                word(v_memory),
                word(c_disk),
                word(c_memory),
                if c_memory { ", and by a checkpoint (CRIU) its memory too" } else { "" }
            ),
        ))
    }

    fn persistence(&self) -> Judged {
        let c = |metric: &str| self.always(self.container, metric);
        let restart = c("survives.layer_restart")?;
        let recreate = c("survives.layer_anew")?;
        let volume = c("survives.volume_anew")?;
        let vm = self.always(self.vm, "survives.layer_restart")?;
        let outcome = if vm && !recreate && volume {
            VerdictOutcome::Supported
        } else {
            VerdictOutcome::Refuted
        };
        let word = |yes: bool| if yes { "still there" } else { "gone" };
        Some((
            outcome,
            format!(
                "In the container's own files the mark was {} after a restart and {} after it was made anew; in its volume it was {}. In the VM's disk it was {} after a restart.",
                word(restart),
                word(recreate),
                word(volume),
                word(vm)
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
        let outcome = if v_kernel && !c_kernel && c_hidden && v_hidden && bomb {
            VerdictOutcome::Supported
        } else {
            VerdictOutcome::Refuted
        };
        let word =
            |own: bool| if own { "has a kernel of its own" } else { "shares the host's kernel" };
        let seen = |hidden: bool| if hidden { "none" } else { "some" };
        Some((
            outcome,
            format!(
                "The VM {}, the container {}. Of the host's processes and files the VM saw {}, the container {}. The bomb of processes was {}.",
                word(v_kernel),
                word(c_kernel),
                seen(v_hidden),
                seen(c_hidden),
                if bomb { "contained in both" } else { "not contained in both" }
            ),
        ))
    }

    fn overhead(&self) -> Judged {
        let process = self.document.lanes.iter().find(|it| it.backend == BackendKind::Process)?;
        let base = self.of(process, "cpu_time")?;
        let (container, vm) = self.both("cpu_time")?;
        let outcome = if container / base < 1.15 {
            VerdictOutcome::Supported
        } else {
            VerdictOutcome::Inconclusive
        };
        Some((
            outcome,
            format!(
                "Computing took {} times the bare process's time in the container and {} times in the VM.{}",
                times(container, base),
                times(vm, base),
                self.rush(process).unwrap_or_default()
            ),
        ))
    }

    /// Answers a second beside the bare process's, a sentence.
    fn rush(&self, process: &LaneReport) -> Option<String> {
        let base = self.of(process, "throughput")?;
        let (container, vm) = self.both("throughput")?;
        Some(format!(
            " The same server answered {} requests a second as a process, {} in the container and {} in the VM.",
            format_number(base),
            format_number(container),
            format_number(vm)
        ))
    }

    fn neighbour(&self) -> Judged {
        let shift = |lane: &LaneReport, suffix: &str| {
            let beside = self.of(lane, &format!("latency_p99_beside{suffix}"))?;
            Some(beside / self.of(lane, "latency_p99")?.max(1.0))
        };
        let (mut worst, mut told) = (0.0_f64, Vec::new());
        for (suffix, busy) in [("", "processors"), ("_memory", "memory"), ("_disk", "disk")] {
            let found = (shift(self.container, suffix), shift(self.vm, suffix));
            let (Some(container), Some(vm)) = found else { continue };
            worst = worst.max(container).max(vm);
            told.push(format!("{busy} {} and {}", format_number(container), format_number(vm)));
        }
        if told.is_empty() {
            return None;
        }
        let outcome =
            if worst < 3.0 { VerdictOutcome::Supported } else { VerdictOutcome::Inconclusive };
        Some((
            outcome,
            format!(
                "Beside a neighbour that keeps something busy without end, the slowest answers (p99) took so many times as long in the container and in the VM: {}.",
                told.join("; ")
            ),
        ))
    }

    fn missing(&self) -> String {
        let reason = self.document.trials.iter().find_map(|trial| trial.reason.as_ref());
        match reason.and_then(|reason| reason.lines().next()) {
            Some(line) => format!("Not every lane was measured. The first reason: {line}"),
            None => "Not every lane was measured.".to_owned(),
        }
    }
}

fn larger(vm: f64, container: f64) -> VerdictOutcome {
    if vm > container * MARGIN {
        VerdictOutcome::Supported
    } else if container > vm * MARGIN {
        VerdictOutcome::Refuted
    } else {
        VerdictOutcome::Inconclusive
    }
}

fn times(a: f64, b: f64) -> String {
    format_number(a / b.max(1.0))
}

fn bytes(value: f64) -> String {
    format_bytes(value)
}

fn time(value: f64) -> String {
    format_duration(value)
}

fn verdict(claim: &str, outcome: VerdictOutcome, why: String) -> Verdict {
    Verdict { claim: claim.to_owned(), outcome, why }
}
