//! The results of a class: one experiment on many machines.
//!
//! Machines are never pooled: each counts once, with its own median and its
//! own ratio, and what is summed up is how those lie. KVM and emulation stand
//! in rows of their own. What cannot count is refused with the reason.

mod over;

use std::collections::BTreeMap;

use serde::Serialize;
use tandem_model::{Digest, Machine, ResultDocument, Unit};

pub use over::{ClassLane, ClassMetric, ClassRatio, OnMachine, Over};

use crate::{MethodOf, beside::apart::conditions, merge};

/// A file that somebody handed in, read or not.
#[derive(Debug, Clone, PartialEq)]
pub struct HandedIn {
    /// The file's name.
    pub file: String,
    /// What is in it, or why it is no result.
    pub result: Result<ResultDocument, String>,
}

/// A class's results.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Class {
    /// What was measured: files with the same experiment and image are one
    /// group. The largest comes first.
    pub groups: Vec<ClassGroup>,
    /// Files that count nowhere.
    pub refused: Vec<Refused>,
}

/// A file that is not counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Refused {
    /// Its name.
    pub file: String,
    /// Why.
    pub why: String,
}

/// One experiment with one image on the machines of a class.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ClassGroup {
    /// Experiment id.
    pub experiment: String,
    /// What ran.
    pub subject: String,
    /// The image that every lane ran.
    pub digest: Digest,
    /// The machines, in the order of their files.
    pub machines: Vec<ClassMachine>,
    /// How the metrics lie over them, those that matter most first.
    pub metrics: Vec<ClassMetric>,
}

/// A machine of the class.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ClassMachine {
    /// The files that are its.
    pub files: Vec<String>,
    /// What it is.
    pub machine: Machine,
    /// What a reader must know of it, a sentence each.
    pub notes: Vec<String>,
}

/// Puts the results of a class together. Machines that are set up alike
/// cannot be told apart, so each file counts as a machine of its own, unless
/// `join` says that runs of one set-up are of one machine, and how they are
/// judged: their trials are then joined where [`merge`] allows it.
pub fn class(handed_in: Vec<HandedIn>, join: Option<MethodOf<'_>>) -> Class {
    let mut refused = Vec::new();
    let mut groups: Vec<Vec<Joined>> = Vec::new();
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    for HandedIn { file, result } in handed_in {
        match result.and_then(|result| counts(&mut ids, &file, result)) {
            Ok(result) => place(&mut groups, Joined { files: vec![file], result }),
            Err(why) => refused.push(Refused { file, why }),
        }
    }
    if let Some(method) = join {
        for group in &mut groups {
            *group = joined(std::mem::take(group), method, &mut refused);
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    Class { groups: groups.into_iter().map(|group| sum_up(&group)).collect(), refused }
}

/// A machine's result with the files that it came from.
struct Joined {
    files: Vec<String>,
    result: ResultDocument,
}

/// The result, or why it does not count.
fn counts(
    ids: &mut BTreeMap<String, String>,
    file: &str,
    result: ResultDocument,
) -> Result<ResultDocument, String> {
    if result.summary.is_empty() {
        return Err("none of its trials was measured: run the experiment again".to_owned());
    }
    if let Some(earlier) = ids.get(&result.id) {
        return Err(format!("it is the run of {earlier} once more, and would count twice"));
    }
    ids.insert(result.id.clone(), file.to_owned());
    Ok(result)
}

fn place(groups: &mut Vec<Vec<Joined>>, one: Joined) {
    let is_same = |group: &&mut Vec<Joined>| {
        let first = &group[0].result;
        first.experiment == one.result.experiment
            && first.subject.digest == one.result.subject.digest
    };
    match groups.iter_mut().find(is_same) {
        Some(group) => group.push(one),
        None => groups.push(vec![one]),
    }
}

/// Joins the runs of one set-up; what cannot be joined is refused.
fn joined(group: Vec<Joined>, method: MethodOf<'_>, refused: &mut Vec<Refused>) -> Vec<Joined> {
    let mut machines: Vec<Joined> = Vec::new();
    for one in group {
        let fingerprint = &one.result.machine.fingerprint;
        let same = machines.iter_mut().find(|it| it.result.machine.fingerprint == *fingerprint);
        let Some(there) = same else {
            machines.push(one);
            continue;
        };
        match merge(&[there.result.clone(), one.result], method) {
            Ok(result) => {
                there.result = result;
                there.files.extend(one.files);
            }
            Err(why) => {
                let file = one.files.into_iter().next().unwrap_or_default();
                refused.push(Refused { file, why: why.to_string() });
            }
        }
    }
    machines
}

fn sum_up(group: &[Joined]) -> ClassGroup {
    let results: Vec<&ResultDocument> = group.iter().map(|one| &one.result).collect();
    let first = results[0];
    let machine = |(at, one): (usize, &Joined)| ClassMachine {
        files: one.files.clone(),
        machine: one.result.machine.clone(),
        notes: notes(group, at),
    };
    ClassGroup {
        experiment: first.experiment.clone(),
        subject: first.subject.name.clone(),
        digest: first.subject.digest.clone(),
        machines: group.iter().enumerate().map(machine).collect(),
        metrics: over::metrics(&results),
    }
}

fn notes(group: &[Joined], at: usize) -> Vec<String> {
    let result = &group[at].result;
    let mut notes = Vec::new();
    let alike = group[..at]
        .iter()
        .position(|one| one.result.machine.fingerprint == result.machine.fingerprint);
    if let Some(other) = alike {
        notes.push(format!("set up as machine {}, or the same one", other + 1));
    }
    let other = conditions(&group[0].result, result);
    if !other.is_empty() {
        notes.push(format!("not measured as machine 1 was: {}", other.join("; ")));
    }
    for lane in result.lanes.iter().filter(|lane| !lane.parity.fair) {
        notes.push(format!("not a fair comparison: {}", lane.parity.differences.join("; ")));
    }
    let failed = result
        .trials
        .iter()
        .filter(|trial| trial.outcome == tandem_model::OutcomeKind::Failed && !trial.warmup);
    match failed.count() {
        0 => {}
        1 => notes.push("one trial failed".to_owned()),
        several => notes.push(format!("{several} trials failed")),
    }
    notes
}

/// Whether a distribution can be drawn of it.
fn is_drawn(unit: Unit) -> bool {
    unit != Unit::Boolean
}

#[cfg(test)]
mod tests;
