//! Tandem beside its peers, in one interleaved run.
//!
//! A *measure* asks one question (how long is `run --rm IMAGE true`? what
//! stays in memory?) of several *contenders*, and a *claim* says what the
//! answer must be: a ratio of two contenders, judged by its interval. The
//! trials of all measures run in one shuffled order with a recorded seed, so
//! that a slow minute of the machine hits everybody alike. Contenders are
//! brought up by the bench on this machine, with folders, sockets and network
//! namespaces of their own, and are gone afterwards.
//!
//! `$TANDEM_BENCH_HOME` names a home to keep, so that the image is built once.

mod claim;
mod field;
mod ground;
mod measure;
mod measures;
mod options;
mod peers;
mod report;
mod schedule;
mod stage;

use anyhow::Result;

use self::{field::Field, ground::Ground, measure::Measure, schedule::Entry};
pub use self::{options::Options, report::Report};
pub(crate) use self::{peers::Namespace, stage::Stage};

/// Prepares the contenders, measures, cleans up, and reports.
pub fn run(options: &Options) -> Result<Report> {
    let stage = Stage::new()?;
    let field = Field::new(Ground::make()?, options.live);
    let wanted = |measure: &&Measure| options.wants_measure(measure.name);
    let measures: Vec<Measure> = measures::ALL.iter().copied().filter(|it| wanted(&it)).collect();
    let (mut entries, mut remarks) = (Vec::new(), Vec::new());
    for (at, measure) in measures.iter().enumerate() {
        for (name, prepare) in measure.contenders.iter().filter(|(name, _)| options.wants(name)) {
            let label = format!("{}: {name}", measure.name);
            match prepare(name, &field) {
                Ok(contender) => {
                    entries.push(Entry { measure: at, unit: measure.unit, label, contender });
                }
                Err(error) => remarks.push(format!("{label}: not measured: {error:#}")),
            }
        }
    }
    for remark in &remarks {
        eprintln!("{remark}");
    }
    let measured = schedule::run(&mut entries, options, &stage);
    // Everybody ends, whatever happened, before an error is told.
    drop(entries);
    drop(field);
    let mut found = measured?;
    found.remarks.splice(0..0, remarks);
    Ok(Report::new(measures, found, options.seed))
}
