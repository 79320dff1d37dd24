//! Changing the limits of a group while its processes run.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tandem_backend::BackendError;
use tandem_model::{Resources, format::format_bytes};
use tandem_probe::cgroup_limits;

use super::{CPU_PERIOD, Layout, check_limits, cpu_quota, limits::refuse_impossible};

/// Sets the limits of a running group and reads them back. When that fails,
/// every limit is as it was. May take a while: the kernel first makes room
/// below a smaller memory limit.
///
/// # Errors
/// [`BackendError::Unavailable`] when more memory is in use than the new limit
/// and the kernel cannot reclaim the rest, or when a controller is missing.
pub(crate) fn update(
    layout: &Layout,
    folders: &[PathBuf],
    wanted: &Resources,
) -> Result<(), BackendError> {
    refuse_impossible(layout, wanted)?;
    let held = cgroup_limits(folders);
    let before =
        Resources { memory_bytes: held.memory_bytes, milli_cpus: held.milli_cpus, pids: held.pids };
    let files = Files { folders };
    let result = files.set(wanted, &before).and_then(|()| check_limits(folders, wanted));
    if result.is_err() {
        // Larger than what is in use, so this cannot be refused for want of room.
        let _ = files.set(&before, wanted);
    }
    result
}

/// The files of one group, wherever they lie.
struct Files<'a> {
    folders: &'a [PathBuf],
}

impl Files<'_> {
    fn find(&self, name: &str) -> Option<PathBuf> {
        self.folders.iter().map(|folder| folder.join(name)).find(|path| path.exists())
    }

    fn set(&self, wanted: &Resources, before: &Resources) -> Result<(), BackendError> {
        if wanted.milli_cpus != before.milli_cpus {
            self.set_cpu(wanted.milli_cpus)?;
        }
        if wanted.pids != before.pids
            && let Some(path) = self.find("pids.max")
        {
            let text = wanted.pids.map_or_else(|| "max".to_owned(), |pids| pids.to_string());
            write(&path, &text)?;
        }
        if wanted.memory_bytes != before.memory_bytes {
            self.set_memory(wanted.memory_bytes, before.memory_bytes)?;
        }
        Ok(())
    }

    fn set_cpu(&self, milli_cpus: Option<u32>) -> Result<(), BackendError> {
        if let Some(path) = self.find("cpu.max") {
            let quota = milli_cpus.map_or_else(|| "max".to_owned(), |it| cpu_quota(it).to_string());
            return write(&path, &format!("{quota} {CPU_PERIOD}"));
        }
        if let Some(path) = self.find("cpu.cfs_period_us") {
            write(&path, &CPU_PERIOD.to_string())?;
        }
        match self.find("cpu.cfs_quota_us") {
            Some(path) => write(&path, &milli_cpus.map_or(-1, cpu_quota).to_string()),
            None => Ok(()),
        }
    }

    fn set_memory(&self, wanted: Option<u64>, before: Option<u64>) -> Result<(), BackendError> {
        if let Some(limit) = self.find("memory.max") {
            return set_memory_unified(&limit, wanted);
        }
        let Some(limit) = self.find("memory.limit_in_bytes") else { return Ok(()) };
        let limits = |bytes: Option<u64>| bytes.map_or_else(|| "-1".to_owned(), |b| b.to_string());
        let both = self.find("memory.memsw.limit_in_bytes");
        // Memory and swap together may never be less than memory alone, so
        // the larger one goes first when they grow and last when they shrink.
        let grows = wanted.is_none_or(|wanted| before.is_some_and(|before| wanted > before));
        let total = limits(wanted.map(|bytes| bytes.saturating_mul(2)));
        let write_total = || both.as_ref().map_or(Ok(()), |path| write(path, &total));
        if grows {
            write_total()?;
        }
        match fs::write(&limit, limits(wanted)) {
            // The kernel tried to make room and could not.
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy => {
                return Err(in_use(wanted, number(&limit.with_file_name("memory.usage_in_bytes"))));
            }
            other => other.map_err(|e| BackendError::io("write", &limit, e))?,
        }
        if grows { Ok(()) } else { write_total() }
    }
}

