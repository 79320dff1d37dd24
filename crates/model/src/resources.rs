use serde::{Deserialize, Serialize};

/// Limits of an instance. `None` means no limit for a process or container,
/// and the backend's default size for a virtual machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Resources {
    /// Memory in bytes.
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub memory_bytes: Option<u64>,
    /// Processors, in thousandths: 1500 is one and a half.
    pub milli_cpus: Option<u32>,
    /// Largest number of processes.
    pub pids: Option<u32>,
}

/// The text is not an amount of memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size: write a number with b, k, m or g, e.g. 256m or 1.5g")]
pub struct ParseSizeError(String);

/// Reads an amount such as `256m`; units are powers of 1024, as Docker's are.
pub fn parse_size(text: &str) -> Result<u64, ParseSizeError> {
    let wrong = || ParseSizeError(text.to_owned());
    let lower = text.to_ascii_lowercase();
    let trimmed = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let (digits, shift) = match trimmed.as_bytes().last().ok_or_else(wrong)? {
        b'k' => (&trimmed[..trimmed.len() - 1], 10),
        b'm' => (&trimmed[..trimmed.len() - 1], 20),
        b'g' => (&trimmed[..trimmed.len() - 1], 30),
        b't' => (&trimmed[..trimmed.len() - 1], 40),
        _ => (trimmed, 0),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return Err(wrong()),
        Some((whole, fraction)) => (whole, fraction),
        None => (digits, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    // More digits tell bytes of the largest unit apart.
    if !all_digits(whole) || !all_digits(fraction) || fraction.len() > 12 {
        return Err(wrong());
    }
    let number: u64 = whole.parse().map_err(|_| wrong())?;
    let parts: u128 = format!("0{fraction}").parse().map_err(|_| wrong())?;
    let count = u32::try_from(fraction.len()).map_err(|_| wrong())?;
    let more = u64::try_from((parts << shift) / 10_u128.pow(count)).map_err(|_| wrong())?;
    let bytes = number.checked_mul(1 << shift).and_then(|bytes| bytes.checked_add(more));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

/// Reads a number of processors such as `1.5` into thousandths.
pub fn parse_cpus(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is not a number of processors: write e.g. 1 or 1.5");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || fraction.len() > 3 {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let thousandths: u32 = format!("{fraction:0<3}").parse().map_err(|_| wrong())?;
    whole
        .checked_mul(1000)
        .and_then(|milli| milli.checked_add(thousandths))
        .filter(|milli| *milli >= 10)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(parse_size("256m").unwrap(), 256 << 20);
        assert_eq!(parse_size("1GiB").unwrap(), 1 << 30);
        assert_eq!(parse_size("7").unwrap(), 7);
        assert_eq!(parse_size("1.5g").unwrap(), 3 << 29);
        assert_eq!(parse_size("0.25MB").unwrap(), 1 << 18);
        for bad in ["", "m", "0", "0.0m", "-1m", "1.g", ".5g", "1.2.3g", "99999999999g", "1x"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn processors_are_read_in_thousandths() {
        assert_eq!(parse_cpus("1.5").unwrap(), 1500);
        assert_eq!(parse_cpus("2").unwrap(), 2000);
        for bad in ["", "0", ".5x", "-1", "1.0001", "0.001"] {
            assert!(parse_cpus(bad).is_err(), "{bad}");
        }
    }
}
