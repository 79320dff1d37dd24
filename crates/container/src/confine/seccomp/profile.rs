//! Profiles in Docker's JSON format (moby `profiles/seccomp`), and what the
//! default one opens for capabilities beyond the default set.

use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
    error::SeccompError,
};
use serde::Deserialize;
use tandem_model::CAPABILITIES;

/// System calls that the default profile opens to those who have a capability.
pub(super) const OPENED: [(&str, &[&str]); 13] = [
    ("CAP_DAC_READ_SEARCH", &["open_by_handle_at"]),
    (
        "CAP_SYS_ADMIN",
        &[
            "bpf",
            "clone",
            "clone3",
            "fanotify_init",
            "fsconfig",
            "fsmount",
            "fsopen",
            "fspick",
            "lookup_dcookie",
            "mount",
            "mount_setattr",
            "move_mount",
            "open_tree",
            "perf_event_open",
            "quotactl",
            "quotactl_fd",
            "setdomainname",
            "sethostname",
            "setns",
            "syslog",
            "umount",
            "umount2",
            "unshare",
        ],
    ),
    ("CAP_SYS_BOOT", &["reboot"]),
    ("CAP_SYS_MODULE", &["delete_module", "init_module", "finit_module"]),
    ("CAP_SYS_PACCT", &["acct"]),
    (
        "CAP_SYS_PTRACE",
        &[
            "kcmp",
            "pidfd_getfd",
            "process_madvise",
            "process_vm_readv",
            "process_vm_writev",
            "ptrace",
        ],
    ),
    ("CAP_SYS_RAWIO", &["iopl", "ioperm"]),
    ("CAP_SYS_TIME", &["settimeofday", "stime", "clock_settime", "clock_settime64"]),
    ("CAP_SYS_TTY_CONFIG", &["vhangup"]),
    ("CAP_SYS_NICE", &["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"]),
    ("CAP_SYSLOG", &["syslog"]),
    ("CAP_BPF", &["bpf"]),
    ("CAP_PERFMON", &["perf_event_open"]),
];

/// The system calls that a set of capabilities opens in the default profile.
pub(super) fn opened(capabilities: u64) -> Vec<&'static str> {
    let mut names: Vec<&str> = OPENED
        .iter()
        .filter(|(name, _)| holds(capabilities, name))
        .flat_map(|(_, calls)| calls.iter().copied())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn holds(capabilities: u64, name: &str) -> bool {
    let number = CAPABILITIES.iter().position(|known| *known == name);
    number.is_some_and(|number| capabilities & 1 << number != 0)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: String,
    default_errno_ret: Option<i32>,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default, alias = "archMap")]
    arch_map: Vec<Architecture>,
    #[serde(default)]
    syscalls: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Architecture {
    architecture: String,
    #[serde(default)]
    sub_architectures: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    name: String,
    #[serde(default)]
    names: Vec<String>,
    action: String,
    errno_ret: Option<i32>,
    #[serde(default)]
    args: Option<Vec<Argument>>,
    #[serde(default)]
    includes: Condition,
    #[serde(default)]
    excludes: Condition,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    caps: Vec<String>,
    arches: Vec<String>,
    min_kernel: Option<String>,
}

/// Makes the rules of a profile for an app with these capabilities.
///
/// # Errors
/// What is wrong with the profile.
pub(super) fn context(json: &str, capabilities: u64) -> Result<ScmpFilterContext, String> {
    let profile: Profile = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let default = action(&profile.default_action, profile.default_errno_ret)?;
    let said = |e: SeccompError| e.to_string();
    let mut context = ScmpFilterContext::new(default).map_err(said)?;
    for name in foreign_architectures(&profile) {
        let architecture: ScmpArch =
            name.parse().map_err(|_| format!("`{name}` is no architecture"))?;
        context.add_arch(architecture).map_err(said)?;
    }
    let _ = context.set_ctl_optimize(2);
    for rule in &profile.syscalls {
        let wanted = action(&rule.action, rule.errno_ret.or(profile.default_errno_ret))?;
        // libseccomp refuses a rule that says what happens anyway.
        if wanted == default || !rule.applies(capabilities) {
            continue;
        }
        let compare = rule.compare()?;
        for name in rule.names.iter().chain(Some(&rule.name).filter(|name| !name.is_empty())) {
            // A call that this libseccomp does not know is left to the default.
            let Ok(call) = ScmpSyscall::from_name(name) else { continue };
            context
                .add_rule_conditional(wanted, call, &compare)
                .map_err(|e| format!("{name}: {e}"))?;
        }
    }
    Ok(context)
}

/// Architectures that this processor can run besides the native one.
fn foreign_architectures(profile: &Profile) -> Vec<&str> {
    let native =
        if cfg!(target_arch = "x86_64") { "SCMP_ARCH_X86_64" } else { "SCMP_ARCH_AARCH64" };
    let mapped = profile.arch_map.iter().find(|one| one.architecture == native);
    let listed = profile.architectures.iter();
    let all = listed.chain(mapped.into_iter().flat_map(|one| &one.sub_architectures));
    let ours = ["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM"];
    all.map(String::as_str).filter(|name| *name != native && ours.contains(name)).collect()
}

impl Rule {
    fn applies(&self, capabilities: u64) -> bool {
        let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        let has = |name: &String| holds(capabilities, name);
        let here = |name: &String| name == arch;
        let (on, off) = (&self.includes, &self.excludes);
        on.caps.iter().all(has)
            && (on.arches.is_empty() || on.arches.iter().any(here))
            && on.min_kernel.as_deref().is_none_or(kernel_is_at_least)
            && !off.caps.iter().any(has)
            && !off.arches.iter().any(here)
            && !off.min_kernel.as_deref().is_some_and(kernel_is_at_least)
    }

