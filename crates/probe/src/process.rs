use std::fs;

use tandem_model::ProcessIdentity;

/// The identity of a process that exists; `None` when there is none.
pub fn identity(pid: u32) -> Option<ProcessIdentity> {
    stat(pid).map(|stat| ProcessIdentity { pid, start: stat.start })
}

/// Whether exactly this process still runs. A zombie has ended.
pub fn alive(process: ProcessIdentity) -> bool {
    stat(process.pid)
        .is_some_and(|stat| stat.start == process.start && !matches!(stat.state, 'Z' | 'X'))
}

/// Whether exactly this process is held still by a signal or a debugger.
pub fn is_stopped(process: ProcessIdentity) -> bool {
    stat(process.pid)
        .is_some_and(|stat| stat.start == process.start && matches!(stat.state, 'T' | 't'))
}

/// What `/proc/PID/stat` says of a process (proc_pid_stat(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Field 3.
    pub(crate) state: char,
    /// Field 4.
    pub(crate) parent: u32,
    /// Field 6.
    pub(crate) session: u32,
    /// Processor time of the process and of the children it has waited for,
    /// clock ticks: fields 14 to 17, summed.
    pub(crate) cpu_ticks: u64,
    /// Field 22, clock ticks since boot.
    pub(crate) start: u64,
}

pub(crate) fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The command name, field 2, may hold anything, so counting begins behind
/// its last parenthesis.
fn parse(text: &str) -> Option<Stat> {
    let mut fields = text[text.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    // -1 once the process is at its end.
    let session = fields.nth(1)?.parse().unwrap_or_default();
    // utime and stime cannot be negative; cutime and cstime are printed as
    // signed numbers.
    let mut cpu_ticks = 0_u64;
    let mut fields = fields.skip(7);
    for _ in 0..4 {
        let ticks: i64 = fields.next()?.parse().ok()?;
        cpu_ticks = cpu_ticks.saturating_add(u64::try_from(ticks).unwrap_or_default());
    }
    let start = fields.nth(4)?.parse().ok()?;
    Some(Stat { state, parent, session, cpu_ticks, start })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_with_its_id() {
        let me = identity(std::process::id()).unwrap();
        assert!(alive(me));
        assert!(!alive(ProcessIdentity { start: me.start + 1, ..me }));
    }

    #[test]
    fn a_zombie_has_ended() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = identity(child.id()).unwrap();
        while alive(process) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(identity(process.pid).is_none_or(|later| later != process));
    }

    #[test]
    fn fields_are_counted_behind_the_name() {
        let text = "42 (a) R (b) S 7 42 43 0 -1 4194560 100 200 1 2 11 22 33 44 20 0 1 0 9876 1 2";
        let expected = Stat { state: 'S', parent: 7, session: 43, cpu_ticks: 110, start: 9876 };
        assert_eq!(parse(text), Some(expected));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_fatal(text in "\\PC*|[0-9 ()A-Z-]*") {
            let _ = parse(&text);
        }
    }
}
