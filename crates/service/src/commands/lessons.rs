use tandem_app::{
    CheckOutcome, CommandEnd, Errand, Language, LessonProgress, LessonRow, LessonView, SaidBy, Spot,
};
use tandem_model::{ErrorCode, Failure};
use tokio::sync::mpsc;

use super::results::write_new;
use crate::{call::Outlet, shell::Shell, work::batched};

/// The lessons and how far each is done.
pub(super) fn lessons(shell: &Shell, language: Language) -> Result<Vec<LessonRow>, Failure> {
    shell.app()?.lessons(language).map_err(|e| e.to_failure())
}

/// One of them.
pub(super) fn lesson(shell: &Shell, id: String, language: Language) -> Result<LessonView, Failure> {
    shell.app()?.lesson(&id, language).map_err(|e| e.to_failure())
}

/// Runs a command of a lesson, and tells what it says as lists of [`SaidBy`].
pub(super) async fn run_lesson_command(
    shell: &Shell,
    id: String,
    spot: Spot,
    number: u32,
    lines: Outlet,
) -> Result<CommandEnd, Failure> {
    shell.reaped().await?;
    let app = shell.app()?;
    let piece = shell.work().begin(Errand::Lesson { id: id.clone(), spot, number }, lines)?;
    let (send, told) = mpsc::unbounded_channel();
    let mut say = move |line: SaidBy| drop(send.send(line));
    let running = async {
        let run = app.run_lesson_command(&id, spot, number, &mut say, piece.wish());
        run.await.map_err(|e| e.to_failure())
    };
    Box::pin(piece.carry(batched(running, told, |all| piece.tell(&all)))).await
}

/// Looks the checks of a lesson up.
pub(super) async fn check_lesson(
    shell: &Shell,
    id: String,
    spot: Spot,
) -> Result<CheckOutcome, Failure> {
    shell.app()?.check_lesson(&id, spot).await.map_err(|e| e.to_failure())
}

/// Takes an answer.
pub(super) fn answer_lesson(
    shell: &Shell,
    id: String,
    spot: Spot,
    choice: u32,
) -> Result<LessonProgress, Failure> {
    shell.app()?.answer_lesson(&id, spot, choice).map_err(|e| e.to_failure())
}

/// Forgets how far a lesson is done.
pub(super) fn reset_lesson(shell: &Shell, id: String) -> Result<LessonProgress, Failure> {
    shell.app()?.reset_lesson(&id).map_err(|e| e.to_failure())
}

/// Writes a worksheet to a new file.
pub(super) fn export_lesson(
    shell: &Shell,
    id: String,
    language: Language,
    answers: bool,
    file: String,
) -> Result<(), Failure> {
    let sheet = shell.app()?.lesson_sheet(&id, language, answers).map_err(|e| e.to_failure())?;
    write_new(&file, sheet.as_bytes())
}

/// A link of a lesson, which the window opens in the browser; no other address.
pub(super) fn open_lesson_link(shell: &Shell, id: String, url: String) -> Result<String, Failure> {
    let view = shell.app()?.lesson(&id, Language::default()).map_err(|e| e.to_failure())?;
    if !view.lesson.links().any(|link| link == url) {
        return Err(Failure::new(ErrorCode::Usage, format!("the lesson has no link to {url}")));
    }
    Ok(url)
}
