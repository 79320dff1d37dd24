//! Fictional results of the experiments that are no launches; the figures are
//! invented.

use std::collections::BTreeMap;

use serde_json::json;
use tandem_model::{Comparison, ResultDocument, Summary};

use crate::common::{MIB, MS, document, record};

/// Metrics of a lane, value by value.
type Metrics<'a> = &'a [(&'a str, serde_json::Value)];

/// Two trials of an experiment in a container and in an emulated machine.
fn of(experiment: &str, container: Metrics<'_>, machine: Metrics<'_>) -> ResultDocument {
    let mut document = document();
    experiment.clone_into(&mut document.experiment);
    document.summary.clear();
    document.comparisons.clear();
    document.trials.clear();
    for index in 0..2 {
        for (lane, metrics) in [("container", container), ("vm/micro", machine)] {
            let mut trial = record(lane, index, 1.0, Vec::new(), Vec::new(), Vec::new(), &[]);
            let later = |value: &serde_json::Value| match value.as_f64() {
                Some(number) => json!(number * (1.0 + 0.1 * f64::from(index))),
                None => value.clone(),
            };
            trial.metrics =
                metrics.iter().map(|(name, value)| ((*name).to_owned(), later(value))).collect();
            trial.series.clear();
            document.trials.push(trial);
        }
    }
    document
}

/// A document of each experiment that is no launch; the figures are invented.
pub(crate) fn experiments() -> Vec<ResultDocument> {
    let mut all = vec![
        of(
            "persistence",
            &[
                ("survives.layer_restart", json!(true)),
                ("survives.layer_anew", json!(false)),
                ("survives.volume_anew", json!(true)),
            ],
            &[("survives.layer_restart", json!(true)), ("survives.layer_anew", json!(false))],
        ),
        elasticity(),
    ];
    // It held once, and once it did not.
    all[0].trials[0].metrics.insert("survives.layer_restart".to_owned(), json!(false));
    all.extend([overhead(), resize(), density()]);
    all
}

fn elasticity() -> ResultDocument {
    let mib = |count: f64| json!(count * MIB);
    of(
        "elasticity",
        &[
            ("demand_bytes", mib(600.0)),
            ("limit_bytes", mib(400.0)),
            ("reached_bytes", mib(380.0)),
            ("reached_when_given_bytes", mib(600.0)),
            ("reached_without_limit_bytes", mib(600.0)),
            ("killed_for_memory", json!(true)),
            ("demand_cpus", json!(2)),
            ("limit_cpus", json!(1)),
            ("got_cpus", json!(0.98)),
            ("got_when_given_cpus", json!(1.93)),
            ("got_without_limit_cpus", json!(1.95)),
            ("throttled", json!(true)),
            ("memory_host", mib(381.0)),
            ("memory_host_when_given", mib(602.0)),
            ("memory_host_freed", mib(2.0)),
            ("memory_host_taken_back", mib(2.0)),
            ("memory_host_without_limit", mib(602.0)),
        ],
        &[
            ("demand_bytes", mib(600.0)),
            ("limit_bytes", mib(400.0)),
            ("reached_bytes", mib(310.0)),
            ("reached_when_given_bytes", mib(600.0)),
            ("killed_for_memory", json!(true)),
            ("demand_cpus", json!(2)),
            ("limit_cpus", json!(1)),
            ("got_cpus", json!(1.01)),
            ("got_when_given_cpus", json!(1.88)),
            ("memory_host", mib(440.0)),
            ("memory_host_when_given", mib(730.0)),
            ("memory_host_freed", mib(730.0)),
            ("memory_host_taken_back", mib(310.0)),
        ],
    )
}

fn overhead() -> ResultDocument {
    let mut document = document();
    "overhead".clone_into(&mut document.experiment);
    document.trials.clear();
    document.summary = ["cpu_time", "throughput", "latency_p99"]
        .iter()
        .flat_map(|metric| {
            let named = |one: &Summary| Summary { metric: (*metric).to_owned(), ..one.clone() };
            document.summary.iter().map(named).collect::<Vec<_>>()
        })
        .collect();
    let ratio = |metric: &str, ratio: f64, ci95: [f64; 2]| Comparison {
        metric: metric.into(),
        a: "container".into(),
        b: "vm/micro".into(),
        ratio,
        ci95,
    };
    document.comparisons = vec![
        ratio("cpu_time", 3.9, [3.7, 4.4]),
        ratio("throughput", 0.13, [0.1, 0.19]),
        ratio("latency_p99", 2.8, [0.9, 9.0]),
        // Nothing that a logarithmic axis has a place for.
        ratio("disk_time", 0.0, [0.0, 0.0]),
    ];
    document
}

fn resize() -> ResultDocument {
    let lane = |long: f64| {
        [
            ("requests", json!(90.0)),
            ("failed_requests", json!(0.0)),
            ("longest_gap", json!(22.0 * MS)),
            ("cold_requests", json!(70.0)),
            ("cold_failed_requests", json!(12.0)),
            ("cold_resize_downtime", json!(long * 1000.0 * MS)),
        ]
    };
    let mut document = of("resize", &lane(0.3), &lane(5.3));
    for trial in &mut document.trials {
        let away = if trial.lane == "container" { 300.0 } else { 5300.0 };
        let hot = (0..60).map(|at| f64::from(at) * 20.0);
        let answer = |at: f64| [at * MS, (4.0 + (at / 30.0).sin()) * MS];
        let (stop, back) = (1700.0, 1700.0 + away);
        let load =
            (0..600).map(|at| 1200.0 + f64::from(at) * 20.0).take_while(|at| *at < back + 600.0);
        let (lost, kept): (Vec<f64>, Vec<f64>) = load.partition(|at| (stop..back).contains(at));
        trial.series = BTreeMap::from([
            ("latency".to_owned(), hot.map(answer).collect()),
            ("change".to_owned(), vec![[400.0 * MS, 2.0 * MS], [800.0 * MS, 90.0 * MS]]),
            ("cold_latency".to_owned(), kept.into_iter().map(answer).collect()),
            ("cold_lost".to_owned(), lost.into_iter().map(|at| [at * MS, MS]).collect()),
            ("cold_change".to_owned(), vec![[stop * MS, away * MS]]),
        ]);
    }
    document
}

fn density() -> ResultDocument {
    let mut document = of("density", &[("fits", json!(390.0))], &[("fits", json!(60.0))]);
    for trial in &mut document.trials {
        let (first, each) = if trial.lane == "container" { (52.0, 42.0) } else { (336.0, 270.0) };
        let grown = |of: f64| (1..=5).map(|nth| [f64::from(nth), of * f64::from(nth)]).collect();
        trial.series = BTreeMap::from([
            (
                "memory".to_owned(),
                (0..5)
                    .map(|nth| [f64::from(nth) + 1.0, (first + each * f64::from(nth)) * MIB])
                    .collect(),
            ),
            ("launch".to_owned(), grown(60.0 * MS)),
            ("disk".to_owned(), Vec::new()),
        ]);
    }
    document
}
