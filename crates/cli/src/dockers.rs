//! Docker's words: those that stand for ours, and those that there are none
//! for here, each with what to do instead.

use std::ffi::{OsStr, OsString};

/// Commands that `docker container` has and we have without that word.
const OF_CONTAINERS: [&str; 22] = [
    "attach", "commit", "cp", "create", "diff", "exec", "export", "inspect", "kill", "logs",
    "pause", "port", "rename", "restart", "rm", "run", "start", "stats", "stop", "top", "unpause",
    "update",
];

/// The same of `docker image`.
const OF_IMAGES: [&str; 5] = ["build", "load", "pull", "push", "save"];

/// The words as our grammar has them: `container ls` is `ps`, `image pull` is
/// `pull`. What means nothing in Docker either stays as it is.
pub(crate) fn ours(mut words: Vec<OsString>) -> Vec<OsString> {
    let Some(first) = command_after(&words, 0) else { return words };
    let second = command_after(&words, first + 1);
    let text = |at: usize| words[at].to_str().unwrap_or_default();
    let group = text(first);
    let inner = second.map(text).unwrap_or_default();
    let (gone, name): (bool, &[&str]) = match (group, inner) {
        ("container", "ls" | "list" | "ps") => (true, &["ps"]),
        ("container", "wait") => (true, &["wait"]),
        ("container", inner) if OF_CONTAINERS.contains(&inner) => (true, &[]),
        ("image", inner) if OF_IMAGES.contains(&inner) => (true, &[]),
        ("builder" | "buildx", "build") => (true, &[]),
        ("version", "") => (false, &["--version"]),
        ("info", _) => (false, &["system", "info"]),
        _ => return words,
    };
    let name: Vec<OsString> = name.iter().map(OsString::from).collect();
    match second.filter(|_| gone) {
        Some(second) => {
            if !name.is_empty() {
                words.splice(second..=second, name);
            }
            words.remove(first);
        }
        None => drop(words.splice(first..=first, name)),
    }
    words
}

