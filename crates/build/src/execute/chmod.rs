//! `--chmod`: octal digits, or changes in the notation of chmod(1)
//! (Dockerfile reference, "COPY --chmod").

use serde::Serialize;

/// The mode of what arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Chmod {
    /// This one.
    Is(u32),
    /// Its own, changed so, one after the other.
    Changed(Vec<Change>),
}

/// One change: `u+x` is one, `go=rX-w` two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    operator: char,
    /// Bits that it may change, and those that `=` takes away.
    mask: u32,
    cleared: u32,
    bits: u32,
    /// Also execution, of folders and of what somebody may execute (`X`).
    execution: bool,
    /// The bits of these others instead: how far they are to the right.
    copied: Option<u32>,
}

/// Who is meant when nobody is named is all, but for what nobody gives away
/// unasked (BuildKit's umask).
const UMASK: u32 = 0o022;
const EVERYBODY: u32 = 0o6777;
const STICKY: u32 = 0o1000;

impl Chmod {
    /// `None` when it is neither.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok()?;
            return (mode <= 0o7777).then_some(Self::Is(mode));
        }
        let clauses: Option<Vec<_>> = text.split(',').map(clause).collect();
        Some(Self::Changed(clauses?.concat()))
    }

    /// The mode of something that had another.
    pub(super) fn of(&self, before: u32, is_folder: bool) -> u32 {
        let changes = match self {
            Self::Is(mode) => return *mode,
            Self::Changed(changes) => changes,
        };
        changes.iter().fold(before, |mode, change| {
            let executes = change.execution && (is_folder || before & 0o111 != 0);
            let bits = change.bits | if executes { 0o111 } else { 0 };
            let bits = change.copied.map_or(bits, |shift| ((mode >> shift) & 7) * 0o111);
            match change.operator {
                '+' => mode | bits & change.mask,
                '-' => mode & !(bits & change.mask),
                _ => mode & !change.cleared | bits & change.mask,
            }
        })
    }
}

fn clause(text: &str) -> Option<Vec<Change>> {
    let start = text.find(['+', '-', '='])?;
    let (named, mut rest) = text.split_at(start);
    let mut who = 0;
    for c in named.chars() {
        who |= match c {
            'u' => 0o4700,
            'g' => 0o2070,
            'o' => 0o007,
            'a' => EVERYBODY,
            _ => return None,
        };
    }
    let mut changes = Vec::new();
    while let Some(operator) = rest.chars().next() {
        rest = &rest[1..];
        let end = rest.find(['+', '-', '=']).unwrap_or(rest.len());
        let (what, next) = rest.split_at(end);
        changes.push(change(who, operator, what)?);
        rest = next;
    }
    Some(changes)
}

fn change(who: u32, operator: char, what: &str) -> Option<Change> {
    let mut mask = if who == 0 { EVERYBODY & !UMASK } else { who };
    let mut cleared = if who == 0 { EVERYBODY } else { who };
    let (mut bits, mut execution) = (0, false);
    let copied = match what {
        "u" => Some(6),
        "g" => Some(3),
        "o" => Some(0),
        _ => None,
    };
    // Others alone have no bit besides their three.
    let special = who != 0o007;
    for c in what.chars().filter(|_| copied.is_none()) {
        match c {
            'r' => bits |= 0o444,
            'w' => bits |= 0o222,
            'x' => bits |= 0o111,
            'X' => execution = true,
            's' if special => bits |= 0o6000,
            't' if special => {
                bits |= STICKY;
                mask |= STICKY;
                cleared |= STICKY;
            }
            's' | 't' => {}
            _ => return None,
        }
    }
    Some(Change { operator, mask, cleared, bits, execution, copied })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_set_and_changed_as_chmod_does() {
        for (text, before, is_folder, after) in [
            ("755", 0o600, false, 0o755),
            ("4711", 0o600, false, 0o4711),
            ("0", 0o777, true, 0),
            ("+x", 0o644, false, 0o755),
            ("+w", 0o444, false, 0o644),
            ("a+w", 0o444, false, 0o666),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("u=rwX,go=rX", 0o6711, false, 0o755),
            ("g=u", 0o640, false, 0o660),
            ("go-rwx", 0o755, false, 0o700),
            ("u+s,g+s", 0o755, false, 0o6755),
            ("o+s", 0o755, false, 0o755),
            ("+t", 0o755, true, 0o1755),
            ("a=r", 0o4755, false, 0o444),
            ("=r", 0o777, false, 0o444),
            ("u=r+w-r", 0o755, false, 0o255),
            ("a=", 0o755, false, 0),
        ] {
            let mode = Chmod::parse(text).unwrap().of(before, is_folder);
            assert_eq!(mode, after, "{text} of {before:o}: {mode:o}");
        }
        for bad in ["", "9", "10000", "rwx", "u", "z+x", "u+q", "u+x,", "+x,rw", "u=gx"] {
            assert_eq!(Chmod::parse(bad), None, "{bad}");
        }
        // The key of a remembered step.
        assert_eq!(serde_json::to_string(&Chmod::parse("755")).unwrap(), "493");
    }
}
