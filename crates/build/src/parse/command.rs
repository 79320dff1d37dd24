use super::{CommandLine, SyntaxError, Warning, rest::Rest};

/// `["a", "b"]`, or text for a shell. `None` when the rest is no JSON array.
pub(crate) fn exec_form(rest: &Rest<'_>) -> Result<Option<Vec<String>>, SyntaxError> {
    if !rest.text().starts_with('[') {
        return Ok(None);
    }
    match serde_json::from_str::<Vec<serde_json::Value>>(rest.text()) {
        Err(_) => Ok(None),
        Ok(values) => values
            .into_iter()
            .map(|value| match value {
                serde_json::Value::String(text) => Ok(text),
                other => Err(rest.refuse(format!(
                    "`{other}` is not a string: expected {} [\"…\", \"…\"]",
                    rest.name
                ))),
            })
            .collect::<Result<_, _>>()
            .map(Some),
    }
}

/// The command of RUN, CMD, ENTRYPOINT and HEALTHCHECK. As in Docker, a
/// broken array is text for the shell; that is hardly ever meant, so it is
/// warned of.
pub(crate) fn command_line(
    rest: &Rest<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<CommandLine, SyntaxError> {
    if let Some(args) = exec_form(rest)? {
        return Ok(CommandLine::Exec(args));
    }
    let text = rest.text();
    if text.starts_with('[') && !text.starts_with("[ ") && !text.starts_with("[[") {
        warnings.push(Warning {
            span: rest.line.span(rest.offset()..rest.line.text.len()),
            message: format!(
                "this is not a JSON array, so {} gives it to the shell: write [\"a\", \"b\"] with double quotes",
                rest.name
            ),
        });
    }
    Ok(CommandLine::Shell(text.to_owned()))
}

/// `SHELL`.
pub(crate) fn shell(rest: &Rest<'_>) -> Result<Vec<String>, SyntaxError> {
    match exec_form(rest)? {
        Some(args) if !args.is_empty() => Ok(args),
        _ => Err(rest.refuse("SHELL needs the JSON form: expected SHELL [\"/bin/sh\", \"-c\"]")),
    }
}