    fn compare(&self) -> Result<Vec<ScmpArgCompare>, String> {
        let one = |argument: &Argument| {
            let (op, value) = match argument.op.as_str() {
                "SCMP_CMP_NE" => (ScmpCompareOp::NotEqual, argument.value),
                "SCMP_CMP_LT" => (ScmpCompareOp::Less, argument.value),
                "SCMP_CMP_LE" => (ScmpCompareOp::LessOrEqual, argument.value),
                "SCMP_CMP_EQ" => (ScmpCompareOp::Equal, argument.value),
                "SCMP_CMP_GE" => (ScmpCompareOp::GreaterEqual, argument.value),
                "SCMP_CMP_GT" => (ScmpCompareOp::Greater, argument.value),
                "SCMP_CMP_MASKED_EQ" => {
                    (ScmpCompareOp::MaskedEqual(argument.value), argument.value_two)
                }
                other => return Err(format!("`{other}` is no comparison")),
            };
            if argument.index > 5 {
                return Err(format!("a system call has no argument {}", argument.index));
            }
            Ok(ScmpArgCompare::new(argument.index, op, value))
        };
        self.args.iter().flatten().map(one).collect()
    }
}

fn action(name: &str, errno: Option<i32>) -> Result<ScmpAction, String> {
    match name {
        "SCMP_ACT_ALLOW" => Ok(ScmpAction::Allow),
        "SCMP_ACT_ERRNO" => Ok(ScmpAction::Errno(errno.unwrap_or(libc::EPERM))),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Ok(ScmpAction::KillThread),
        "SCMP_ACT_KILL_PROCESS" => Ok(ScmpAction::KillProcess),
        "SCMP_ACT_TRAP" => Ok(ScmpAction::Trap),
        "SCMP_ACT_LOG" => Ok(ScmpAction::Log),
        other => Err(format!(
            "the action `{other}` is not possible here: use SCMP_ACT_ALLOW or SCMP_ACT_ERRNO"
        )),
    }
}

/// Whether the running kernel is at least `major.minor`.
fn kernel_is_at_least(version: &str) -> bool {
    let pair = |text: &str| {
        let mut numbers = text.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    };
    let running = rustix::system::uname().release().to_string_lossy().into_owned();
    pair(&running) >= pair(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"],
        "syscalls":[{"names":["mkdir","mkdirat","no_such_call"],"action":"SCMP_ACT_ERRNO","errnoRet":1},
        {"names":["kill"],"action":"SCMP_ACT_ERRNO","args":[{"index":1,"value":9,"op":"SCMP_CMP_EQ"}],"excludes":{"caps":["CAP_KILL"]}}]}"#;

    #[test]
    fn a_profile_is_read_and_a_bad_one_is_refused() {
        assert!(context(SMALL, 0).is_ok());
        for (bad, says) in [
            ("{", "EOF"),
            ("{}", "defaultAction"),
            (r#"{"defaultAction":"ALLOW"}"#, "SCMP_ACT_ALLOW"),
            (
                r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":9,"value":0,"op":"SCMP_CMP_EQ"}]}]}"#,
                "argument 9",
            ),
        ] {
            let error = context(bad, 0).err().unwrap();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }

    #[test]
    fn capabilities_open_their_calls() {
        assert_eq!(opened(0xa804_25fb), Vec::<&str>::new(), "the default set opens nothing more");
        assert!(opened(1 << 21).contains(&"mount"));
        let rule: Rule = serde_json::from_str(
            r#"{"names":["bpf"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_BPF"],"minKernel":"4.8"}}"#,
        )
        .unwrap();
        assert!(rule.applies(1 << 39) && !rule.applies(0));
    }

    #[test]
    fn conditions_include_and_exclude() {
        let applies = |condition: &str| {
            let text = format!(r#"{{"names":["bpf"],"action":"SCMP_ACT_ALLOW",{condition}}}"#);
            serde_json::from_str::<Rule>(&text).unwrap().applies(1 << 21)
        };
        for (condition, wanted) in [
            (r#""includes":{}"#, true),
            (r#""includes":{"caps":["CAP_SYS_ADMIN","CAP_BPF"]}"#, false),
            (r#""excludes":{"caps":["CAP_SYS_ADMIN"]}"#, false),
            (r#""excludes":{"caps":["CAP_BPF"]}"#, true),
            (r#""includes":{"arches":["s390x"]}"#, false),
            (r#""includes":{"arches":["amd64","arm64"]}"#, true),
            (r#""excludes":{"arches":["amd64","arm64"]}"#, false),
            (r#""includes":{"minKernel":"99.0"}"#, false),
            (r#""excludes":{"minKernel":"99.0"}"#, true),
            (r#""excludes":{"minKernel":"3.0"}"#, false),
        ] {
            assert_eq!(applies(condition), wanted, "{condition}");
        }
    }

    #[test]
    fn what_cannot_be_carried_out_is_named() {
        let rule = |rule: &str| {
            let text = format!(
                r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":["read"],{rule}}}]}}"#
            );
            context(&text, 0).err().unwrap_or_default()
        };
        assert!(rule(r#""action":"SCMP_ACT_TRACE""#).contains("`SCMP_ACT_TRACE`"));
        let compare =
            r#""action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":0,"op":"SCMP_CMP_XX"}]"#;
        assert!(rule(compare).contains("`SCMP_CMP_XX`"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_ends_in_an_answer(text in "[\\[\\]{}\",:a-zA-Z_0-9]{0,80}") {
            let _ = context(&text, 0);
        }
    }
}
