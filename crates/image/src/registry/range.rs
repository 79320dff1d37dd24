//! Headers with numbers: `Content-Range` (RFC 9110 section 14.4) and
//! `Retry-After` (section 10.2.3).

use std::time::Duration;

/// Which bytes of the whole an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentRange {
    /// The first byte.
    pub(crate) first: u64,
    /// The last byte, which belongs to it.
    pub(crate) last: u64,
    /// Size of the whole, when it is said.
    pub(crate) total: Option<u64>,
}

/// Reads `bytes FIRST-LAST/TOTAL`; `None` for anything else.
pub(crate) fn parse_content_range(header: &str) -> Option<ContentRange> {
    let (unit, rest) = header.trim().split_once(' ')?;
    let (range, total) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let total = match total {
        "*" => None,
        total => Some(number(total)?),
    };
    let whole = first <= last && total.is_none_or(|total| last < total);
    (unit.eq_ignore_ascii_case("bytes") && whole).then_some(ContentRange { first, last, total })
}

/// Digits and nothing else: `parse` alone would take a sign.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// Reads `Retry-After`: seconds, or a date.
pub(crate) fn parse_retry_after(header: &str, now: jiff::Timestamp) -> Option<Duration> {
    let header = header.trim();
    if let Some(seconds) = number(header) {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(header).ok()?;
    let seconds = date.duration_since(now).as_secs();
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_that_contradict_themselves_are_none() {
        let good = ContentRange { first: 5, last: 9, total: Some(10) };
        assert_eq!(parse_content_range("bytes 5-9/10"), Some(good));
        assert_eq!(parse_content_range("Bytes 5-9/*"), Some(ContentRange { total: None, ..good }));
        for bad in ["", "bytes", "bytes */10", "bytes 5-10/10", "bytes 9-5/10", "bytes +5-9/10"] {
            assert_eq!(parse_content_range(bad), None, "{bad}");
        }
        assert_eq!(parse_content_range("items 5-9/10"), None);
    }

    #[test]
    fn the_wait_is_seconds_or_a_date() {
        let now = "2015-10-21T07:27:30Z".parse().unwrap();
        let of = |text| parse_retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(of("120"), Some(120));
        assert_eq!(of("Wed, 21 Oct 2015 07:28:00 GMT"), Some(30));
        assert_eq!(of("Wed, 21 Oct 2015 07:20:00 GMT"), Some(0));
        assert_eq!(of("soon"), None);
        assert_eq!(of("-1"), None);
    }

    proptest! {
        #[test]
        fn any_text_ends(text in "\\PC*") {
            let _ = parse_content_range(&text);
            let _ = parse_retry_after(&text, jiff::Timestamp::UNIX_EPOCH);
        }

        #[test]
        fn what_is_written_is_read(first: u32, more: u32, after in 1u32..) {
            let (first, last) = (u64::from(first), u64::from(first) + u64::from(more));
            let total = last + u64::from(after);
            let range = ContentRange { first, last, total: Some(total) };
            prop_assert_eq!(parse_content_range(&format!("bytes {first}-{last}/{total}")), Some(range));
        }
    }
}
