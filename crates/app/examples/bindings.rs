//! Writes the TypeScript types of everything that crosses into the window to
//! the folder that is named: `cargo xtask bindings` runs it.

use tandem_app::{
    ChartView, Charts, CompareRequest, ExperimentInfo, ExperimentRequest, Frame, InstanceRow,
    Opening, ResultRow, SubjectInfo,
};
use tandem_model::{Capability, Failure};
use ts_rs::{Config, ExportError, TS};

fn main() -> Result<(), ExportError> {
    let folder = std::env::args_os().nth(1).unwrap_or_else(|| "bindings".into());
    let config = Config::new().with_out_dir(folder);
    Frame::export_all(&config)?;
    Charts::export_all(&config)?;
    ChartView::export_all(&config)?;
    CompareRequest::export_all(&config)?;
    ExperimentInfo::export_all(&config)?;
    ExperimentRequest::export_all(&config)?;
    ResultRow::export_all(&config)?;
    SubjectInfo::export_all(&config)?;
    InstanceRow::export_all(&config)?;
    Opening::export_all(&config)?;
    Capability::export_all(&config)?;
    Failure::export_all(&config)
}
