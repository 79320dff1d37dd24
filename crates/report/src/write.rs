use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tandem_model::ResultDocument;

use crate::{chart::Size, from_result::from_result, html::report_html, theme::Theme};

/// Why a report was not written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}; choose another folder for the report", path.display())]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
    /// The result has a value that JSON cannot hold.
    #[error("the result cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// This system has no font to write with.
    #[error(
        "no font was found on this machine, which pictures and pages are written with: install one (Debian and Ubuntu: fonts-dejavu-core, Fedora: dejavu-sans-fonts), or export svg or html"
    )]
    NoFont,
    /// There is no chart.
    #[error(
        "the result has no picture: nothing of what one shows was measured; export json or html"
    )]
    NoPicture,
    /// There are too many lanes for one picture of pixels.
    #[error("the charts are too high for one picture of pixels: export svg, html or pdf")]
    TooHigh,
    /// A chart or page could not be turned into pixels or pages.
    #[error("the result cannot be drawn ({0}): export html, and print it from a browser")]
    Drawing(String),
}

/// Width of the charts in files.
pub(crate) const WIDTH: u32 = 900;

/// Writes `report.html`, `result.json` and each chart as `NAME-light.svg` and
/// `NAME-dark.svg` into `dir`, which is made when it is missing. Returns the
/// paths, the report first. Each file is whole or absent: it gets its name
/// when it is complete. Files of an earlier report are replaced.
pub fn write_report(dir: &Path, result: &ResultDocument) -> Result<Vec<PathBuf>, ReportError> {
    fs::create_dir_all(dir).map_err(|source| failed("make the folder", dir, source))?;
    let mut json = serde_json::to_string_pretty(result)?;
    json.push('\n');
    let mut files =
        vec![("report.html".to_owned(), report_html(result)), ("result.json".to_owned(), json)];
    for theme in Theme::ALL {
        for named in from_result(result, Size::wide(WIDTH), theme) {
            files.push((format!("{}-{}.svg", named.name, theme.as_str()), named.chart.svg));
        }
    }
    files.into_iter().map(|(name, text)| write_whole(dir, &name, &text)).collect()
}

fn write_whole(dir: &Path, name: &str, text: &str) -> Result<PathBuf, ReportError> {
    let path = dir.join(name);
    let draft = dir.join(format!(".{name}.{}", std::process::id()));
    let written = fs::write(&draft, text).and_then(|()| fs::rename(&draft, &path));
    if let Err(source) = written {
        // The draft is ours and of no use to anybody.
        let _ = fs::remove_file(&draft);
        return Err(failed("write", &path, source));
    }
    Ok(path)
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> ReportError {
    ReportError::Io { action, path: path.to_owned(), source }
}
