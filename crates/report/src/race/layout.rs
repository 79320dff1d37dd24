use super::{
    RaceData, RaceLane, RaceState,
    labels::{LINE, Labels, PHASE, Place, place},
    slices::{Slice, slices},
};
use crate::{
    axis::{Ticks, round_up, time_ticks},
    chart::{Rect, Size},
    header::{Header, NARROW, PAD},
    lane::{Look, accelerator_words, lane_name, looks},
    text::{Weight, fit, width, wrap},
    theme::Theme,
};
use tandem_model::format::format_duration;

/// Height of a bar.
const BAR: f64 = 28.0;
/// Space between lanes.
const BETWEEN: f64 = 24.0;
/// Font size of the value at a bar's end: below it, systems that fit letters
/// to whole pixels draw bold ones with hairlines, as if they had serifs.
pub(super) const VALUE: f64 = 16.0;
/// Font sizes of a lane's name and condition.
pub(super) const NAME: f64 = 13.0;
pub(super) const CONDITION: f64 = 12.0;
/// Length of the open end of a bar that still grows.
pub(super) const OPEN: f64 = 21.0;

/// Stands beside the time of a lane that has not answered.
const SO_FAR: &str = "so far";

/// The race in pixels.
pub(super) struct Layout {
    pub(super) title: String,
    pub(super) header: Header,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) plot: Rect,
    /// Pixels for a nanosecond.
    pub(super) scale: f64,
    pub(super) ticks: Ticks,
    pub(super) rows: Vec<Row>,
}

/// A lane in pixels.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) look: Look,
    pub(super) name: String,
    pub(super) condition: String,
    /// Whether the name stands above the bar, and not left of it.
    pub(super) above: bool,
    /// The bar, or the place it would have.
    pub(super) bar: Rect,
    pub(super) body: Body,
}

/// What a lane shows.
pub(super) enum Body {
    /// A bar with its slices.
    Bar {
        slices: Vec<Slice>,
        labels: Labels,
        value: String,
        value_x: f64,
        /// Where the median lies; none while the lane runs.
        finish: Option<f64>,
        /// Ends of the interval, when they are far enough apart to be seen.
        whisker: Option<(f64, f64)>,
    },
    /// Lines of text instead of a bar.
    Words(Vec<String>),
}

/// The ends that matter for the scale, in nanoseconds.
fn reach(state: &RaceState) -> Option<f64> {
    match state {
        RaceState::Running { elapsed_ns, .. } => Some(*elapsed_ns),
        RaceState::Finished { phases, median_ns, ci95, .. } => {
            let end = phases.iter().map(|phase| phase.end_ns as f64).fold(*median_ns, f64::max);
            Some(ci95.map_or(end, |[_, high]| end.max(high)))
        }
        _ => None,
    }
}

fn value_words(state: &RaceState) -> String {
    match state {
        RaceState::Running { elapsed_ns, .. } => format_duration(*elapsed_ns),
        RaceState::Finished { median_ns, .. } => format_duration(*median_ns),
        _ => String::new(),
    }
}

pub(super) fn lay(data: &RaceData, size: Size, theme: Theme) -> Layout {
    let chart_width = size.drawn_width();
    let header = Header::lay(&data.title, &data.note, chart_width);
    let narrow = chart_width < NARROW;
    let names: Vec<String> = data
        .lanes
        .iter()
        .map(|lane| fit(&lane_name(&lane.id), chart_width * 0.3, NAME, Weight::Bold))
        .collect();
    let column = if narrow { 0.0 } else { name_column(&data.lanes, &names) };
    let (left, right) = (PAD + column, chart_width - PAD);
    let (scale, end) = scale(data, right - left);

    let ids: Vec<&str> = data.lanes.iter().map(|lane| lane.id.as_str()).collect();
    let mut y = header.bottom() + 4.0;
    let top = y;
    let mut rows = Vec::new();
    for ((lane, name), look) in data.lanes.iter().zip(names).zip(looks(&ids, theme)) {
        if narrow {
            y += 24.0;
        }
        let condition = accelerator_words(lane.accelerator).unwrap_or_default().to_owned();
        let bar =
            Rect { x: left, y, width: reach(&lane.state).unwrap_or(0.0) * scale, height: BAR };
        let body = body(lane, look, bar, scale, right, theme);
        let lines = match &body {
            Body::Bar { labels, .. } => {
                labels.lines() as f64 * LINE + f64::from(u8::from(labels.lines() > 0)) * 4.0
            }
            Body::Words(lines) => (lines.len() as f64 * LINE - BAR).max(0.0),
        };
        rows.push(Row { id: lane.id.clone(), look, name, condition, above: narrow, bar, body });
        y += BAR + lines + BETWEEN;
    }
    let natural = (y - BETWEEN + 16.0).max(top + BAR) + 22.0 + PAD / 2.0;
    let height = natural.max(size.least_height());
    // What is left over goes evenly between the lanes.
    let extra = (height - natural) / (rows.len() + 1) as f64;
    for (at, row) in rows.iter_mut().enumerate() {
        row.bar.y += extra * (at + 1) as f64;
    }
    let plot = Rect {
        x: left,
        y: top - 4.0,
        width: right - left,
        height: height - PAD / 2.0 - 22.0 - top + 4.0,
    };
    let ticks = time_ticks(end, if narrow { 5 } else { 9 });
    Layout {
        title: data.title.clone(),
        header,
        width: chart_width,
        height,
        plot,
        scale,
        ticks,
        rows,
    }
}

