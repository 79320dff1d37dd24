use tandem_app::{
    BesideView, Errand, ExperimentInfo, ExperimentRequest, Guide, ResultFormat, ResultRow,
    ResultView, Theme, write_named_file,
};
use tandem_model::{Failure, ResultDocument, RunEvent};
use tokio::sync::mpsc;

use crate::{call::Outlet, shell::Shell, work::batched};

/// The runs that are kept.
pub(super) fn results(shell: &Shell) -> Result<Vec<ResultRow>, Failure> {
    shell.app()?.list_results().map_err(|e| e.to_failure())
}

/// One of them with its charts.
pub(super) fn view_result(
    shell: &Shell,
    id: String,
    width: u32,
    theme: Theme,
) -> Result<ResultView, Failure> {
    shell.app()?.view_result(&id, width.clamp(320, 4000), theme).map_err(|e| e.to_failure())
}

/// Several of them side by side, with a metric drawn.
pub(super) fn view_beside(
    shell: &Shell,
    ids: Vec<String>,
    metric: Option<String>,
    width: u32,
    theme: Theme,
) -> Result<BesideView, Failure> {
    let width = width.clamp(320, 4000);
    let view = shell.app()?.view_beside(&ids, metric.as_deref(), width, theme);
    view.map_err(|e| e.to_failure())
}

/// Writes one of them to a new file; the theme is that of a picture.
pub(super) fn export_result(
    shell: &Shell,
    id: String,
    format: ResultFormat,
    theme: Theme,
    file: String,
) -> Result<(), Failure> {
    let bytes = shell.app()?.export_result(&id, format, theme).map_err(|e| e.to_failure())?;
    write_new(&file, &bytes)
}

/// Writes a file that is not there yet, whole or not at all.
pub(super) fn write_new(file: &str, bytes: &[u8]) -> Result<(), Failure> {
    write_named_file(file, bytes).map(drop).map_err(|e| e.to_failure())
}

/// Removes one of them.
pub(super) fn remove_result(shell: &Shell, id: String) -> Result<(), Failure> {
    shell.app()?.remove_result(&id).map(drop).map_err(|e| e.to_failure())
}

/// Writes down why one of them came out as it did; as it is now.
pub(super) fn explain_result(
    shell: &Shell,
    id: String,
    text: String,
) -> Result<ResultDocument, Failure> {
    shell.app()?.explain_result(&id, &text).map_err(|e| e.to_failure())
}

/// Takes in the results that come with the program; the ids of the new ones.
pub(super) fn import_recorded(shell: &Shell) -> Result<Vec<String>, Failure> {
    shell.app()?.import_recorded().map_err(|e| e.to_failure())
}

/// The catalogue of experiments.
pub(super) fn experiments(shell: &Shell) -> Result<Vec<ExperimentInfo>, Failure> {
    Ok(shell.app()?.experiments().to_vec())
}

/// An experiment as it is set when nothing was changed.
pub(super) fn experiment_defaults(id: String) -> ExperimentRequest {
    ExperimentRequest::new(&id)
}

/// Runs an experiment, and tells what happens as lists of [`RunEvent`]; its
/// result.
pub(super) async fn run_experiment(
    shell: &Shell,
    request: ExperimentRequest,
    events: Outlet,
) -> Result<ResultDocument, Failure> {
    measured(shell, Asked::New(request), events).await
}

/// Goes on with a run that was stopped or killed, and tells the same; its
/// result.
pub(super) async fn resume_experiment(
    shell: &Shell,
    id: String,
    events: Outlet,
) -> Result<ResultDocument, Failure> {
    measured(shell, Asked::Resumed(id), events).await
}

/// How many instances fit on this machine, by its own results.
pub(super) fn fit_guide(shell: &Shell, subject: String, class: u32) -> Result<Guide, Failure> {
    shell.app()?.fit_guide(subject.trim(), class).map_err(|e| e.to_failure())
}

/// What is to be measured.
enum Asked {
    /// An experiment from its beginning.
    New(ExperimentRequest),
    /// The rest of a run, by its id.
    Resumed(String),
}

impl Asked {
    fn errand(&self) -> Errand {
        match self {
            Self::New(request) => Errand::Experiment { request: Box::new(request.clone()) },
            Self::Resumed(run) => Errand::Resume { run: run.clone() },
        }
    }
}

async fn measured(shell: &Shell, asked: Asked, events: Outlet) -> Result<ResultDocument, Failure> {
    shell.reaped().await?;
    let app = shell.app()?;
    let piece = shell.begin_experiment(asked.errand(), events.teller())?;
    let _working = shell.working().await;
    let (send, told) = mpsc::unbounded_channel();
    let mut tell = move |event| {
        // Samples are many, and the page draws none of them.
        if !matches!(event, RunEvent::Sample { .. } | RunEvent::Finished { .. }) {
            let _ = send.send(event);
        }
    };
    let run = async {
        let run = match &asked {
            Asked::New(request) => Box::pin(app.experiment(request, &mut tell, piece.wish())).await,
            Asked::Resumed(run) => {
                Box::pin(app.resume_experiment(run, &mut tell, piece.wish())).await
            }
        };
        run.map_err(|e| e.to_failure())
    };
    piece.carry(batched(run, told, |all| piece.tell(&all))).await
}