/// Version 2 kills when the limit falls below what is in use. The soft
/// limit makes the kernel reclaim first and kills nobody
/// (cgroup-v2.rst, "memory.high").
fn set_memory_unified(limit: &Path, wanted: Option<u64>) -> Result<(), BackendError> {
    let Some(bytes) = wanted else { return write(limit, "max") };
    let soft = limit.with_file_name("memory.high");
    let current = limit.with_file_name("memory.current");
    let used = |path: &Path| number(path).filter(|used| *used > bytes);
    if used(&current).is_some() && soft.exists() {
        let before = fs::read_to_string(&soft).unwrap_or_else(|_| "max".to_owned());
        write(&soft, &bytes.to_string())?;
        let too_much = used(&current);
        let result = match too_much {
            Some(_) => Err(in_use(wanted, too_much)),
            None => write(limit, &bytes.to_string()),
        };
        write(&soft, before.trim())?;
        return result;
    }
    write(limit, &bytes.to_string())
}

fn in_use(wanted: Option<u64>, used: Option<u64>) -> BackendError {
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "more".to_owned(), format_bytes);
    BackendError::Unavailable {
        what: format!("a memory limit of {}", size(wanted)),
        why: format!("{} are in use and the kernel cannot reclaim the difference", size(used)),
        fix: "give a higher limit, or use --mode cold to restart the app with the new one".into(),
    }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn write(path: &Path, text: &str) -> Result<(), BackendError> {
    fs::write(path, text).map_err(|e| BackendError::io("write", path, e))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn group(files: &[(&str, &str)]) -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let mount = |name: &str| (name.to_owned(), dir.path().to_owned());
        let controllers = BTreeMap::from(["memory", "cpu", "pids"].map(mount));
        (dir, Layout::Split { controllers, hybrid: false, lent: false })
    }

    fn text(dir: &tempfile::TempDir, name: &str) -> String {
        fs::read_to_string(dir.path().join(name)).unwrap().trim().to_owned()
    }

    #[test]
    fn version_1_is_changed_whole() {
        let (dir, layout) = group(&[
            ("memory.limit_in_bytes", "67108864"),
            ("memory.memsw.limit_in_bytes", "134217728"),
            ("cpu.cfs_quota_us", "-1"),
            ("cpu.cfs_period_us", "100000"),
            ("pids.max", "max"),
        ]);
        let wanted =
            Resources { memory_bytes: Some(128 << 20), milli_cpus: Some(500), pids: Some(9) };
        update(&layout, &[dir.path().to_owned()], &wanted).unwrap();
        assert_eq!(text(&dir, "memory.limit_in_bytes"), (128 << 20).to_string());
        assert_eq!(text(&dir, "memory.memsw.limit_in_bytes"), (256 << 20).to_string());
        assert_eq!(
            (text(&dir, "cpu.cfs_quota_us"), text(&dir, "pids.max")),
            ("50000".into(), "9".into())
        );
    }

    #[test]
    fn version_2_refuses_what_is_in_use_and_keeps_everything() {
        let files = [
            ("memory.max", "max\n"),
            ("memory.high", "max\n"),
            ("memory.current", "209715200\n"),
            ("cpu.max", "max 100000\n"),
            ("pids.max", "20\n"),
        ];
        let (dir, layout) = group(&files);
        let wanted =
            Resources { memory_bytes: Some(100 << 20), milli_cpus: Some(500), pids: Some(20) };
        let error = update(&layout, &[dir.path().to_owned()], &wanted).unwrap_err();
        assert!(error.to_string().contains("in use"), "{error}");
        assert_eq!(
            (text(&dir, "memory.high"), text(&dir, "memory.max")),
            ("max".into(), "max".into())
        );
        assert_eq!(text(&dir, "cpu.max"), "max 100000", "the first change was taken back");
        let wanted = Resources { memory_bytes: Some(300 << 20), ..wanted };
        update(&layout, &[dir.path().to_owned()], &wanted).unwrap();
        assert_eq!(text(&dir, "memory.max"), (300 << 20).to_string());
        assert_eq!(text(&dir, "cpu.max"), "50000 100000");
    }
}
