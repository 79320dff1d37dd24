use std::fs;

use tandem_guest::wire::Process;

/// All processes that are programs, by id. The kernel's own have no memory and
/// no command line.
pub(super) fn all() -> Vec<Process> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let own = std::process::id();
    let mut found: Vec<Process> =
        pids.filter(|pid| *pid != own).filter_map(|pid| read(pid, &passwd)).collect();
    found.sort_by_key(|process| process.pid);
    found
}

fn read(pid: u32, passwd: &str) -> Option<Process> {
    let text = |name: &str| fs::read(format!("/proc/{pid}/{name}")).ok();
    let command =
        String::from_utf8_lossy(&text("cmdline")?).replace('\0', " ").trim_end().to_owned();
    if command.is_empty() {
        return None;
    }
    let stat = String::from_utf8_lossy(&text("stat")?).into_owned();
    let (state, parent, cpu_ns) = fields(&stat)?;
    let status = String::from_utf8_lossy(&text("status")?).into_owned();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let uid = uid?.split_whitespace().next()?;
    Some(Process { pid, parent, user: name_of(uid, passwd), state, cpu_ns, command })
}

/// State, parent and processor time (proc_pid_stat(5)). The name before them
/// may hold anything.
fn fields(stat: &str) -> Option<(char, u32, u64)> {
    let rest: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: u64 = rest.get(11)?.parse::<u64>().ok()? + rest.get(12)?.parse::<u64>().ok()?;
    Some((rest.first()?.chars().next()?, rest.get(1)?.parse().ok()?, ticks * 10_000_000))
}

fn name_of(uid: &str, passwd: &str) -> String {
    let name = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    };
    passwd.lines().find_map(name).unwrap_or_else(|| uid.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_do_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 3 7 7 0 -1 4194304 1 0 0 0 5 6 0 0 20 0 1 0 1";
        assert_eq!(fields(stat), Some(('S', 3, 110_000_000)));
        assert_eq!(fields("7 (a"), None);
        assert_eq!(name_of("33", "root:x:0:0::/:/\nweb:x:33:33::/:/\n"), "web");
        assert_eq!(name_of("5", ""), "5");
    }

    #[test]
    fn others_are_seen() {
        assert!(all().iter().any(|process| process.pid == 1));
    }
}
