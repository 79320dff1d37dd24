//! A class's results: files of many machines, read and drawn. They are looked
//! at where they lie, and do not become results of this home.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tandem_lab::{Class, ClassGroup, ClassMetric, HandedIn, Over, class, read_document};
use tandem_model::{Accelerator, Unit};
use tandem_report::{
    LaneTrials, MarkOf, NamedChart, Size, Theme, distribution_chart, lane_name, lane_title,
    metric_words,
};

use crate::{AppError, course::method, results::read_handed_in, whole_path};

/// What of a class's results is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ts_rs::TS)]
pub struct ClassWish {
    /// Files, and folders whose `.json` files are taken.
    pub paths: Vec<String>,
    /// Files that were read already.
    pub texts: Vec<ClassText>,
    /// Runs of one set-up are of one machine.
    pub join: bool,
    /// Number of the group that is drawn, from 0.
    pub group: u32,
    /// The metric that is drawn; null for the one that matters most.
    pub metric: Option<String>,
}

/// A file that was read already.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ts_rs::TS)]
pub struct ClassText {
    /// Its name.
    pub file: String,
    /// What stands in it.
    pub text: String,
}

/// A class's results, and a metric of theirs drawn.
#[derive(Debug, Clone, PartialEq, Serialize, ts_rs::TS)]
pub struct ClassView {
    /// The numbers.
    pub class: Class,
    /// Number of the group that is drawn.
    pub group: u32,
    /// The metric that is drawn; null where there is none.
    pub metric: Option<String>,
    /// Where the machines' medians lie, then their ratios.
    pub charts: Vec<NamedChart>,
}

/// More files are no class.
const MOST: usize = 1000;

/// The results in these files, and in the `.json` files of these folders.
pub fn class_results(paths: &[PathBuf], join: bool) -> Result<Class, AppError> {
    Ok(class(handed_in(paths)?, join.then_some(&method)))
}

/// The results that are wanted, of files on disk and of files that were read
/// already.
pub fn wished_class(wish: &ClassWish) -> Result<Class, AppError> {
    let paths: Vec<_> = wish.paths.iter().map(|it| whole_path(it)).collect::<Result<_, _>>()?;
    let mut all = handed_in(&paths)?;
    let text = |it: &ClassText| HandedIn {
        file: it.file.clone(),
        result: read_document(it.text.as_bytes()).map_err(|e| e.to_string()),
    };
    all.extend(wish.texts.iter().map(text));
    Ok(class(all, wish.join.then_some(&method)))
}

/// A class's results with a metric drawn so wide.
pub fn view_class(wish: &ClassWish, width: u32, theme: Theme) -> Result<ClassView, AppError> {
    let class = wished_class(wish)?;
    let last = u32::try_from(class.groups.len().saturating_sub(1)).unwrap_or(u32::MAX);
    let number = wish.group.min(last);
    let group = class.groups.get(number as usize);
    let metric = group.and_then(|group| chosen(group, wish.metric.as_deref()));
    Ok(ClassView {
        charts: metric.map(|metric| charts(metric, width, theme)).unwrap_or_default(),
        metric: metric.map(|metric| metric.metric.clone()),
        group: number,
        class,
    })
}

fn chosen<'a>(group: &'a ClassGroup, wanted: Option<&str>) -> Option<&'a ClassMetric> {
    let wanted = group.metrics.iter().find(|metric| Some(metric.metric.as_str()) == wanted);
    wanted.or_else(|| group.metrics.first())
}

