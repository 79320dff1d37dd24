use tandem_app::{ChartView, Charts, ExperimentRequest, Frame, SubjectInfo};
use tandem_model::Failure;
use tauri::{State, ipc::Channel};

use crate::shell::Shell;

/// What can be compared.
#[tauri::command(async)]
pub(crate) fn subjects(shell: State<'_, Shell>) -> Result<Vec<SubjectInfo>, Failure> {
    shell.app()?.subjects().map_err(|e| e.to_failure())
}

/// A comparison as it is set when nothing was changed. Somebody watches, so
/// the trials are as few as a 95 % interval of the median allows (six); and
/// the instances are left running, for people want to open what they launched.
#[tauri::command]
pub(crate) fn defaults(subject: String) -> ExperimentRequest {
    ExperimentRequest { trials: 6, keep: true, ..ExperimentRequest::compare(&subject) }
}

/// Starts a comparison.
#[tauri::command]
pub(crate) async fn launch(
    shell: State<'_, Shell>,
    request: ExperimentRequest,
    view: ChartView,
) -> Result<(), Failure> {
    shell.reaped().await?;
    shell.work().leaves_calm()?;
    shell.session().launch(shell.app()?, request, view)
}

/// Follows the comparison that runs or ran last, and later ones.
#[tauri::command]
pub(crate) fn watch(shell: State<'_, Shell>, frames: Channel<Frame>) -> Option<ExperimentRequest> {
    // A page that is gone does not miss its frames.
    shell.session().watch(Box::new(move |frame| drop(frames.send(frame))))
}

/// Asks the comparison to stop and clean up.
#[tauri::command]
pub(crate) fn cancel(shell: State<'_, Shell>) {
    shell.session().cancel();
}

/// Draws the charts in a new size or theme.
#[tauri::command(async)]
pub(crate) fn draw(shell: State<'_, Shell>, view: ChartView) -> Charts {
    shell.session().draw(view)
}
