//! What is measured: a file for each question.

mod answer;
mod build;
mod fifty;
mod images;
mod requests;
mod resident;
mod run;
mod update;

pub(crate) use answer::Launcher;

use super::measure::Measure;

/// All measures, in the order of the report.
pub(crate) const ALL: &[Measure] = &[
    run::MEASURE,
    answer::MEASURE,
    images::LOAD,
    images::PULL,
    build::REBUILD,
    build::COPY,
    build::STEPS,
    build::STAGES,
    update::MEASURE,
    requests::MEASURE,
    resident::MEASURE,
    fifty::MEASURE,
];
