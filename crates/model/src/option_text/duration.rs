use std::time::Duration;

use super::ParseOptionError;

/// Reads a Go duration such as `1m30s` or `500ms` (Go, time.ParseDuration);
/// zero and negative ones are none.
///
/// # Errors
/// What is wrong with the text, one sentence.
pub fn parse_duration(text: &str) -> Result<Duration, ParseOptionError> {
    let wrong = || {
        ParseOptionError::new(format!("`{text}` is not a time: expected e.g. 30s, 1m30s or 500ms"))
    };
    let seconds = seconds(text).ok_or_else(wrong)?;
    Duration::try_from_secs_f64(seconds).ok().filter(|it| !it.is_zero()).ok_or_else(wrong)
}

fn seconds(text: &str) -> Option<f64> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|at| *at > 0)?;
        let value: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        total += value
            * match &rest[..unit] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    // The longest that fits into nanoseconds of 64 bits.
    (total < 9e9).then_some(total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_gos() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1.5h"), Ok(Duration::from_mins(90)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        for bad in ["", "30", "s", "1x", "-1s", "1..2s", "0s", "99999999h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9.nuµmsh-]{0,12}") {
            let _ = parse_duration(&text);
        }
    }
}
