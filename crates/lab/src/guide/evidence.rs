use tandem_model::{
    Accelerator, BackendKind, CacheState, Digest, LaneReport, OutcomeKind, Resources,
    ResultDocument, TrialRecord,
};
use tandem_stats::{median, summarize};

use super::ENOUGH;
use crate::values;

/// What the results say of one lane.
pub(super) struct Evidence<'a> {
    pub(super) lane: String,
    pub(super) backend: BackendKind,
    pub(super) accelerator: Option<Accelerator>,
    image: &'a Digest,
    resources: Resources,
    /// Result and lane id within it.
    found: Vec<(&'a ResultDocument, &'a str)>,
    /// Results of the lane that measured another image, or under other limits.
    others: Vec<&'a str>,
}

/// The lanes of all results, the latest first. Those of another accelerator are
/// others. Nothing is pooled that is not the same: of a lane that ran several
/// images, or under several limits, the latest counts that was measured often
/// enough.
pub(super) fn of_lanes<'a>(results: &[&'a ResultDocument]) -> Vec<Evidence<'a>> {
    let mut all: Vec<Evidence<'a>> = Vec::new();
    for result in results {
        let measured = |lane: &&LaneReport| {
            result.trials.iter().any(|trial| trial.lane == lane.id && counts(trial))
        };
        for lane in result.lanes.iter().filter(measured) {
            // The second of equal lanes is the same lane.
            let name = lane.id.split('#').next().unwrap_or(&lane.id);
            let image = &result.subject.digest;
            let is_it = |it: &&mut Evidence<'_>| {
                (it.lane.as_str(), it.accelerator) == (name, lane.accelerator)
                    && (it.image, it.resources) == (image, lane.resources)
            };
            match all.iter_mut().find(is_it) {
                Some(known) => known.found.push((result, &lane.id)),
                None => all.push(Evidence {
                    lane: name.to_owned(),
                    backend: lane.backend,
                    accelerator: lane.accelerator,
                    image,
                    resources: lane.resources,
                    found: vec![(result, &lane.id)],
                    others: Vec::new(),
                }),
            }
        }
    }
    let mut lanes: Vec<Evidence<'a>> = Vec::new();
    for one in all {
        let same =
            |it: &&mut Evidence<'_>| it.lane == one.lane && it.accelerator == one.accelerator;
        match lanes.iter_mut().find(same) {
            Some(known) => known.set_against(one),
            None => lanes.push(one),
        }
    }
    lanes
}

impl<'a> Evidence<'a> {
    /// Takes the place of this one, which is later, where this was measured too
    /// rarely.
    fn set_against(&mut self, earlier: Evidence<'a>) {
        let mut left = earlier;
        if self.memory().is_none() && left.memory().is_some() {
            std::mem::swap(self, &mut left);
        }
        self.others.append(&mut left.others);
        for (result, _) in left.found {
            if !self.others.contains(&result.id.as_str()) {
                self.others.push(&result.id);
            }
        }
    }

    /// What of the lane does not count, a sentence.
    pub(super) fn apart(&self) -> Option<String> {
        let ids = self.others.join(", ");
        (!ids.is_empty()).then(|| {
            format!("{}: what measured another image or under other limits does not count with the rest ({ids})", self.lane)
        })
    }

    /// Whether a result counts here.
    pub(super) fn rests_on(&self, id: &str) -> bool {
        self.found.iter().any(|(result, _)| result.id == id)
    }

    /// Memory that one more instance takes: as the n-th beside others where
    /// that was measured, else as the only one.
    pub(super) fn memory(&self) -> Option<(f64, usize)> {
        self.first_of(&["marginal_memory", "memory_host"])
    }

    /// Disk space that one more instance takes.
    pub(super) fn disk(&self) -> Option<(f64, usize)> {
        self.first_of(&["marginal_disk", "instance_bytes"])
    }

    /// Processor time of one launch, nanoseconds.
    pub(super) fn launch(&self) -> Option<(f64, usize)> {
        let times: Vec<f64> = self.trials().filter_map(cpu_time).collect();
        upper(&times)
    }

    /// Disk space of the image, once for all.
    pub(super) fn image(&self) -> Option<f64> {
        median(&self.values("image_bytes")).ok()
    }

    /// With files in the page cache, where that was measured.
    pub(super) fn first_response(&self) -> Option<f64> {
        let of = |cache: CacheState| -> Vec<f64> {
            let found = self.found.iter().filter(|(result, _)| result.design.cache == cache);
            found
                .flat_map(|(result, lane)| values(&result.trials, lane, "first_response"))
                .collect()
        };
        median(&of(CacheState::Warm)).or_else(|_| median(&of(CacheState::Cold))).ok()
    }

    /// Why the lane is left out.
    pub(super) fn too_little(&self, subject: &str) -> String {
        let n = self.values("marginal_memory").len().max(self.values("memory_host").len());
        let lane = &self.lane;
        format!(
            "{lane}: {n} trials tell of its memory, and {ENOUGH} are needed (tandem experiment run density --subject {subject} --lanes {lane} --trials {ENOUGH})"
        )
    }

    fn first_of(&self, metrics: &[&str]) -> Option<(f64, usize)> {
        metrics.iter().find_map(|metric| upper(&self.values(metric)))
    }

    fn values(&self, metric: &str) -> Vec<f64> {
        self.found.iter().flat_map(|(result, lane)| values(&result.trials, lane, metric)).collect()
    }

    fn trials(&self) -> impl Iterator<Item = &TrialRecord> {
        self.found.iter().flat_map(|(result, lane)| {
            result.trials.iter().filter(move |trial| trial.lane == **lane && counts(trial))
        })
    }
}

fn counts(trial: &TrialRecord) -> bool {
    !trial.warmup && trial.outcome == OutcomeKind::Measured
}

/// The upper end of the interval of the median, with the number of values;
/// `None` for too few.
fn upper(values: &[f64]) -> Option<(f64, usize)> {
    if values.len() < ENOUGH {
        return None;
    }
    // Any fixed seed: the guide of the same results is the same.
    let found = summarize(values, 1).ok()?;
    (found.ci95[1] > 0.0).then_some((found.ci95[1], found.n))
}

/// Processor time that a launch took, from the curve of the processors in use.
fn cpu_time(trial: &TrialRecord) -> Option<f64> {
    let curve = trial.series.get("cpu").filter(|curve| curve.len() > 1)?;
    Some(curve.windows(2).map(|pair| (pair[1][0] - pair[0][0]).max(0.0) * pair[1][1]).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::tests::trial;

    #[test]
    fn processor_time_is_the_area_below_the_curve() {
        let mut found = trial("container", 1, &[]);
        assert_eq!(cpu_time(&found), None);
        let curve = vec![[0.0, 0.0], [1e9, 2.0], [1.5e9, 1.0]];
        found.series.insert("cpu".to_owned(), curve);
        assert_eq!(cpu_time(&found), Some(2.5e9));
    }
}
