mod words;

use std::path::Path;

use tandem_app::{LessonView, SaidBy, Spot, write_file};
use tandem_lesson::{Block, Language};

use super::Context;
use crate::{
    grammar::Lesson,
    output::{json, line, plain, raw, table},
    signals::cancel_on_interrupt,
};

pub(super) async fn run(context: &Context, command: Lesson) -> anyhow::Result<u8> {
    match command {
        Lesson::Ls(wanted) => list(context, wanted.json),
        Lesson::Show { id, json: wanted } => {
            let view = context.app.lesson(&id, Language::default())?;
            if wanted.json {
                json(&view)?;
            } else {
                raw(&words::lesson(&view.lesson));
            }
            Ok(0)
        }
        Lesson::Run { id, step, check } => carry_out(context, &id, step, check).await,
        Lesson::Reset { ids } => {
            for id in ids {
                context.app.reset_lesson(&id)?;
            }
            Ok(0)
        }
        Lesson::Export { id, answers, language, output } => {
            let sheet = context.app.lesson_sheet(&id, language, answers)?;
            export(&sheet, &output)
        }
    }
}

fn list(context: &Context, as_json: bool) -> anyhow::Result<u8> {
    let lessons = context.app.lessons(Language::default())?;
    if as_json {
        json(&lessons)?;
        return Ok(0);
    }
    let rows: Vec<Vec<String>> = lessons
        .iter()
        .map(|row| {
            let title = row.problem.as_ref().map_or(&row.title, |problem| problem);
            vec![row.id.clone(), format!("{} of {}", row.done, row.tasks), plain(title)]
        })
        .collect();
    table(&["ID", "DONE", "TITLE"], &rows);
    Ok(0)
}

fn export(sheet: &str, output: &Path) -> anyhow::Result<u8> {
    if output == Path::new("-") {
        raw(sheet);
    } else {
        write_file(output, sheet.as_bytes())?;
    }
    Ok(0)
}

/// Does what a person would do in the window, question by question.
async fn carry_out(
    context: &Context,
    id: &str,
    only: Option<u32>,
    check: bool,
) -> anyhow::Result<u8> {
    let view = context.app.lesson(id, Language::default())?;
    let count = view.lesson.steps.len();
    if only.is_some_and(|step| step as usize > count) {
        let text = format!("the lesson {id} has {count} steps");
        return Err(tandem_app::AppError::Usage(text).into());
    }
    let mut failed = 0;
    for (step, number) in view.lesson.steps.iter().zip(0..) {
        if only.is_some_and(|only| only != number + 1) {
            continue;
        }
        line(&format!("{}. {}", number + 1, plain(&step.title)));
        for (block, at) in step.blocks.iter().zip(0..) {
            let spot = Spot { step: number, block: at };
            failed += match block {
                Block::Run { .. } if !check => do_commands(context, &view, block, spot).await?,
                Block::Check { .. } => look(context, id, spot).await?,
                Block::Predict { question, choices } if !check => {
                    raw(&words::question(question, choices));
                    0
                }
                _ => 0,
            };
        }
    }
    if failed == 0 {
        return Ok(0);
    }
    let what = if failed == 1 { "one thing is" } else { "several things are" };
    context.say(&format!("tandem: {what} not as the lesson wants it: see above"));
    Ok(1)
}

async fn do_commands(
    context: &Context,
    view: &LessonView,
    block: &Block,
    spot: Spot,
) -> anyhow::Result<u32> {
    let Block::Run { commands, any } = block else { return Ok(0) };
    let cancel = cancel_on_interrupt();
    let mut failed = 0;
    for (command, number) in commands.iter().zip(0..) {
        line(&format!("   $ {}", plain(command)));
        let mut say = |said: SaidBy| {
            let text = format!("     {}", plain(&said.text));
            if said.error { context.say(&text) } else { line(&text) }
        };
        let id = &view.lesson.id;
        let ended = context.app.run_lesson_command(id, spot, number, &mut say, &cancel).await?;
        if ended.code == 0 {
            if *any {
                return Ok(0);
            }
        } else {
            failed += 1;
            line(&format!("   ended with {}", ended.code));
        }
    }
    Ok(if *any { failed.min(1) } else { failed })
}

async fn look(context: &Context, id: &str, spot: Spot) -> anyhow::Result<u32> {
    let outcome = context.app.check_lesson(id, spot).await?;
    for one in &outcome.found {
        line(&match &one.instead {
            None => format!("   yes: {}", plain(&one.asks)),
            Some(instead) => format!("   not yet: {} ({})", plain(&one.asks), plain(instead)),
        });
    }
    Ok(u32::from(!outcome.whole))
}
