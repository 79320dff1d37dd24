use std::{collections::BTreeSet, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tandem_probe::{session_members, session_of, tree};

/// How often is looked for processes that were started meanwhile.
const ROUNDS: usize = 200;

/// Kills everything that descends from a process of ours, but not itself, and
/// everything in the sessions that those have begun: a child whose parent
/// ended is still in its session.
pub(super) async fn kill_family(pid: u32) {
    let own = session_of(std::process::id());
    let mut sessions = BTreeSet::new();
    for _ in 0..ROUNDS {
        let mut family: BTreeSet<u32> = tree(pid).into_iter().skip(1).collect();
        let begun = family.iter().filter_map(|member| session_of(*member));
        sessions.extend(begun.filter(|session| Some(*session) != own));
        family.extend(session_members(&sessions));
        if family.is_empty() {
            return;
        }
        for member in family {
            if let Ok(member) = i32::try_from(member) {
                let _ = kill(Pid::from_raw(member), Signal::SIGKILL);
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        process::{Command, Stdio},
    };

    use super::*;

    #[tokio::test]
    async fn a_hanging_command_ends_with_all_its_children() {
        // The second sleeper's parent ends at once; its session remains.
        let script = "setsid sh -c '(sleep 1000 &); echo $$; sleep 1000'; true";
        let mut helper =
            Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(helper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let session = BTreeSet::from([line.trim().parse::<u32>().unwrap()]);
        while session_members(&session).len() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        kill_family(helper.id()).await;
        assert!(session_members(&session).is_empty());
        assert!(helper.wait().unwrap().success(), "the helper itself goes on");
    }
}
