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
#[error("`{0}` is not a size: write a whole number with b, k, m or g, e.g. 256m")]
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
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or_else(wrong)
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
        for bad in ["", "m", "0", "-1m", "1.5g", "99999999999g", "1x"] {
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