fn handed_in(paths: &[PathBuf]) -> Result<Vec<HandedIn>, AppError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(in_folder(path)?);
        } else {
            files.push(path.clone());
        }
    }
    if files.len() > MOST {
        let count = files.len();
        return Err(AppError::Usage(format!(
            "{count} files are more than a class hands in: name at most {MOST}"
        )));
    }
    let read = |file: PathBuf| HandedIn {
        result: read_handed_in(&file).map_err(|e| e.to_string()),
        file: file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned(),
    };
    Ok(files.into_iter().map(read).collect())
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, AppError> {
    let entries = fs::read_dir(folder).map_err(|e| AppError::named("read", folder, e))?;
    let is_result = |path: &PathBuf| path.extension().is_some_and(|it| it == "json");
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(is_result).collect();
    files.sort();
    if files.is_empty() {
        let folder = folder.display();
        return Err(AppError::Usage(format!(
            "{folder} has no .json file: name the folder with the results that were handed in"
        )));
    }
    Ok(files)
}

/// Where the machines' medians lie, then their ratios.
pub(crate) fn charts(metric: &ClassMetric, width: u32, theme: Theme) -> Vec<NamedChart> {
    let size = Size::wide(width);
    let words = metric_words(&metric.metric);
    let mut charts = Vec::new();
    let lanes: Vec<LaneTrials> = metric
        .lanes
        .iter()
        .map(|lane| {
            let name = lane_title(&lane.lane, lane.accelerator);
            row(look(&lane.lane, lane.accelerator), name, &lane.machines, lane.over)
        })
        .collect();
    let title = format!("The class: {words}");
    let chart = distribution_chart(&title, metric.unit, &lanes, MarkOf::Machine, size, theme);
    charts.push(NamedChart { name: "class".to_owned(), chart });
    let ratios: Vec<LaneTrials> = metric
        .ratios
        .iter()
        .map(|ratio| {
            let name =
                format!("{} ÷ {}", lane_title(&ratio.b, ratio.accelerator), lane_name(&ratio.a));
            row(look(&ratio.b, ratio.accelerator), name, &ratio.machines, ratio.over)
        })
        .collect();
    if !ratios.is_empty() {
        let title = format!("The class: how many times as much, {words}");
        let chart = distribution_chart(&title, Unit::Ratio, &ratios, MarkOf::Machine, size, theme);
        charts.push(NamedChart { name: "class-ratios".to_owned(), chart });
    }
    charts
}

/// A lane under another accelerator has a colour of its own.
fn look(lane: &str, accelerator: Option<Accelerator>) -> String {
    match accelerator {
        Some(accelerator) if !lane.contains(['@', '#']) => format!("{lane}@{accelerator}"),
        _ => lane.to_owned(),
    }
}

fn row(lane: String, name: String, machines: &[tandem_lab::OnMachine], over: Over) -> LaneTrials {
    LaneTrials {
        lane,
        name: Some(name),
        accelerator: None,
        values: machines.iter().map(|it| it.value).collect(),
        median: over.median,
        ci95: over.ci95,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_read_and_what_is_no_result_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let empty = class_results(&[dir.path().to_owned()], false).unwrap_err().to_string();
        assert!(empty.contains("no .json file"), "{empty}");
        fs::write(dir.path().join("b.json"), "{").unwrap();
        fs::write(dir.path().join("a.json"), r#"{"schema": "tandem.result/9"}"#).unwrap();
        fs::write(dir.path().join("notes.txt"), "").unwrap();
        let missing = dir.path().join("gone.json");
        let class = class_results(&[dir.path().to_owned(), missing], false).unwrap();
        let files: Vec<_> = class.refused.iter().map(|it| it.file.as_str()).collect();
        assert_eq!(files, ["a.json", "b.json", "gone.json"]);
        assert!(class.refused[0].why.contains("tandem.result/9"), "{:?}", class.refused);
        assert!(class.groups.is_empty());
        let text = ClassText { file: "t".to_owned(), text: "[]".to_owned() };
        let wish = ClassWish { texts: vec![text], ..ClassWish::default() };
        let view = view_class(&wish, 800, Theme::Light).unwrap();
        assert_eq!((view.class.refused.len(), view.metric, view.charts.len()), (1, None, 0));
    }
}
