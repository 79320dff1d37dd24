//! A load over time: each request where it was meant to be sent, the moments
//! of change, and what was lost.

mod draw;

use tandem_model::{Accelerator, format::format_duration};

use crate::{
    axis::{Ticks, round_up, time_ticks},
    canvas::Canvas,
    chart::{Axis, Chart, Panel, Rect, Size, Table},
    header::{Header, NARROW, PAD},
    lane::{accelerator_note, lane_name, lane_title, looks},
    text::{Weight, fit, width, wrap},
    theme::Theme,
};

/// A lane's load around changes. Times are nanoseconds on one clock of the
/// trial.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LaneLoad {
    /// Lane id, as in the result.
    pub lane: String,
    /// What ran its machine, if it has one.
    pub accelerator: Option<Accelerator>,
    /// When a request was to be sent, and how long its answer took from then.
    pub answered: Vec<[f64; 2]>,
    /// When a request was to be sent that was lost.
    pub lost: Vec<f64>,
    /// When a change was asked for, and how long it took.
    pub changes: Vec<[f64; 2]>,
    /// What clients saw, in words.
    pub words: Vec<String>,
}

const PLOT: f64 = 96.0;
const NAME: f64 = 12.5;
const LINE: f64 = 17.0;
const BELOW: f64 = 24.0;
const BETWEEN: f64 = 14.0;

/// One lane laid out: its words and its plot.
struct Strip<'a> {
    load: &'a LaneLoad,
    name: String,
    lines: Vec<String>,
    top: f64,
    panel: Panel,
    /// What is taken from times for the axis, which begins at zero.
    begin: f64,
    y_ticks: Ticks,
}

/// A strip a lane, each with its own time: a machine that starts takes longer
/// than a container. Lanes without a request are left out.
pub fn timeline_chart(title: &str, loads: &[LaneLoad], size: Size, theme: Theme) -> Chart {
    let loads: Vec<&LaneLoad> =
        loads.iter().filter(|load| !(load.answered.is_empty() && load.lost.is_empty())).collect();
    let palette = theme.palette();
    let chart_width = size.drawn_width();
    let header = Header::lay(title, &note(&loads), chart_width);
    let ids: Vec<&str> = loads.iter().map(|load| load.lane.as_str()).collect();
    let mut y = header.bottom();
    let mut strips = Vec::new();
    for load in &loads {
        let strip = lay(load, y, chart_width);
        y = strip.panel.plot.bottom() + BELOW + BETWEEN;
        strips.push(strip);
    }
    let natural = (y - BETWEEN).max(header.bottom()) + PAD / 2.0;
    let height = natural.max(size.least_height());
    let extra = (height - natural) / strips.len().max(1) as f64;
    for (at, strip) in strips.iter_mut().enumerate() {
        strip.top += extra * at as f64;
        strip.panel.plot.y += extra * at as f64;
        strip.panel.plot.height += extra;
    }
    let canvas = Canvas::new(chart_width, height, theme);
    header.draw(&canvas, palette);
    for (strip, look) in strips.iter().zip(looks(&ids, theme)) {
        canvas.open(&strip.load.lane);
        draw::strip(&canvas, strip, look, chart_width, palette);
        canvas.close();
    }
    let panels = strips.into_iter().map(|strip| strip.panel).collect();
    canvas.finish(title, panels, table(title, &loads))
}

fn lay(load: &LaneLoad, top: f64, chart_width: f64) -> Strip<'_> {
    let room = chart_width - 2.0 * PAD;
    let name = fit(&lane_name(&load.lane), room, NAME, Weight::Bold);
    let lines = wrap(&load.words.join(" · "), room, 4, NAME, Weight::Regular);
    let finite = |value: &f64| value.is_finite();
    let times = || {
        let sent = load.answered.iter().map(|it| it[0]).chain(load.lost.iter().copied());
        sent.chain(load.changes.iter().flat_map(|[at, took]| [*at, at + took])).filter(finite)
    };
    let begin = times().fold(f64::INFINITY, f64::min);
    let begin = if begin.is_finite() { begin } else { 0.0 };
    let long = times().fold(begin, f64::max) - begin;
    let highest = load.answered.iter().map(|it| it[1]).filter(finite).fold(1e3, f64::max);
    let y_max = round_up(highest * 1.05);
    let y_ticks = time_ticks(y_max, 4);
    let widest = y_ticks.0.iter().map(|(_, word)| width(word, 12.0, Weight::Regular));
    let left = PAD + 8.0 + widest.fold(0.0, f64::max);
    let plot = Rect {
        x: left,
        y: top + LINE * (lines.len() + 1) as f64 + 16.0,
        width: (chart_width - PAD - left).max(40.0),
        height: PLOT,
    };
    let panel = Panel {
        lane: Some(load.lane.clone()),
        plot,
        x: Axis { domain: [0.0, if long > 0.0 { long } else { 1e9 }], unit: "ns".into() },
        y: Some(Axis { domain: [0.0, y_max], unit: "ns".into() }),
    };
    Strip { load, name, lines, top, panel, begin, y_ticks }
}

fn note(loads: &[&LaneLoad]) -> String {
    let mut notes = vec!["line: how long answers took".to_owned()];
    let any = |has: fn(&LaneLoad) -> bool| loads.iter().any(|load| has(load));
    notes.extend(
        any(|load| !load.changes.is_empty()).then(|| "shaded: a change under way".to_owned()),
    );
    notes.extend(
        any(|load| !load.lost.is_empty()).then(|| "stroke above: a lost request".to_owned()),
    );
    notes.extend((loads.len() > 1).then(|| "scales differ".to_owned()));
    notes.extend(accelerator_note(loads.iter().map(|one| (one.lane.as_str(), one.accelerator))));
    notes.join(" · ")
}

fn table(title: &str, loads: &[&LaneLoad]) -> Table {
    let mut table =
        Table::new(title, &["Lane", "Answered", "Lost", "Slowest answer", "Changes", "Seen"]);
    for load in loads {
        let slowest = load.answered.iter().map(|it| it[1]).fold(f64::NAN, f64::max);
        let changes: Vec<String> =
            load.changes.iter().take(20).map(|[_, took]| format_duration(*took)).collect();
        table.rows.push(vec![
            lane_title(&load.lane, load.accelerator),
            load.answered.len().to_string(),
            load.lost.len().to_string(),
            format_duration(slowest),
            changes.join(", "),
            load.words.join("; "),
        ]);
    }
    table
}
