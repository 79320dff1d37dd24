//! Writes the TypeScript types of everything that crosses into the window to
//! the folder that is named: `cargo xtask bindings` runs it.

use tandem_app::{
    Beginning, BesideView, Building, BundleReport, BundleRequest, Bundling, ChartView, Charts,
    CheckOutcome, ClassFormat, ClassView, ClassWish, CommandEnd, Database, DfReport, Errand,
    ExperimentInfo, ExperimentRequest, FoundBundle, Frame, GiftKind, Given, Guide, ImageDetail,
    ImageRow, InstanceRow, Language, LessonRow, LessonView, LogRow, OpenedTerminal, Opening,
    Outside, Project, Pruned, Pulling, QueryAnswer, RemovedImage, Restored, ResultFormat,
    ResultRow, ResultView, RunWish, SaidBy, SnapshotRow, Spot, SubjectInfo, Taken, TerminalEnd,
    TerminalKind, TerminalSize, TextFault, UpdateMode, UpdateReport,
};
use tandem_model::{Capability, Failure};
use ts_rs::{Config, ExportError, TS};

fn main() -> Result<(), ExportError> {
    let folder = std::env::args_os().nth(1).unwrap_or_else(|| "bindings".into());
    let config = Config::new().with_out_dir(folder);
    FoundBundle::export_all(&config)?;
    Frame::export_all(&config)?;
    Charts::export_all(&config)?;
    ChartView::export_all(&config)?;
    ExperimentInfo::export_all(&config)?;
    ExperimentRequest::export_all(&config)?;
    ResultRow::export_all(&config)?;
    SubjectInfo::export_all(&config)?;
    InstanceRow::export_all(&config)?;
    Building::export_all(&config)?;
    Database::export_all(&config)?;
    DfReport::export_all(&config)?;
    Errand::export_all(&config)?;
    GiftKind::export_all(&config)?;
    Given::export_all(&config)?;
    Guide::export_all(&config)?;
    ImageDetail::export_all(&config)?;
    ImageRow::export_all(&config)?;
    CheckOutcome::export_all(&config)?;
    CommandEnd::export_all(&config)?;
    Language::export_all(&config)?;
    LessonRow::export_all(&config)?;
    LessonView::export_all(&config)?;
    SaidBy::export_all(&config)?;
    Spot::export_all(&config)?;
    LogRow::export_all(&config)?;
    Project::export_all(&config)?;
    Pruned::export_all(&config)?;
    Pulling::export_all(&config)?;
    QueryAnswer::export_all(&config)?;
    RemovedImage::export_all(&config)?;
    Restored::export_all(&config)?;
    BesideView::export_all(&config)?;
    BundleReport::export_all(&config)?;
    BundleRequest::export_all(&config)?;
    Bundling::export_all(&config)?;
    ClassFormat::export_all(&config)?;
    ClassView::export_all(&config)?;
    ClassWish::export_all(&config)?;
    ResultFormat::export_all(&config)?;
    ResultView::export_all(&config)?;
    RunWish::export_all(&config)?;
    SnapshotRow::export_all(&config)?;
    Taken::export_all(&config)?;
    TerminalEnd::export_all(&config)?;
    TerminalKind::export_all(&config)?;
    TerminalSize::export_all(&config)?;
    TextFault::export_all(&config)?;
    UpdateMode::export_all(&config)?;
    UpdateReport::export_all(&config)?;
    OpenedTerminal::export_all(&config)?;
    Beginning::export_all(&config)?;
    Opening::export_all(&config)?;
    Outside::export_all(&config)?;
    Capability::export_all(&config)?;
    Failure::export_all(&config)
}
