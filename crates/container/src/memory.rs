//! Giving back the memory that only a launch needed.
//!
//! A supervisor is the whole `tandem` program, and a launch goes through much
//! of it; afterwards it copies bytes and waits. The code and the constants in
//! between lie in pages of files that nobody has changed, so they can be let
//! go: what is needed again comes back from the page cache at its next use.

use std::{fs, time::Duration};

use crate::task::Task;

/// Until the app has had time to come up, and what is used is there again.
const LATER: Duration = Duration::from_millis(500);

/// Gives memory back once the app runs.
pub(crate) fn give_back_later() -> Task {
    Task::spawn(async {
        tokio::time::sleep(LATER).await;
        give_back();
    })
}

fn give_back() {
    // SAFETY: it may be called at any time, by any thread.
    unsafe { libc::malloc_trim(0) };
    for (start, length) in untouched(&fs::read_to_string("/proc/self/smaps").unwrap_or_default()) {
        let start = std::ptr::with_exposed_provenance_mut(start);
        // SAFETY: the range is a mapping of a file that this process cannot
        // write to and has no pages of its own in: the next use of a page
        // finds the same bytes in the file (madvise(2)).
        unsafe { libc::madvise(start, length, libc::MADV_DONTNEED) };
    }
}

/// Start and length of the mappings of files that cannot be written to and of
/// which no page was changed before that, out of `/proc/PID/smaps`
/// (proc_pid_smaps(5)).
fn untouched(smaps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut current = None;
    for line in smaps.lines() {
        if let Some(mapping) = mapping_of(line) {
            current = mapping.fixed.then_some((mapping.start, mapping.length));
        } else if line.starts_with("Anonymous:") {
            let none = line.split_whitespace().nth(1) == Some("0");
            found.extend(current.take().filter(|_| none));
        }
    }
    found
}

/// The line that begins a mapping.
struct Mapping {
    start: usize,
    length: usize,
    /// A file's, and not to be written to.
    fixed: bool,
}

fn mapping_of(line: &str) -> Option<Mapping> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let (start, end) =
        (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    let (rights, path) = (words.next()?, words.nth(3).unwrap_or_default());
    let fixed = matches!(rights, "r--p" | "r-xp") && path.starts_with('/');
    Some(Mapping { start, length: end.saturating_sub(start), fixed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_nobody_changed_are_let_go() {
        let mapping = |range: &str, rights: &str, path: &str, anonymous: u32| {
            format!(
                "{range} {rights} 00001000 fe:00 123    {path}\nSize: 4 kB\nAnonymous:   {anonymous} kB\nVmFlags: rd ex\n"
            )
        };
        let smaps = [
            mapping("55aa00000000-55aa00002000", "r-xp", "/usr/bin/tandem", 0),
            // Constants that the loader has filled in before it locked them.
            mapping("55aa00002000-55aa00003000", "r--p", "/usr/bin/tandem", 4),
            mapping("55aa00003000-55aa00004000", "rw-p", "/usr/bin/tandem", 0),
            mapping("7f0000000000-7f0000001000", "r-xp", "[vdso]", 0),
            mapping("7f0000001000-7f0000002000", "r--p", "/lib/libc.so.6", 0),
        ]
        .concat();
        assert_eq!(untouched(&smaps), [(0x55aa_0000_0000, 0x2000), (0x7f00_0000_1000, 0x1000)]);
    }

    #[test]
    fn a_program_goes_on_without_its_pages() {
        give_back();
        let text = format!("{:?}", untouched(&fs::read_to_string("/proc/self/smaps").unwrap()));
        assert!(text.len() > 2);
    }
}