fn name_column(lanes: &[RaceLane], names: &[String]) -> f64 {
    let conditions = lanes.iter().filter_map(|lane| accelerator_words(lane.accelerator));
    let widest = names
        .iter()
        .map(|name| width(name, NAME, Weight::Bold))
        .chain(conditions.map(|words| width(words, CONDITION, Weight::Regular)))
        .fold(0.0, f64::max);
    widest + 12.0
}

/// Pixels for a nanosecond, so that every bar has room for its value, and
/// the time that the last tick may show.
fn scale(data: &RaceData, room: f64) -> (f64, f64) {
    let ends = || data.lanes.iter().filter_map(|lane| Some((lane, reach(&lane.state)?)));
    let longest = ends().map(|(_, end)| end).fold(1.0, f64::max);
    let running = data
        .lanes
        .iter()
        .any(|lane| matches!(lane.state, RaceState::Running { .. } | RaceState::Waiting));
    if running || ends().next().is_none() {
        let end = round_up(longest.max(data.expected_ns.unwrap_or(1e9)));
        let value = width("00.00 s", VALUE, Weight::Bold) + OPEN + 12.0;
        return ((room - value).max(1.0) / end, end);
    }
    let scale = ends()
        .map(|(lane, end)| {
            let value = width(&value_words(&lane.state), VALUE, Weight::Bold) + 12.0;
            (room - value).max(1.0) / end.max(1.0)
        })
        .fold(f64::INFINITY, f64::min);
    (scale, longest)
}

fn body(lane: &RaceLane, look: Look, bar: Rect, scale: f64, right: f64, theme: Theme) -> Body {
    let ground = theme.palette().surface;
    let (phases, end, median, ci95) = match &lane.state {
        RaceState::Running { phases, elapsed_ns } => (phases, *elapsed_ns, None, None),
        RaceState::Finished { phases, median_ns, ci95, .. } => {
            let end = phases.iter().map(|phase| phase.end_ns as f64).fold(*median_ns, f64::max);
            (phases, end, Some(*median_ns), *ci95)
        }
        RaceState::Waiting => return words("waiting for its turn", bar, right),
        RaceState::Unavailable { reason } => {
            return words(&format!("not available here: {reason}"), bar, right);
        }
        RaceState::Failed { reason } => return words(&format!("failed: {reason}"), bar, right),
    };
    let slices = slices(phases, end, look.fill, ground);
    let at = |ns: f64| bar.x + ns * scale;
    let whisker =
        ci95.map(|[low, high]| (at(low), at(high))).filter(|(low, high)| high - low >= 4.0);
    let value = value_words(&lane.state);
    let shown_to = whisker.map_or(at(end), |(_, high)| high.max(at(end)));
    let open = if median.is_none() { OPEN } else { 0.0 };
    let value_x = shown_to + open + 10.0;
    let beside = value_x + width(&value, VALUE, Weight::Bold) + 10.0;
    let stop = whisker.map_or(f64::INFINITY, |(low, _)| low - 2.0);
    let places: Vec<Place> = slices
        .iter()
        .map(|slice| Place {
            left: at(slice.start),
            right: at(slice.end).min(stop),
            words: slice.words.clone(),
        })
        .collect();
    let mut labels = place(&places, beside, (bar.x, right));
    let fits = beside + width(SO_FAR, PHASE, Weight::Regular) <= right;
    if median.is_none() && labels.beside.is_none() && fits {
        labels.beside = Some(SO_FAR.to_owned());
    }
    Body::Bar { slices, labels, value, value_x, finish: median.map(at), whisker }
}

fn words(text: &str, bar: Rect, right: f64) -> Body {
    Body::Words(wrap(text, right - bar.x, 4, CONDITION + 0.5, Weight::Regular))
}
