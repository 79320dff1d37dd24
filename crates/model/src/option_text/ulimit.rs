use super::{ParseOptionError, advice};
use crate::Ulimit;

/// The limits of setrlimit(2), as Docker names them, in the order of their
/// numbers (`<asm-generic/resource.h>`).
pub const ULIMITS: [&str; 16] = [
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nproc",
    "nofile",
    "memlock",
    "as",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
];

/// The number of a limit, as setrlimit(2) takes it.
pub fn ulimit_number(name: &str) -> Option<u32> {
    (0..).zip(ULIMITS).find_map(|(number, known)| (known == name).then_some(number))
}

/// Reads `name=soft[:hard]`; `-1` and `unlimited` are no limit, and without
/// `hard` both are the same.
///
/// # Errors
/// What is wrong with the text, one sentence.
pub fn parse_ulimit(text: &str) -> Result<Ulimit, ParseOptionError> {
    let Some((name, values)) = text.split_once('=') else {
        let advice = format!("`{text}` is no limit: write NAME=SOFT[:HARD], e.g. nofile=1024:4096");
        return Err(ParseOptionError(advice));
    };
    if !ULIMITS.contains(&name) {
        let advice = advice(name, &ULIMITS, &format!("there are {}", ULIMITS.join(", ")));
        return Err(ParseOptionError(format!("`{name}` is no limit of a process: {advice}")));
    }
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (value(soft)?, value(hard)?);
    if soft > hard {
        let advice = format!("the limit {text} begins above its highest value: write SOFT:HARD");
        return Err(ParseOptionError(advice));
    }
    Ok(Ulimit { name: name.to_owned(), soft, hard })
}

fn value(text: &str) -> Result<u64, ParseOptionError> {
    match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        number => number.parse().map_err(|_| {
            ParseOptionError(format!("`{text}` is no value of a limit: write a number or -1"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_slips_answered() {
        let limit = parse_ulimit("nofile=1024:4096").unwrap();
        assert_eq!((limit.name.as_str(), limit.soft, limit.hard), ("nofile", 1024, 4096));
        let limit = parse_ulimit("core=-1").unwrap();
        assert_eq!((limit.soft, limit.hard), (u64::MAX, u64::MAX));
        for (text, says) in [
            ("nofiles=1", "did you mean nofile?"),
            ("files=1", "memlock"),
            ("nofile", "SOFT[:HARD]"),
            ("nofile=x", "number"),
            ("nofile=2:1", "above"),
        ] {
            let error = parse_ulimit(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn soft_is_never_above_hard(text in "[a-z]{2,6}=[-0-9:a-z]{0,24}") {
            if let Ok(limit) = parse_ulimit(&text) {
                proptest::prop_assert!(limit.soft <= limit.hard);
            }
        }
    }
}
