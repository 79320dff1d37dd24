use std::time::Duration;

use tandem_model::parse_duration;

use super::{Healthcheck, SyntaxError, Warning, Word, command, flags, rest::Rest};

/// `HEALTHCHECK NONE` or `HEALTHCHECK [flags] CMD command`.
pub(crate) fn healthcheck(
    mut rest: Rest<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Healthcheck, SyntaxError> {
    let known = ["interval", "timeout", "start-period", "start-interval", "retries"];
    let mut flags = flags::take(&mut rest, &known)?;
    let mut time = |name| -> Result<u64, SyntaxError> {
        flags::value(&rest, &mut flags, name)?.map_or(Ok(0), |word| {
            match parse_duration(&word.text) {
                Ok(time) if !time.is_zero() && time < SHORTEST => {
                    let message = format!("`{}` is shorter than 1ms", word.text);
                    Err(rest.error_at(word.span, message))
                }
                Ok(time) => Ok(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
                Err(e) => Err(rest.error_at(word.span, e.to_string())),
            }
        })
    };
    let interval = time("interval")?;
    let timeout = time("timeout")?;
    let start_period = time("start-period")?;
    let start_interval = time("start-interval")?;
    let retries =
        flags::value(&rest, &mut flags, "retries")?.map_or(Ok(0), |word| number(&rest, &word))?;
    let keyword = rest.text().split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    let command = match keyword.as_str() {
        "NONE" if rest.text().len() == 4 => None,
        "CMD" => {
            rest.advance(3);
            rest.some("the command that checks")?;
            Some(command::command_line(&rest, warnings)?)
        }
        _ => return Err(rest.refuse("expected HEALTHCHECK CMD command, or HEALTHCHECK NONE")),
    };
    Ok(Healthcheck { command, interval, timeout, start_period, start_interval, retries })
}

/// Docker refuses anything shorter.
const SHORTEST: Duration = Duration::from_millis(1);

fn number(rest: &Rest<'_>, word: &Word) -> Result<u32, SyntaxError> {
    word.text.parse().map_err(|_| {
        rest.error_at(
            word.span,
            format!("`{}` is not a number of retries: expected e.g. 3", word.text),
        )
    })
}
