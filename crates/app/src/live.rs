//! A run as it can be drawn at any moment while it goes on.
//!
//! Pure: it takes events with the time at which they happened, and gives the
//! race, processor and memory charts for a moment.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tandem_model::{Accelerator, OutcomeKind, ResultDocument, RunEvent, TrialPhase, TrialRecord};
use tandem_report::{
    Chart, LaneSeries, RaceData, RaceLane, RaceState, Size, Theme, cpu_chart, memory_chart,
    race_chart, race_of, series_of, typical_phases,
};

/// How large and in which theme the window wants its charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
pub struct ChartView {
    /// Light or dark.
    pub theme: Theme,
    /// Size of the race.
    pub race: Size,
    /// Size of the chart of processors.
    pub cpu: Size,
    /// Size of the chart of memory.
    pub memory: Size,
}

/// The charts of a run; null where there is nothing to show yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ts_rs::TS)]
pub struct Charts {
    /// All lanes on one clock.
    pub race: Option<Chart>,
    /// Processors busy over time.
    pub cpu: Option<LineChart>,
    /// Memory over time.
    pub memory: Option<LineChart>,
}

/// A chart of lines with the values that it shows, for crosshair and tooltip.
#[derive(Debug, Clone, PartialEq, Serialize, ts_rs::TS)]
pub struct LineChart {
    /// The picture.
    pub chart: Chart,
    /// Its lines.
    pub curves: Vec<Curve>,
}

/// A line of a chart.
#[derive(Debug, Clone, PartialEq, Serialize, ts_rs::TS)]
pub struct Curve {
    /// Lane id.
    pub lane: String,
    /// Nanoseconds since the request, and the value: processors busy, or
    /// bytes.
    pub points: Vec<[f64; 2]>,
}

/// The state of a run, built from its events.
#[derive(Debug, Clone, Default)]
pub struct Live {
    lanes: Vec<LiveLane>,
    trials: u32,
    result: Option<ResultDocument>,
}

#[derive(Debug, Clone)]
struct LiveLane {
    id: String,
    accelerator: Option<Accelerator>,
    unavailable: Option<String>,
    current: Option<Current>,
    /// How many trials that count are over, well or not.
    over: u32,
    /// Those of them that were measured.
    measured: Vec<TrialRecord>,
    estimate: Option<(f64, [f64; 2])>,
    failed: Option<String>,
}

/// The launch that runs now in a lane, or ran last.
#[derive(Debug, Clone)]
struct Current {
    requested_at: Duration,
    record: TrialRecord,
    first_response_ns: Option<u64>,
    over: bool,
}

/// The metric of the race.
const FIRST_RESPONSE: &str = "first_response";

impl Live {
    /// Whether there is something to draw.
    pub fn has_lanes(&self) -> bool {
        !self.lanes.is_empty()
    }

    /// Whether a launch is running, so that the charts change with time alone.
    pub fn is_ticking(&self) -> bool {
        self.result.is_none()
            && self
                .lanes
                .iter()
                .filter_map(|lane| lane.current.as_ref())
                .any(|current| !current.over)
    }

    /// Takes an event that happened `at` this time after the run began.
    pub fn apply(&mut self, at: Duration, event: &RunEvent) {
        match event {
            RunEvent::Planned { lanes, trials, .. } => {
                self.trials = *trials;
                self.lanes = lanes
                    .iter()
                    .map(|lane| LiveLane {
                        id: lane.id.clone(),
                        accelerator: lane.accelerator,
                        unavailable: lane.unavailable.clone(),
                        current: None,
                        over: 0,
                        measured: Vec::new(),
                        estimate: None,
                        failed: None,
                    })
                    .collect();
            }
            RunEvent::TrialStarted { lane, index, warmup } => {
                let record = TrialRecord {
                    lane: lane.clone(),
                    index: *index,
                    warmup: *warmup,
                    outcome: OutcomeKind::Measured,
                    reason: None,
                    phases: Vec::new(),
                    metrics: std::collections::BTreeMap::new(),
                    series: std::collections::BTreeMap::new(),
                };
                if let Some(found) = self.lane(lane) {
                    let (first_response_ns, over) = (None, false);
                    found.current =
                        Some(Current { requested_at: at, record, first_response_ns, over });
                }
            }
            RunEvent::Phase { lane, index, name, start_ns, end_ns } => {
                if let Some(current) = self.current(lane, *index) {
                    let (name, start_ns, end_ns) = (name.clone(), *start_ns, *end_ns);
                    current.record.phases.push(TrialPhase { name, start_ns, end_ns });
                }
            }
            RunEvent::Sample { lane, index, at_ns, cpus, memory } => {
                if let Some(current) = self.current(lane, *index) {
                    for (name, value) in [("cpu", *cpus), ("memory", *memory as f64)] {
                        let points = current.record.series.entry(name.to_owned()).or_default();
                        points.push([*at_ns as f64, value]);
                    }
                }
            }
            RunEvent::FirstResponse { lane, index, elapsed_ns, .. } => {
                if let Some(current) = self.current(lane, *index) {
                    current.first_response_ns = Some(*elapsed_ns);
                }
            }
            RunEvent::TrialFinished { lane, index, outcome, reason } => {
                self.finish_trial(lane, *index, *outcome, reason.as_deref());
            }
            RunEvent::Estimate { lane, metric, median, ci95, .. } if metric == FIRST_RESPONSE => {
                if let Some(found) = self.lane(lane) {
                    found.estimate = Some((*median, *ci95));
                }
            }
            RunEvent::Finished { result } => self.result = Some((**result).clone()),
            _ => {}
        }
    }

