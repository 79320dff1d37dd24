use tandem_app::{Beginning, ChartView, Charts, ExperimentRequest, SubjectInfo};
use tandem_model::Failure;

use crate::{call::Outlet, shell::Shell};

/// What a person sees first to compare.
const FIRST_SUBJECT: &str = "hello-flask";

/// What the page shows first. Where that is not to be had the page asks, and
/// shows why.
pub(super) fn beginning(shell: &Shell) -> Option<Beginning> {
    let subjects = shell.app().ok()?.subjects().ok()?;
    let request = defaults(FIRST_SUBJECT.to_owned());
    Some(Beginning { request, subjects })
}

/// What can be compared.
pub(super) fn subjects(shell: &Shell) -> Result<Vec<SubjectInfo>, Failure> {
    shell.app()?.subjects().map_err(|e| e.to_failure())
}

/// A comparison as it is set when nothing was changed. Somebody watches, so
/// the trials are as few as a 95 % interval of the median allows (six); and
/// the instances are left running, for people want to open what they launched.
pub(super) fn defaults(subject: String) -> ExperimentRequest {
    ExperimentRequest { trials: 6, keep: true, ..ExperimentRequest::compare(&subject) }
}

/// Starts a comparison.
pub(super) async fn launch(
    shell: &Shell,
    request: ExperimentRequest,
    view: ChartView,
) -> Result<(), Failure> {
    shell.reaped().await?;
    let app = shell.app()?;
    let begun = shell.begin_comparison(&request, view)?;
    shell.session().carry(app, request, begun);
    Ok(())
}

/// Follows the comparison that runs or ran last, and later ones.
pub(super) fn watch(shell: &Shell, frames: Outlet) -> Option<ExperimentRequest> {
    // A page that is gone does not miss its frames.
    shell.session().watch(Box::new(move |frame| _ = frames.send(&frame)))
}

/// Asks the comparison to stop and clean up.
pub(super) fn cancel(shell: &Shell) {
    shell.session().cancel();
}

/// Draws the charts in a new size or theme.
pub(super) fn draw(shell: &Shell, view: ChartView) -> Charts {
    shell.session().draw(view)
}
