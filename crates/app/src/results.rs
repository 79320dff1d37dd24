//! Results that are kept: list, show, export, import, merge, remove.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tandem_lab::{ImportError, LabError, ResultRow, merge, read_document};
use tandem_model::{ResultDocument, TrialRecord};
use tandem_report::{
    NamedChart, ReportError, Size, Theme, equivalent_command, from_result, report_csv, report_html,
    report_markdown, report_pdf, report_png, report_svg,
};

use crate::{App, AppError, course::method, so_far};

/// As what a result is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
pub enum ResultFormat {
    /// The whole document.
    Json,
    /// Every raw number, a row each.
    Csv,
    /// A report that needs nothing else.
    Html,
    /// A table and the verdicts as text.
    Markdown,
    /// All charts as a vector picture.
    Svg,
    /// All charts as a picture of pixels, twice as large as drawn.
    Png,
    /// The whole report as pages for paper.
    Pdf,
}

impl ResultFormat {
    /// Whether it is nothing that a terminal can show.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Png | Self::Pdf)
    }
}

/// A stored run as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub enum ShownResult {
    /// It has a result.
    Finished(Box<ResultDocument>),
    /// It was stopped or killed, or runs still: what was measured until then.
    Unfinished {
        /// The row of the listing.
        row: ResultRow,
        /// Its trials.
        trials: Vec<TrialRecord>,
    },
}

/// A stored run with its pictures.
#[derive(Debug, Clone, PartialEq, serde::Serialize, ts_rs::TS)]
pub struct ResultView {
    /// The result; null for a run that has none.
    pub document: Option<ResultDocument>,
    /// Its charts.
    pub charts: Vec<NamedChart>,
    /// Its trials, raw.
    pub trials: Vec<TrialRecord>,
    /// Why there is no result.
    pub why: Option<String>,
    /// What measures the same again, as a command.
    pub command: Option<String>,
}

/// Largest file that is read; what is larger is refused by the reader.
const LARGEST: u64 = 256 << 20;

impl App {
    /// All runs of this home, the latest first.
    pub fn list_results(&self) -> Result<Vec<ResultRow>, AppError> {
        Ok(self.results()?.list().map_err(LabError::from)?)
    }

    /// The run with this id, or with an id that begins so.
    pub fn show_result(&self, id: &str) -> Result<ShownResult, AppError> {
        let found = self.results()?.show(id).map_err(LabError::from)?;
        Ok(match found.document {
            Some(document) => ShownResult::Finished(Box::new(document)),
            None => ShownResult::Unfinished { row: found.row, trials: found.trials },
        })
    }

    /// A stored run with its charts, drawn so wide.
    pub fn view_result(&self, id: &str, width: u32, theme: Theme) -> Result<ResultView, AppError> {
        Ok(match self.show_result(id)? {
            ShownResult::Finished(document) => ResultView {
                charts: from_result(&document, Size::wide(width), theme),
                trials: document.trials.clone(),
                why: None,
                command: Some(equivalent_command(&document)),
                document: Some(*document),
            },
            ShownResult::Unfinished { row, trials } => ResultView {
                document: None,
                charts: so_far::charts(&trials, width, theme),
                trials,
                why: Some(row.stopped.unwrap_or_else(|| "it was killed, or runs still".to_owned())),
                command: None,
            },
        })
    }

    /// The result with this id, or why the run has none.
    pub(crate) fn finished_result(&self, id: &str) -> Result<ResultDocument, AppError> {
        match self.show_result(id)? {
            ShownResult::Finished(result) => Ok(*result),
            ShownResult::Unfinished { row, .. } => {
                let why = row.stopped.as_deref().unwrap_or("it was killed, or runs still");
                let id = row.id;
                Err(AppError::Usage(format!(
                    "the run {id} has no result ({why}): `tandem result show {id} --json` prints the trials that it measured"
                )))
            }
        }
    }

    /// A finished result in a format, as the bytes of a file. The theme is
    /// that of a picture; a report brings its own.
    pub fn export_result(
        &self,
        id: &str,
        format: ResultFormat,
        theme: Theme,
    ) -> Result<Vec<u8>, AppError> {
        let result = self.finished_result(id)?;
        Ok(match format {
            ResultFormat::Json => {
                let text = serde_json::to_string_pretty(&result).map_err(ReportError::from)?;
                (text + "\n").into()
            }
            ResultFormat::Csv => report_csv(&result).into(),
            ResultFormat::Html => report_html(&result).into(),
            ResultFormat::Markdown => report_markdown(&result).into(),
            ResultFormat::Svg => report_svg(&result, theme)?.into(),
            ResultFormat::Png => report_png(&result, theme)?,
            ResultFormat::Pdf => report_pdf(&result)?,
        })
    }

    /// Takes results from files in, each whole or not at all; their ids.
    pub fn import_results(&self, files: &[PathBuf]) -> Result<Vec<String>, AppError> {
        // All are read before the first is written.
        let documents = files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
        let store = self.results()?;
        for document in &documents {
            store.take_in(document, "imported").map_err(LabError::from)?;
        }
        Ok(documents.into_iter().map(|document| document.id).collect())
    }

    /// Joins results from files into a new one of this home.
    pub fn merge_results(&self, files: &[PathBuf]) -> Result<ResultDocument, AppError> {
        let documents = files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
        let joined = merge(&documents, &method).map_err(|e| AppError::Usage(e.to_string()))?;
        self.results()?.take_in(&joined, "merged").map_err(LabError::from)?;
        Ok(joined)
    }

    /// Removes a run with its trials; its whole id.
    pub fn remove_result(&self, id: &str) -> Result<String, AppError> {
        Ok(self.results()?.remove(id).map_err(LabError::from)?)
    }
}

fn read(file: &Path) -> Result<ResultDocument, AppError> {
    match read_handed_in(file) {
        Ok(document) => Ok(document),
        Err(Unread::Io(e)) => Err(AppError::named("read", file, e)),
        Err(why) => Err(AppError::Usage(format!("{} is not taken: {why}", file.display()))),
    }
}

/// Why a file is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    #[error("it cannot be read: {0}")]
    Io(std::io::Error),
    #[error("it is no file of at most {} MiB: name a result that was exported as json", LARGEST >> 20)]
    NoFile,
    #[error(transparent)]
    NoResult(#[from] ImportError),
}

/// A result in a file that may come from anybody.
pub(crate) fn read_handed_in(file: &Path) -> Result<ResultDocument, Unread> {
    let meta = fs::metadata(file).map_err(Unread::Io)?;
    if !meta.is_file() || meta.len() > LARGEST {
        return Err(Unread::NoFile);
    }
    Ok(read_document(&fs::read(file).map_err(Unread::Io)?)?)
}
