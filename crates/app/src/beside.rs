//! Stored results side by side, with pictures.

use serde::Serialize;
use tandem_lab::{SideBySide, side_by_side};
use tandem_model::ResultDocument;
use tandem_report::{
    LaneTrials, MarkOf, NamedChart, Size, Theme, distribution_chart, distribution_of, lane_title,
    metric_words,
};

use crate::{App, AppError};

/// Results side by side, and a metric of theirs drawn.
#[derive(Debug, Clone, PartialEq, Serialize, ts_rs::TS)]
pub struct BesideView {
    /// The numbers.
    pub beside: SideBySide,
    /// The metric that is drawn; null where there is none to draw.
    pub metric: Option<String>,
    /// A chart for each lane: every trial of every result.
    pub charts: Vec<NamedChart>,
}

impl App {
    /// Puts stored results side by side. Each keeps its numbers; ratios stand
    /// only where they may.
    pub fn compare_results(&self, ids: &[String]) -> Result<SideBySide, AppError> {
        side_by_side(&self.results_with(ids)?).map_err(|e| AppError::Usage(e.to_string()))
    }

    /// The same with a metric drawn so wide: the one that matters most when
    /// none is named.
    pub fn view_beside(
        &self,
        ids: &[String],
        metric: Option<&str>,
        width: u32,
        theme: Theme,
    ) -> Result<BesideView, AppError> {
        let results = self.results_with(ids)?;
        let beside = side_by_side(&results).map_err(|e| AppError::Usage(e.to_string()))?;
        let known = |wanted: &&str| beside.rows.iter().any(|row| row.metric == *wanted);
        let first = || beside.rows.first().map(|row| row.metric.as_str());
        let metric = metric.filter(known).or_else(first).map(str::to_owned);
        let charts = metric.as_deref().map(|metric| charts(&results, metric, width, theme));
        Ok(BesideView { charts: charts.unwrap_or_default(), metric, beside })
    }

    fn results_with(&self, ids: &[String]) -> Result<Vec<ResultDocument>, AppError> {
        ids.iter().map(|id| self.finished_result(id)).collect()
    }
}

/// A chart for each lane, a row for each result in it.
fn charts(results: &[ResultDocument], metric: &str, width: u32, theme: Theme) -> Vec<NamedChart> {
    let mut lanes: Vec<(String, Vec<LaneTrials>)> = Vec::new();
    for (number, result) in (1..).zip(results) {
        for mut trials in distribution_of(result, metric) {
            let lane = trials.lane.clone();
            let id: String = result.id.chars().take(8).collect();
            let accelerator = trials.accelerator.map(|it| format!(", {it}")).unwrap_or_default();
            trials.name = Some(format!("{number} · {id}{accelerator}"));
            match lanes.iter_mut().find(|(id, _)| *id == lane) {
                Some((_, rows)) => rows.push(trials),
                None => lanes.push((lane, vec![trials])),
            }
        }
    }
    let unit = |lane: &str| {
        let all = results.iter().flat_map(|result| &result.summary);
        let mut of = all.filter(|it| it.lane == lane && it.metric == metric);
        of.next().map_or_else(|| tandem_lab::unit_of(metric), |it| it.unit)
    };
    let drawn = lanes.into_iter().map(|(lane, rows)| {
        let title = format!("{}: {}", lane_title(&lane, None), metric_words(metric));
        let size = Size::wide(width);
        let chart = distribution_chart(&title, unit(&lane), &rows, MarkOf::Trial, size, theme);
        NamedChart { name: lane, chart }
    });
    drawn.collect()
}
