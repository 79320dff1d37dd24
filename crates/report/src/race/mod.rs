//! The race: all lanes on one clock, each a bar of phases that ends at its
//! first answer.

mod draw;
mod labels;
mod layout;
mod slices;

use tandem_model::{Accelerator, TrialPhase};

use crate::{
    chart::{Chart, Size, Table},
    lane::lane_title,
    theme::Theme,
};
use tandem_model::format::{format_duration, format_duration_interval};

/// What the race chart shows.
#[derive(Debug, Clone, PartialEq)]
pub struct RaceData {
    /// Heading.
    pub title: String,
    /// A few words on what the marks mean, e.g. `median of 10 · whiskers:
    /// 95 % interval`; may be empty.
    pub note: String,
    /// The lanes, from top to bottom.
    pub lanes: Vec<RaceLane>,
    /// How long the slowest lane took before, nanoseconds: while a lane runs,
    /// the clock reaches at least so far.
    pub expected_ns: Option<f64>,
}

/// One lane of the race.
#[derive(Debug, Clone, PartialEq)]
pub struct RaceLane {
    /// Lane id, as in the result.
    pub id: String,
    /// What ran its machine, if it has one.
    pub accelerator: Option<Accelerator>,
    /// How far it is.
    pub state: RaceState,
}

/// How far a lane is. Times are nanoseconds since the request.
#[derive(Debug, Clone, PartialEq)]
pub enum RaceState {
    /// Its turn has not come.
    Waiting,
    /// It was requested and has not answered.
    Running {
        /// Phases that are over.
        phases: Vec<TrialPhase>,
        /// Time since the request.
        elapsed_ns: f64,
    },
    /// It answered.
    Finished {
        /// Its phases.
        phases: Vec<TrialPhase>,
        /// Time to the first answer, or the median of several.
        median_ns: f64,
        /// The 95 % interval of the median.
        ci95: Option<[f64; 2]>,
        /// Trials behind it.
        n: u32,
    },
    /// This machine cannot run it.
    Unavailable {
        /// Why.
        reason: String,
    },
    /// It went wrong.
    Failed {
        /// What happened.
        reason: String,
    },
}

/// Draws the race. Lanes that are still running have an open end; lanes that
/// cannot run show their reason.
pub fn race_chart(data: &RaceData, size: Size, theme: Theme) -> Chart {
    draw::draw(&layout::lay(data, size, theme), table(data), theme)
}

fn table(data: &RaceData) -> Table {
    let header = ["Lane", "To the first answer", "95 % interval", "Trials", "Phases"];
    let mut table = Table::new(&data.title, &header);
    for lane in &data.lanes {
        let name = lane_title(&lane.id, lane.accelerator);
        let (answer, interval, trials, phases) = match &lane.state {
            RaceState::Waiting => ("waiting".to_owned(), None, None, &[][..]),
            RaceState::Running { phases, elapsed_ns } => {
                (format!("{} so far", format_duration(*elapsed_ns)), None, None, &phases[..])
            }
            RaceState::Finished { phases, median_ns, ci95, n } => {
                (format_duration(*median_ns), *ci95, Some(*n), &phases[..])
            }
            RaceState::Unavailable { reason } => {
                (format!("not available: {reason}"), None, None, &[][..])
            }
            RaceState::Failed { reason } => (format!("failed: {reason}"), None, None, &[][..]),
        };
        table.rows.push(vec![
            name,
            answer,
            interval.map(format_duration_interval).unwrap_or_default(),
            trials.map(|n| n.to_string()).unwrap_or_default(),
            phases.iter().map(slices::words).collect::<Vec<_>>().join(" · "),
        ]);
    }
    table
}
