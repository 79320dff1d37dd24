//! Charts and reports.
//!
//! A chart is drawn once, here, for the window, the report and the files
//! alike: plotters draws into an SVG without styles or scripts, and the
//! scales and the data come with it. Everything foreign (names, reasons,
//! commands) is escaped where it is written.

mod amounts;
mod axis;
mod canvas;
mod chart;
mod command;
mod distribution;
mod folio;
mod fonts;
mod from_result;
mod header;
mod html;
mod lane;
mod ledger;
mod lines;
mod matrix;
mod pdf;
mod picture;
mod pictures;
mod race;
mod rows;
mod svg;
mod tables;
mod text;
mod theme;
mod timeline;
mod words;
mod write;

pub use amounts::{Amounts, LaneAmount, bars_chart, dots_chart};
pub use chart::{Axis, Chart, NamedChart, Panel, Rect, Scales, Size, Table};
pub use command::equivalent_command;
pub use distribution::{LaneTrials, MarkOf, distribution_chart};
pub use folio::{Folio, FolioSection, folio_html, folio_markdown};
pub use from_result::{
    distribution_of, from_result, ledgers_of, race_of, series_of, typical_phases,
};
pub use html::report_html;
pub use lane::{accelerator_words, lane_name, lane_title};
pub use ledger::{LaneLedger, ledger_chart};
pub use lines::{Growth, LaneSeries, cpu_chart, growth_chart, memory_chart};
pub use matrix::{Count, MatrixLane, matrix_chart};
pub use pdf::report_pdf;
pub use picture::{report_png, report_svg};
pub use race::{RaceData, RaceLane, RaceState, race_chart};
pub use rows::{cell as csv_cell, report_csv, report_markdown};
pub use tandem_model::format::{
    Amount, format_bytes, format_bytes_interval, format_comparison_interval, format_cpus,
    format_duration, format_duration_interval, format_number, format_ratio, format_ratio_interval,
    format_summary_interval, format_value, format_value_interval,
};
pub use text::escape;
pub use theme::{Colour, Palette, Theme};
pub use timeline::{LaneLoad, timeline_chart};
pub use words::metric_words;
pub use write::{ReportError, write_report};
