mod beside;
mod class;

use std::{
    io::{IsTerminal as _, stdout},
    path::Path,
};

use tandem_app::{
    AppError, ClassFormat, ResultFormat, ShownResult, Theme, class_results, export_class,
    write_file,
};
use tandem_model::ResultDocument;

use super::{Context, measured::print};
use crate::{
    grammar::{ClassExport, Format, StoredResult},
    output::{ago, json, line, plain, raw_bytes, table},
};

pub(super) fn run(context: &Context, command: StoredResult) -> anyhow::Result<u8> {
    match command {
        StoredResult::Ls(wanted) => list(context, wanted.json)?,
        StoredResult::Show { id, json } => show(context, &id, json.json)?,
        StoredResult::Export { id, format, output, dark } => {
            let theme = if dark { Theme::Dark } else { Theme::Light };
            export(context, &id, kind(format), theme, &output)?;
        }
        StoredResult::Import { recorded: true, .. } => {
            let taken = context.app.import_recorded()?;
            if taken.is_empty() {
                context.say("the recorded results are here already: `tandem result ls` lists them");
            }
            lines(&taken);
        }
        StoredResult::Import { files, .. } => lines(&context.app.import_results(&files)?),
        StoredResult::Explain { id, text } => {
            line(&context.app.explain_result(&id, &text)?.id);
        }
        StoredResult::Merge { files, json: wanted } => {
            let joined = context.app.merge_results(&files)?;
            if wanted.json {
                json(&joined)?;
            } else {
                print(context, &joined);
                context.say(&format!("kept as result {}", joined.id));
            }
        }
        StoredResult::Compare { ids, all, json: wanted } => {
            let beside = context.app.compare_results(&ids)?;
            if wanted.json {
                json(&beside)?;
            } else {
                beside::print(&beside, all);
            }
        }
        StoredResult::Class { paths, join, all, format: Some(format), output, .. } => {
            let text = export_class(&class_results(&paths, join)?, all, class_kind(format))?;
            match output.as_deref() {
                Some(file) if file != Path::new("-") => write_file(file, text.as_bytes())?,
                _ => raw_bytes(text.as_bytes()),
            }
        }
        StoredResult::Class { paths, join, all, json: wanted, .. } => {
            let class = class_results(&paths, join)?;
            if wanted.json {
                json(&class)?;
            } else {
                class::print(context, &class, all);
            }
            if class.groups.is_empty() {
                let text = "nothing of it counts: name files that `tandem result export --format json` wrote";
                return Err(AppError::Usage(text.to_owned()).into());
            }
        }
        StoredResult::Rm { ids } => {
            for id in ids {
                line(&context.app.remove_result(&id)?);
            }
        }
    }
    Ok(0)
}

fn lines(ids: &[String]) {
    for id in ids {
        line(id);
    }
}

fn export(
    context: &Context,
    id: &str,
    format: ResultFormat,
    theme: Theme,
    output: &Path,
) -> anyhow::Result<()> {
    let to_stdout = output == Path::new("-");
    if to_stdout && format.is_binary() && stdout().is_terminal() {
        let text = "pixels and pages are nothing for a terminal: name a file with -o FILE";
        return Err(AppError::Usage(text.to_owned()).into());
    }
    let bytes = context.app.export_result(id, format, theme)?;
    if to_stdout {
        raw_bytes(&bytes);
    } else {
        write_file(output, &bytes)?;
    }
    Ok(())
}

fn kind(format: Format) -> ResultFormat {
    match format {
        Format::Json => ResultFormat::Json,
        Format::Csv => ResultFormat::Csv,
        Format::Html => ResultFormat::Html,
        Format::Pdf => ResultFormat::Pdf,
        Format::Svg => ResultFormat::Svg,
        Format::Png => ResultFormat::Png,
        Format::Md => ResultFormat::Markdown,
    }
}

fn class_kind(format: ClassExport) -> ClassFormat {
    match format {
        ClassExport::Html => ClassFormat::Html,
        ClassExport::Md => ClassFormat::Markdown,
        ClassExport::Csv => ClassFormat::Csv,
    }
}

fn list(context: &Context, wants_json: bool) -> anyhow::Result<()> {
    let all = context.app.list_results()?;
    if wants_json {
        return json(&all);
    }
    let row = |it: &tandem_app::ResultRow| {
        let state = match (&it.stopped, it.finished_at) {
            (Some(why), _) => format!("stopped: {}", plain(why)),
            (None, None) => "unfinished".to_owned(),
            (None, Some(_)) => it.origin.clone().unwrap_or_else(|| "finished".to_owned()),
        };
        vec![
            it.id.clone(),
            it.experiment.clone(),
            plain(&it.subject),
            it.trials.to_string(),
            ago(it.started_at),
            state,
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    table(&["ID", "EXPERIMENT", "SUBJECT", "TRIALS", "STARTED", "STATE"], &rows);
    Ok(())
}

/// Says where a result was measured that is none of this home's own.
fn tell_origin(context: &Context, result: &ResultDocument) -> anyhow::Result<()> {
    let rows = context.app.list_results()?;
    let row = rows.into_iter().find(|row| row.id == result.id);
    let Some(origin) = row.and_then(|row| row.origin) else { return Ok(()) };
    let machine = &result.machine;
    line(&format!(
        "{origin}: measured {} on {} ({} processors, {}), not by this home",
        result.started_at.strftime("%Y-%m-%d"),
        plain(&machine.cpu),
        machine.cores,
        plain(&machine.os)
    ));
    Ok(())
}

fn show(context: &Context, id: &str, wants_json: bool) -> anyhow::Result<()> {
    match context.app.show_result(id)? {
        ShownResult::Finished(result) if wants_json => json(&result)?,
        ShownResult::Finished(result) => {
            tell_origin(context, &result)?;
            print(context, &result);
        }
        ShownResult::Unfinished { trials, .. } if wants_json => json(&trials)?,
        ShownResult::Unfinished { row, trials } => {
            let why = row.stopped.as_deref().unwrap_or("it was killed, or runs still");
            line(&format!(
                "{}: no result ({}); {} trials; `tandem experiment resume {0}` goes on with it",
                row.id,
                plain(why),
                trials.len()
            ));
        }
    }
    Ok(())
}
