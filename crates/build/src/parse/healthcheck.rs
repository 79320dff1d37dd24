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
            duration(&word.text).ok_or_else(|| {
                rest.error_at(
                    word.span,
                    format!("`{}` is not a time: expected e.g. 30s, 1m30s or 500ms", word.text),
                )
            })
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

fn number(rest: &Rest<'_>, word: &Word) -> Result<u32, SyntaxError> {
    word.text.parse().map_err(|_| {
        rest.error_at(
            word.span,
            format!("`{}` is not a number of retries: expected e.g. 3", word.text),
        )
    })
}

/// Nanoseconds of a Go duration such as `1m30s` (Go, time.ParseDuration).
fn duration(text: &str) -> Option<u64> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|at| *at > 0)?;
        let value: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        total += value
            * match &rest[..unit] {
                "ns" => 1.0,
                "us" | "µs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked range")]
    (total > 0.0 && total < 9e18).then_some(total as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration("30s"), Some(30_000_000_000));
        assert_eq!(duration("1m30s"), Some(90_000_000_000));
        assert_eq!(duration("1.5h"), Some(5_400_000_000_000));
        for bad in ["", "30", "s", "1x", "-1s", "1..2s", "0s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
