use super::{ParseOptionError, advice};
use crate::parse_size;

/// One `--log-opt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogOption {
    /// `max-size=SIZE`, in bytes.
    MaxSize(u64),
    /// `max-file=N`.
    MaxFiles(u32),
}

/// The smallest file that is worth putting aside, bytes.
const SMALLEST: u64 = 4096;

/// Reads `max-size=10m` or `max-file=3`.
///
/// # Errors
/// What is wrong with the text, one sentence.
pub fn parse_log_option(text: &str) -> Result<LogOption, ParseOptionError> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    match name {
        "max-size" => match parse_size(value) {
            Ok(bytes) if bytes >= SMALLEST => Ok(LogOption::MaxSize(bytes)),
            Ok(_) => Err(ParseOptionError::new(format!(
                "a log of {value} is too small to hold anything: give max-size at least 4k"
            ))),
            Err(e) => Err(ParseOptionError::new(e.to_string())),
        },
        "max-file" => match value.parse() {
            Ok(count @ 1..=1000) => Ok(LogOption::MaxFiles(count)),
            _ => Err(ParseOptionError::new(format!(
                "`{value}` is no number of log files: write max-file=N with N from 1 to 1000"
            ))),
        },
        _ => {
            let advice =
                advice(name, &["max-size", "max-file"], "there are max-size=SIZE and max-file=N");
            Err(ParseOptionError::new(format!("`{name}` is no option of the log: {advice}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_are_read_and_others_refused() {
        assert_eq!(parse_log_option("max-size=10m"), Ok(LogOption::MaxSize(10 << 20)));
        assert_eq!(parse_log_option("max-file=3"), Ok(LogOption::MaxFiles(3)));
        for (text, part) in [
            ("max-size=1k", "at least 4k"),
            ("max-size=ten", "not a size"),
            ("max-file=0", "from 1 to 1000"),
            ("max-files=2", "did you mean max-file?"),
            ("tag", "there are"),
        ] {
            let error = parse_log_option(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
