//! A fictional result; the figures are invented.

use std::collections::BTreeMap;

use serde_json::json;
use tandem_model::{
    Accelerator, BackendKind, CacheState, Comparison, Design, LaneReport, Machine, OutcomeKind,
    Parity, Prediction, Resources, ResultDocument, SCHEMA, Subject, TrialPhase, TrialRecord, Unit,
    Verdict, VerdictOutcome,
};
use tandem_stats::{ratio_of_medians, summarize};

pub(crate) const MS: f64 = 1e6;
pub(crate) const MIB: f64 = 1_048_576.0;

/// Trials around a middle, spread by a fixed pattern, with one far off.
fn times(middle_ms: f64, spread: f64) -> Vec<f64> {
    [0.0, -0.6, 0.4, 0.1, -0.2, 0.9, -0.4, 3.2, 0.2, -0.1]
        .map(|step| (middle_ms * (1.0 + spread * step)).round() * MS)
        .to_vec()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small positive times")]
fn phases(total: f64, parts: &[(&str, f64)]) -> Vec<TrialPhase> {
    let mut at = 0.0;
    let mut phases = Vec::new();
    for (name, share) in parts {
        let end = at + total * share;
        phases.push(TrialPhase { name: (*name).into(), start_ns: at as u64, end_ns: end as u64 });
        at = end;
    }
    phases
}

fn series(end_ns: f64, value: impl Fn(f64) -> f64) -> Vec<[f64; 2]> {
    (0..=200).map(|i| f64::from(i) / 200.0).map(|t| [t * end_ns, value(t)]).collect()
}

fn container(index: u32, total: f64) -> TrialRecord {
    let parts = [("rootfs", 0.02), ("network", 0.036), ("create", 0.055), ("app", 0.889)];
    let end = total * 3.0;
    let cpu = series(end, |t| if t < 0.34 { 0.92 - t } else { 0.01 });
    let memory = series(end, |t| (27.4 * (t * 3.0).min(1.0)) * MIB);
    let ledger = [
        ("app_anonymous", 21.9),
        ("files_it_alone_uses", 3.6),
        ("kernel", 1.1),
        ("supervisor", 0.8),
    ];
    record("container", index, total, phases(total, &parts), cpu, memory, &ledger)
}

fn vm(index: u32, total: f64) -> TrialRecord {
    let parts = [
        ("disk", 0.006),
        ("spawn", 0.0097),
        ("kernel", 0.29),
        ("userspace", 0.0457),
        ("app", 0.6486),
    ];
    let end = total * 1.3;
    let cpu = series(end, |t| if t < 0.77 { 0.97 + 0.03 * (t * 40.0).sin() } else { 0.06 });
    let memory = series(end, |t| (341.0 * (t * 1.6).min(1.0).sqrt()) * MIB);
    let ledger = [
        ("emulator", 176.0),
        ("guest_kernel_and_cache", 96.0),
        ("guest_s_app", 24.0),
        ("unexplained", 45.0),
    ];
    record("vm/micro", index, total, phases(total, &parts), cpu, memory, &ledger)
}

pub(crate) fn record(
    lane: &str,
    index: u32,
    total: f64,
    phases: Vec<TrialPhase>,
    cpu: Vec<[f64; 2]>,
    memory: Vec<[f64; 2]>,
    ledger: &[(&str, f64)],
) -> TrialRecord {
    let mut metrics = BTreeMap::from([("first_response".to_owned(), json!(total))]);
    for (part, mib) in ledger {
        metrics.insert(format!("memory_ledger.{part}"), json!((mib * MIB).round()));
    }
    metrics.insert("response_sha256".into(), json!("9f3c41ab"));
    TrialRecord {
        lane: lane.into(),
        index,
        warmup: false,
        outcome: OutcomeKind::Measured,
        reason: None,
        phases,
        metrics,
        series: BTreeMap::from([("cpu".to_owned(), cpu), ("memory".to_owned(), memory)]),
    }
}

fn lane(id: &str, backend: BackendKind, accelerator: Option<Accelerator>) -> LaneReport {
    LaneReport {
        id: id.into(),
        backend,
        profile: (backend == BackendKind::Vm).then(|| "micro".into()),
        engine: if backend == BackendKind::Vm { "QEMU 10.0" } else { "Tandem 0.1.0" }.into(),
        accelerator,
        resources: Resources { memory_bytes: Some(512 << 20), milli_cpus: Some(1000), pids: None },
        parity: Parity { fair: true, differences: Vec::new() },
    }
}

/// Ten trials of a container and of an emulated virtual machine.
pub(crate) fn document() -> ResultDocument {
    let (fast, slow) = (times(340.0, 0.05), times(8310.0, 0.012));
    let mut trials = Vec::new();
    for (index, (a, b)) in (0..).zip(fast.iter().zip(&slow)) {
        trials.push(container(index, *a));
        trials.push(vm(index, *b));
    }
    let summary = [("container", &fast), ("vm/micro", &slow)].map(|(lane, values)| {
        summarize(values, 4711).unwrap().into_summary(lane, "first_response", Unit::Ns)
    });
    let ratio = ratio_of_medians(&fast, &slow, 4711).unwrap();
    ResultDocument {
        schema: SCHEMA.into(),
        id: "01example0001".into(),
        experiment: "compare".into(),
        started_at: "2026-01-05T10:00:00Z".parse().unwrap(),
        finished_at: "2026-01-05T10:02:31Z".parse().unwrap(),
        subject: Subject {
            name: "hello-flask".into(),
            image: "localhost/tandem/hello-flask:latest".into(),
            digest: format!("sha256:{}", "9f3c41ab".repeat(8)).parse().unwrap(),
            base: Some("localhost/tandem/python:3.11-bookworm".into()),
            base_substituted: true,
        },
        machine: Machine {
            fingerprint: "b51c0ffee".into(),
            cpu: "An Invented Processor".into(),
            cores: 2,
            memory_bytes: 24 << 30,
            kernel: "6.1.0-1-amd64".into(),
            os: "Debian GNU/Linux 12 (bookworm)".into(),
            cgroup: "v2".into(),
            virtualised: Some("kvm".into()),
        },
        design: Design {
            trials: 10,
            warmup: 0,
            seed: 4711,
            order: trials.iter().map(|trial| trial.lane.clone()).collect(),
            cache: CacheState::Warm,
        },
        lanes: vec![
            lane("container", BackendKind::Container, None),
            lane("vm/micro", BackendKind::Vm, Some(Accelerator::Tcg)),
        ],
        trials,
        summary: summary.to_vec(),
        comparisons: vec![Comparison {
            metric: "first_response".into(),
            a: "container".into(),
            b: "vm/micro".into(),
            ratio: ratio.ratio,
            ci95: ratio.ci95,
        }],
        verdicts: vec![Verdict {
            claim: "Containers are faster to spin up".into(),
            outcome: VerdictOutcome::Supported,
            why: "The container answered 24.4 times sooner (95 % interval 23.7–25.1, n = 10 a lane). \
                  The VM ran under software emulation, so the ratio is not the hypervisor's."
                .into(),
        }],
        predictions: vec![Prediction {
            question: "How many times as long will the VM take as the container?".into(),
            expected: "about five times".into(),
            explanation: None,
        }],
        warnings: vec!["KVM is not usable here: the virtual machine ran under software emulation.".into()],
    }
}
