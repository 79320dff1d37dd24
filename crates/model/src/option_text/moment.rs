use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::{ParseOptionError, parse_duration};

/// Reads a moment: RFC 3339 (`2026-01-31T12:00:00Z`), the same without a zone
/// or a time of day, which is then this machine's (`2026-01-31`), seconds since
/// 1970 (`1769860800.5`), or a time before now (`10m`, `1h30m`).
///
/// # Errors
/// What is wrong with the text, one sentence.
pub fn parse_moment(text: &str) -> Result<Timestamp, ParseOptionError> {
    at(text, Timestamp::now(), TimeZone::system()).ok_or_else(|| {
        ParseOptionError::new(format!(
            "`{text}` is no moment: write e.g. 2026-01-31T12:00:00Z, or 10m for ten minutes ago"
        ))
    })
}

fn at(text: &str, now: Timestamp, here: TimeZone) -> Option<Timestamp> {
    if let Ok(before) = parse_duration(text) {
        return now.checked_sub(before).ok();
    }
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    if text.contains('-')
        && let Ok(civil) = text.parse::<DateTime>()
    {
        return here.to_timestamp(civil).ok();
    }
    let seconds: f64 = text.parse().ok()?;
    Timestamp::UNIX_EPOCH.checked_add(jiff::SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_four_forms() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let here = TimeZone::fixed(jiff::tz::offset(2));
        let of = |text: &str| at(text, now, here.clone()).map(|moment| moment.to_string());
        assert_eq!(of("90s").as_deref(), Some("2026-01-31T11:58:30Z"));
        assert_eq!(of("2026-01-31T10:00:00+01:00").as_deref(), Some("2026-01-31T09:00:00Z"));
        assert_eq!(of("2026-01-31T10:00:00").as_deref(), Some("2026-01-31T08:00:00Z"));
        assert_eq!(of("2026-01-31").as_deref(), Some("2026-01-30T22:00:00Z"));
        assert_eq!(of("1.5").as_deref(), Some("1970-01-01T00:00:01.5Z"));
        for bad in ["", "soon", "1e300", "NaN"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