/// Where the next word stands that is no option, nor what belongs to one that
/// every command has.
fn command_after(words: &[OsString], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(word) = words.get(at) {
        if word == OsStr::new("--home") {
            at += 1;
        } else if !word.as_encoded_bytes().starts_with(b"-") {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Options of Docker's that we have not, by the command that has them there,
/// and what to do instead.
const OPTIONS: [(&str, &[&str], &str); 25] = [
    (
        "run",
        &["--privileged"],
        "give what it needs with --cap-add, or give it a kernel of its own with --backend vm",
    ),
    ("exec", &["--privileged"], "it may do what the instance may: leave it out"),
    ("run", &["--device", "--gpus"], "devices of the machine are given to no instance"),
    (
        "run",
        &["--userns", "--pid", "--ipc", "--uts", "--cgroupns"],
        "an instance always has namespaces of its own: leave it out",
    ),
    (
        "run",
        &["--link"],
        "make a network with `tandem network create NAME` and give it to both with --network NAME, \
         where they know each other by name",
    ),
    (
        "run",
        &["--ip", "--ip6", "--mac-address"],
        "a network gives its addresses itself: reach the others by name on one of yours (--network NAME)",
    ),
    ("run", &["--sysctl"], "an instance has the kernel's usual settings: leave it out"),
    (
        "run",
        &["--memory-swap", "--memory-swappiness", "--memory-reservation", "--kernel-memory"],
        "--memory limits it, with as much swap beside it: leave it out",
    ),
    (
        "run",
        &["--cpu-shares", "-c", "--cpu-quota", "--cpu-period", "--cpuset-cpus", "--cpuset-mems"],
        "limit processors with --cpus, e.g. --cpus 1.5",
    ),
    ("run", &["--group-add"], "write the group behind the user, -u USER:GROUP"),
    ("run", &["--log-driver"], "logs stay in the home, where --log-opt max-size=10m bounds them"),
    ("run", &["--expose"], "a port needs not be announced: publish it with -p"),
    (
        "run",
        &["--dns-search", "--dns-option", "--dns-opt", "--domainname"],
        "write a file of your own and mount it, -v FILE:/etc/resolv.conf:ro",
    ),
    ("run", &["--runtime"], "choose what runs it with --backend"),
    ("run", &["--oom-kill-disable", "--oom-score-adj"], "the kernel chooses: leave it out"),
    (
        "run",
        &["--attach", "-a"],
        "output is shown unless -d is given, and -i passes input on: leave it out",
    ),
    ("run", &["--label-file", "--annotation"], "write each with --label K=V"),
    (
        "update",
        &["--memory-swap", "--memory-reservation", "--kernel-memory"],
        "--memory limits it, with as much swap beside it: leave it out",
    ),
    (
        "update",
        &["--cpu-shares", "-c", "--cpu-quota", "--cpu-period", "--cpuset-cpus", "--cpuset-mems"],
        "limit processors with --cpus, e.g. --cpus 1.5",
    ),
    (
        "network create",
        &["--gateway", "--ip-range", "--ipv6", "--opt", "-o", "--attachable"],
        "a network has IPv4 addresses, and the first of its --subnet is the gateway: leave it out",
    ),
    (
        "network connect",
        &["--ip", "--ip6", "--link", "--link-local-ip", "--driver-opt", "--gw-priority"],
        "a network gives its addresses itself, and --alias gives a further name: leave it out",
    ),
    (
        "volume create",
        &["--opt", "-o"],
        "a volume is a folder of the home: leave it out, or mount one of yours with -v /PATH:/DST",
    ),
    ("build", &["--push"], "push it afterwards with `tandem push NAME`"),
    ("build", &["--load"], "a built image is here at once: leave it out"),
    ("pull", &["--all-tags", "-a"], "pull each by its tag"),
];

/// Commands of Docker's that we have not, below which of ours.
const COMMANDS: [(&str, &[&str], &str); 5] = [
    (
        "tandem",
        &["events"],
        "`tandem ps` shows how things stand, and `tandem wait` waits for an end",
    ),
    (
        "tandem",
        &["search"],
        "look on the registry's own page, and take an image with `tandem pull`",
    ),
    (
        "tandem",
        &["compose", "docker-compose"],
        "make a network with `tandem network create NAME` and start each service with \
         `tandem run -d --network NAME`",
    ),
    (
        "tandem",
        &["builder", "buildx"],
        "`tandem build` builds, and `tandem system prune -a` forgets what builds remember",
    ),
    (
        "tandem",
        &["swarm", "service", "stack", "node", "secret", "config", "context", "plugin", "manifest"],
        "all here is on one machine",
    ),
];

/// What to do instead of an option that Docker has and the command has not.
pub(crate) fn instead_of_option(command: &str, option: &str) -> Option<&'static str> {
    // Both make an instance.
    let verb = match command.strip_prefix("tandem ")? {
        "create" => "run",
        verb => verb,
    };
    let option = option.split('=').next().unwrap_or(option);
    let found = OPTIONS.iter().find(|(of, names, _)| *of == verb && names.contains(&option));
    found.map(|(_, _, instead)| *instead)
}

/// What to do instead of a command that Docker has and we have not.
pub(crate) fn instead_of_command(below: &str, word: &str) -> Option<&'static str> {
    let found = COMMANDS.iter().find(|(of, names, _)| *of == below && names.contains(&word));
    found.map(|(_, _, instead)| *instead)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::grammar::Cli;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn groups_of_dockers_are_ours_without_their_word() {
        for (line, expected) in [
            ("container ls -a", "ps -a"),
            ("container list --filter name=x", "ps --filter name=x"),
            ("--home image container rm -f x", "--home image rm -f x"),
            (
                "-q container --verbose run --rm x container ls",
                "-q --verbose run --rm x container ls",
            ),
            ("container wait x", "wait x"),
            ("container prune -f", "container prune -f"),
            ("container fly", "container fly"),
            ("container", "container"),
            ("image pull x", "pull x"),
            ("image build -t x .", "build -t x ."),
            ("image ls", "image ls"),
            ("image inspect pull", "image inspect pull"),
            ("buildx build .", "build ."),
            ("version", "--version"),
            ("info --json", "system info --json"),
            ("run info", "run info"),
            ("--quiet", "--quiet"),
            ("", ""),
        ] {
            assert_eq!(ours(words(line)), words(expected), "{line}");
        }
    }

    #[test]
    fn what_is_left_without_its_group_can_be_typed() {
        let grammar = Cli::command();
        for name in OF_CONTAINERS.iter().chain(&OF_IMAGES) {
            assert!(grammar.find_subcommand(name).is_some(), "{name}");
        }
        let all = [words("tandem"), ours(words("container ls -a -n 3"))].concat();
        Cli::try_parse_from(all).unwrap();
    }

    #[test]
    fn what_is_told_to_be_missing_is() {
        let grammar = Cli::command();
        for (of, names, instead) in OPTIONS {
            let command =
                of.split(' ').fold(&grammar, |group, name| group.find_subcommand(name).unwrap());
            for name in names {
                let bare = name.trim_start_matches('-');
                let is_there = command.get_arguments().any(|it| {
                    it.get_long() == Some(bare)
                        || it.get_short().is_some_and(|short| short.to_string() == bare)
                });
                assert!(!is_there, "{of} {name}");
                assert_eq!(instead_of_option(&format!("tandem {of}"), name), Some(instead));
            }
        }
        for (below, names, _) in COMMANDS {
            let group = below
                .split(' ')
                .skip(1)
                .fold(&grammar, |group, name| group.find_subcommand(name).unwrap());
            assert!(names.iter().all(|name| group.find_subcommand(name).is_none()), "{below}");
        }
        assert!(instead_of_option("tandem create", "--gpus=all").is_some());
        assert!(instead_of_option("tandem ps", "--gpus").is_none());
    }
}
