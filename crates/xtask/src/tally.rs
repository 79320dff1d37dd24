//! Adding up what the test runners report.

use std::fmt;

/// Checks passed, failed and skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// They hold.
    pub(crate) passed: u64,
    /// They do not.
    pub(crate) failed: u64,
    /// They could not run here.
    pub(crate) skipped: u64,
}

impl Tally {
    /// One check by its outcome.
    pub(crate) fn one(ok: bool) -> Self {
        Self { passed: u64::from(ok), failed: u64::from(!ok), skipped: 0 }
    }

    /// Reads a runner's closing line: libtest's and libtest-mimic's
    /// `test result: ok. 12 passed; 0 failed; 1 ignored; …`, or vitest's
    /// `Tests  1 failed | 12 passed | 1 skipped (14)`.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let plain = without_colours(line);
        let plain = plain.trim();
        if let Some(rest) = plain.strip_prefix("test result: ") {
            let (_, counts) = rest.split_once(". ")?;
            return Some(Self::from_counts(counts.split(';')));
        }
        let counts = plain.strip_prefix("Tests  ")?;
        let counts = counts.rsplit_once('(').map_or(counts, |(counts, _)| counts);
        Some(Self::from_counts(counts.split('|')))
    }

    fn from_counts<'a>(parts: impl Iterator<Item = &'a str>) -> Self {
        let mut tally = Self::default();
        for part in parts {
            let Some((number, word)) = part.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "passed" => tally.passed += number,
                "failed" => tally.failed += number,
                "ignored" | "skipped" | "todo" => tally.skipped += number,
                _ => {}
            }
        }
        tally
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// Takes terminal escape sequences (ECMA-48 CSI … m) out of a line.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn tally(passed: u64, failed: u64, skipped: u64) -> Tally {
        Tally { passed, failed, skipped }
    }

    #[test]
    fn every_runners_closing_line_is_read() {
        let lines = [
            (
                "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s",
                tally(12, 0, 1),
            ),
            (
                "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.2s",
                tally(3, 2, 0),
            ),
            ("      Tests  1 failed | 12 passed | 2 skipped | 1 todo (16)", tally(12, 1, 3)),
            (
                "\u{1b}[2m      Tests \u{1b}[22m \u{1b}[1m\u{1b}[32m7 passed\u{1b}[39m\u{1b}[22m\u{1b}[90m (7)\u{1b}[39m",
                tally(7, 0, 0),
            ),
        ];
        for (line, expected) in lines {
            assert_eq!(Tally::from_line(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn other_lines_are_not_counted() {
        for line in ["", " Test Files  3 passed (3)", "test a::b ... ok", "12 passed; 0 failed"] {
            assert_eq!(Tally::from_line(line), None, "{line}");
        }
    }

    #[test]
    fn the_sum_is_printed_in_the_promised_form() {
        let mut sum = Tally::one(true);
        sum += tally(4, 1, 2);
        assert_eq!(sum.to_string(), "5 passed, 1 failed, 2 skipped");
    }
}
