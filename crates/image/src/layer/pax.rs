//! Extended headers of the POSIX pax format (POSIX.1-2017, `pax`, "pax
//! Extended Header"). Values are bytes: attributes may hold line ends, so a
//! reader that splits at lines would lose file capabilities.

use super::LayerError;

/// One record of an extended header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaxRecord {
    /// Key, e.g. `path` or `SCHILY.xattr.security.capability`.
    pub key: String,
    /// Value, any bytes.
    pub value: Vec<u8>,
}

/// Reads the records `LENGTH KEY=VALUE\n` of an extended header, in order.
///
/// # Errors
/// [`LayerError::Malformed`] when a length does not fit, the key is not
/// UTF-8, or a record does not end with a line end.
pub fn parse_pax(mut bytes: &[u8]) -> Result<Vec<PaxRecord>, LayerError> {
    let mut records = Vec::new();
    // Some writers fill the block with zeros instead of counting the size.
    while bytes.first().is_some_and(|byte| *byte != 0) {
        let (record, rest) = split_record(bytes).ok_or_else(|| {
            LayerError::malformed("an extended header has a record that does not fit")
        })?;
        records.push(record);
        bytes = rest;
    }
    Ok(records)
}

fn split_record(bytes: &[u8]) -> Option<(PaxRecord, &[u8])> {
    // Twenty digits are more than any length has.
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let digits = &bytes[..space];
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let record = bytes.get(..length)?;
    let body = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    let key = std::str::from_utf8(&body[..equals]).ok()?;
    let record = PaxRecord { key: key.to_owned(), value: body[equals + 1..].to_vec() };
    Some((record, &bytes[length..]))
}

/// Writes one record; the length counts itself.
pub(super) fn push_record(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = 1 + key.len() + 1 + value.len() + 1;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} {key}=").as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// A time in seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
}

impl Time {
    /// Reads `[-]SECONDS[.FRACTION]`; digits beyond nanoseconds are dropped.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let seconds: i64 = whole.parse().ok()?;
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        let nanoseconds: u32 = digits.parse().ok()?;
        if whole.starts_with('-') && nanoseconds > 0 {
            // -1.25 is 0.75 after -2.
            return Some(Self {
                seconds: seconds.checked_sub(1)?,
                nanoseconds: 1_000_000_000 - nanoseconds,
            });
        }
        Some(Self { seconds, nanoseconds })
    }

    /// Writes what [`Time::parse`] reads.
    pub(super) fn to_text(self) -> String {
        if self.nanoseconds == 0 {
            return self.seconds.to_string();
        }
        let text = if self.seconds < 0 {
            let (whole, fraction) = (-(self.seconds + 1), 1_000_000_000 - self.nanoseconds);
            format!("-{whole}.{fraction:09}")
        } else {
            format!("{}.{:09}", self.seconds, self.nanoseconds)
        };
        text.trim_end_matches('0').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_may_hold_line_ends_and_equal_signs() {
        let mut header = Vec::new();
        push_record(&mut header, "SCHILY.xattr.user.x", b"1\n2=3\0");
        push_record(&mut header, "path", b"a");
        let records = parse_pax(&header).unwrap();
        assert_eq!(records[0].value, b"1\n2=3\0");
        assert_eq!(records[1], PaxRecord { key: "path".into(), value: b"a".to_vec() });
    }

    #[test]
    fn broken_records_are_refused() {
        for bad in ["1", "9 a=b\n", "5 a=b\n", "6 ab\n\n", "x a=b\n", "-6 a=b\n", "6 a=bc"] {
            assert!(parse_pax(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse_pax(b"99999999999999999999 a=b\n").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(key in "[a-zA-Z.]{1,40}", value in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut header = Vec::new();
            push_record(&mut header, &key, &value);
            prop_assert_eq!(parse_pax(&header).unwrap(), [PaxRecord { key, value }]);
        }

        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_pax(&bytes);
        }

        #[test]
        fn times_survive(seconds in -1_000_000_000_000i64..1_000_000_000_000, nanoseconds in 0u32..1_000_000_000) {
            let time = Time { seconds, nanoseconds };
            prop_assert_eq!(Time::parse(time.to_text().as_bytes()), Some(time));
        }
    }
}