    /// The charts as they are `now`, this time after the run began.
    pub fn draw(&self, now: Duration, view: &ChartView) -> Charts {
        if !self.has_lanes() {
            return Charts::default();
        }
        let race = match &self.result {
            Some(result) => race_of(result),
            None => self.race(now),
        };
        Charts {
            race: Some(race_chart(&race, view.race, view.theme)),
            cpu: lines(self.series("cpu"), |series| cpu_chart(series, view.cpu, view.theme)),
            memory: lines(self.series("memory"), |series| {
                memory_chart(series, view.memory, view.theme)
            }),
        }
    }

    fn race(&self, now: Duration) -> RaceData {
        let slowest = self.lanes.iter().flat_map(|lane| &lane.measured).filter_map(first_response);
        RaceData {
            title: "From the request to the first answer".to_owned(),
            note: self.note(),
            lanes: self
                .lanes
                .iter()
                .map(|lane| RaceLane {
                    id: lane.id.clone(),
                    accelerator: lane.accelerator,
                    state: lane.state(now),
                })
                .collect(),
            expected_ns: slowest.max_by(f64::total_cmp),
        }
    }

    /// Which trial runs, for the corner of the chart.
    fn note(&self) -> String {
        let runs = |lane: &&LiveLane| lane.current.as_ref().is_some_and(|current| !current.over);
        match self.lanes.iter().find(runs) {
            Some(lane) if lane.current.as_ref().is_some_and(|current| current.record.warmup) => {
                "a warm-up, not counted".to_owned()
            }
            Some(lane) => format!("trial {} of {}", lane.over + 1, self.trials),
            None => String::new(),
        }
    }

    fn series(&self, name: &str) -> Vec<LaneSeries> {
        if let Some(result) = &self.result {
            return series_of(result, name);
        }
        let of_lane = |lane: &LiveLane| {
            let current = lane.current.as_ref()?;
            let points = current.record.series.get(name)?.clone();
            let first_response_ns = current.first_response_ns.map(|ns| ns as f64);
            let (lane, accelerator) = (lane.id.clone(), lane.accelerator);
            Some(LaneSeries { lane, accelerator, points, first_response_ns })
        };
        self.lanes.iter().filter_map(of_lane).collect()
    }

    fn finish_trial(&mut self, lane: &str, index: u32, outcome: OutcomeKind, why: Option<&str>) {
        let Some(current) = self.current(lane, index) else { return };
        current.over = true;
        let mut record = current.record.clone();
        let first = current.first_response_ns;
        let Some(found) = self.lane(lane) else { return };
        found.over += u32::from(!record.warmup);
        match (outcome, first) {
            (OutcomeKind::Measured, Some(ns)) if !record.warmup => {
                record.metrics.insert(FIRST_RESPONSE.to_owned(), ns.into());
                found.measured.push(record);
            }
            (OutcomeKind::Measured, _) => {}
            _ => found.failed = Some(why.unwrap_or("it failed").to_owned()),
        }
    }

    fn lane(&mut self, id: &str) -> Option<&mut LiveLane> {
        self.lanes.iter_mut().find(|lane| lane.id == id)
    }

    fn current(&mut self, lane: &str, index: u32) -> Option<&mut Current> {
        self.lane(lane)?.current.as_mut().filter(|current| current.record.index == index)
    }
}

impl LiveLane {
    fn state(&self, now: Duration) -> RaceState {
        if let Some(reason) = &self.unavailable {
            return RaceState::Unavailable { reason: reason.clone() };
        }
        match &self.current {
            None => RaceState::Waiting,
            Some(current) if !current.over => current.state(now),
            Some(_) if !self.measured.is_empty() => self.so_far(),
            Some(current) => match &self.failed {
                Some(reason) => RaceState::Failed { reason: reason.clone() },
                None => current.state(now),
            },
        }
    }

    /// The median of the trials that are over.
    fn so_far(&self) -> RaceState {
        let trials: Vec<&TrialRecord> = self.measured.iter().collect();
        let times: Vec<f64> = self.measured.iter().filter_map(first_response).collect();
        let median = tandem_stats::median(&times).unwrap_or(f64::NAN);
        let (median_ns, ci95) = match self.estimate {
            Some((median, interval)) => (median, Some(interval)),
            None => (median, None),
        };
        let n = u32::try_from(trials.len()).unwrap_or(u32::MAX);
        let ci95 = ci95.filter(|_| n > 1);
        RaceState::Finished { phases: typical_phases(&trials), median_ns, ci95, n }
    }
}

impl Current {
    fn state(&self, now: Duration) -> RaceState {
        let phases = self.record.phases.clone();
        match self.first_response_ns {
            Some(ns) => RaceState::Finished { phases, median_ns: ns as f64, ci95: None, n: 1 },
            None => {
                let elapsed_ns = now.saturating_sub(self.requested_at).as_nanos() as f64;
                RaceState::Running { phases, elapsed_ns }
            }
        }
    }
}

fn first_response(trial: &TrialRecord) -> Option<f64> {
    trial.metrics.get(FIRST_RESPONSE).and_then(serde_json::Value::as_f64)
}

fn lines(series: Vec<LaneSeries>, draw: impl Fn(&[LaneSeries]) -> Chart) -> Option<LineChart> {
    if series.iter().all(|lane| lane.points.is_empty()) {
        return None;
    }
    let chart = draw(&series);
    let curves = series.into_iter().map(|one| Curve { lane: one.lane, points: one.points });
    Some(LineChart { chart, curves: curves.collect() })
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
