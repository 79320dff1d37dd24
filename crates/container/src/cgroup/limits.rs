use std::{fs, path::PathBuf};

use tandem_backend::BackendError;
use tandem_model::Resources;
use tandem_probe::cgroup_limits;
use tandem_rootless::Standing;

use super::{HOW_TO_DELEGATE, Layout};

/// Length of the period in which a processor quota is measured, microseconds.
pub(crate) const CPU_PERIOD: u64 = 100_000;

/// The processor quota in each [`CPU_PERIOD`], microseconds.
pub(crate) fn cpu_quota(milli_cpus: u32) -> i64 {
    i64::from(milli_cpus) * 100
}

/// The smallest memory limit that is worth trying, bytes (Docker's).
const SMALLEST_MEMORY: u64 = 6 << 20;

/// The smallest limit of processes: while an app's is made, another is there.
const FEWEST_PIDS: u32 = 2;

/// Refuses limits that this machine has no controller for, and such as no app
/// could start with, before anything is made.
pub(crate) fn refuse_impossible(
    layout: &Layout,
    resources: &Resources,
) -> Result<(), BackendError> {
    if let Some(bytes) = resources.memory_bytes.filter(|bytes| *bytes < SMALLEST_MEMORY) {
        return Err(BackendError::Unavailable {
            what: format!("a memory limit of {}", tandem_model::format::format_bytes(bytes)),
            why: "no app starts with so little".into(),
            fix: "give at least 6m".into(),
        });
    }
    if let Some(pids) = resources.pids.filter(|pids| *pids < FEWEST_PIDS) {
        return Err(BackendError::Unavailable {
            what: format!("a limit of {pids} processes"),
            why: "no app starts with so few".into(),
            fix: format!("give at least {FEWEST_PIDS}"),
        });
    }
    let wanted = [
        ("memory", resources.memory_bytes.is_some()),
        ("cpu", resources.milli_cpus.is_some()),
        ("pids", resources.pids.is_some()),
    ];
    for (controller, _) in wanted.iter().filter(|(_, wanted)| *wanted) {
        if layout.folder(controller, "").is_none() {
            if !Standing::of_process().is_machine_root() {
                return Err(BackendError::Unavailable {
                    what: format!("a {controller} limit"),
                    why: match layout {
                        Layout::Nothing => layout.describe(),
                        _ => format!("the `{controller}` control group was not delegated to you"),
                    },
                    fix: HOW_TO_DELEGATE.into(),
                });
            }
            return Err(BackendError::Unavailable {
                what: format!("a {controller} limit"),
                why: format!("this machine has no `{controller}` control group"),
                fix:
                    "leave the limit out, or enable the controller (kernel parameter cgroup_enable)"
                        .into(),
            });
        }
    }
    Ok(())
}

/// Reads the limits back from the group's files and refuses when the kernel
/// holds other ones.
pub(crate) fn check_limits(folders: &[PathBuf], wanted: &Resources) -> Result<(), BackendError> {
    let held = cgroup_limits(folders);
    let page = rustix::param::page_size() as u64;
    let memory = wanted.memory_bytes.map(|bytes| bytes / page * page);
    compare("memory", memory, held.memory_bytes)?;
    compare("cpu", wanted.milli_cpus.map(u64::from), held.milli_cpus.map(u64::from))?;
    compare("pids", wanted.pids.map(u64::from), held.pids.map(u64::from))
}

fn compare(what: &str, wanted: Option<u64>, held: Option<u64>) -> Result<(), BackendError> {
    let (Some(limit), true) = (wanted, wanted != held) else { return Ok(()) };
    let found = held.map_or_else(|| "no limit".to_owned(), |held| held.to_string());
    Err(BackendError::Unavailable {
        what: format!("the {what} limit"),
        why: format!("the control group holds {found} instead of {limit}"),
        fix: "leave the limit out, or run where control groups can be written".into(),
    })
}

/// Whether memory and swap are counted together, so that swap can be limited.
pub(crate) fn counts_swap(layout: &Layout) -> bool {
    match layout {
        // The root group has no limits of its own; its children show the file.
        Layout::Unified(root) => fs::read_dir(root).is_ok_and(|entries| {
            entries.flatten().any(|entry| entry.path().join("memory.swap.max").exists())
        }),
        Layout::Split { controllers, .. } => controllers
            .get("memory")
            .is_some_and(|mount| mount.join("memory.memsw.limit_in_bytes").exists()),
        Layout::Nothing => false,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use super::*;

    fn split(dir: &Path) -> Layout {
        let controllers = ["cpu", "memory"].map(|name| (name.to_owned(), dir.join(name)));
        Layout::Split { controllers: BTreeMap::from(controllers), hybrid: false, lent: false }
    }

    #[test]
    fn a_limit_without_its_controller_is_refused() {
        let layout = split(Path::new("/nowhere"));
        let pids = Resources { pids: Some(10), ..Resources::default() };
        let error = refuse_impossible(&layout, &pids).unwrap_err();
        assert!(error.to_string().contains("pids"), "{error}");
        let tiny = Resources { memory_bytes: Some(4096), ..Resources::default() };
        assert!(refuse_impossible(&layout, &tiny).is_err());
        let few = Resources { pids: Some(1), ..Resources::default() };
        let error = refuse_impossible(&layout, &few).unwrap_err();
        assert!(error.to_string().contains("no app starts with so few"), "{error}");
        let fine = Resources { memory_bytes: Some(64 << 20), milli_cpus: Some(500), pids: None };
        assert!(refuse_impossible(&layout, &fine).is_ok());
    }

    #[test]
    fn what_the_kernel_holds_is_what_counts() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            ("memory.limit_in_bytes", "67108864\n"),
            ("cpu.cfs_quota_us", "-1\n"),
            ("cpu.cfs_period_us", "100000\n"),
        ];
        for (file, text) in files {
            fs::write(dir.path().join(file), text).unwrap();
        }
        let folders = [dir.path().to_owned()];
        let memory = Resources { memory_bytes: Some((64 << 20) + 5), ..Resources::default() };
        assert!(check_limits(&folders, &memory).is_ok(), "the kernel rounds to pages");
        let cpu = Resources { milli_cpus: Some(500), ..Resources::default() };
        let error = check_limits(&folders, &cpu).unwrap_err();
        assert!(error.to_string().contains("no limit instead of 500"), "{error}");
    }
}
