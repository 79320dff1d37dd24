use std::path::{Path, PathBuf};

use super::{
    CgroupUsage,
    usage::{kernel_parts, keyed, single},
};
use crate::kernel_file::KernelFile;

/// An instance's control groups, the files open that tell what it uses.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// The names and the units of version 1 hold.
    version_1: bool,
    cpu: Option<KernelFile>,
    memory: Option<KernelFile>,
    kernel: Option<KernelFile>,
    stat: Option<KernelFile>,
    pids: Option<KernelFile>,
    room: Vec<u8>,
}

impl Group {
    /// Opens what is in these folders: one for version 2, one for each
    /// controller for version 1; on hybrid machines both kinds may stand in
    /// the list, and the controller's own file goes first.
    pub(crate) fn open(folders: &[PathBuf]) -> Self {
        let open = |name: &str| open_in(folders, name);
        let (time, charge) = (open("cpuacct.usage"), open("memory.usage_in_bytes"));
        Self {
            version_1: time.is_some() || charge.is_some(),
            cpu: time.or_else(|| open("cpu.stat")),
            memory: charge.or_else(|| open("memory.current")),
            kernel: open("memory.kmem.usage_in_bytes"),
            stat: open("memory.stat"),
            pids: open("pids.current"),
            room: Vec::new(),
        }
    }

    /// Processor time since it was made, nanoseconds.
    pub(crate) fn cpu_ns(&mut self) -> Option<u64> {
        let text = self.cpu.as_ref()?.read(&mut self.room)?;
        // Version 1 has one number, version 2 lines of microseconds.
        single(text).or_else(|| keyed(text, "usage_usec").map(|it| it.saturating_mul(1000)))
    }

    /// All memory that it is charged for, bytes.
    pub(crate) fn memory(&mut self) -> Option<u64> {
        number(self.memory.as_ref(), &mut self.room)
    }

    /// Tasks, that is threads, now.
    pub(crate) fn tasks(&mut self) -> Option<u64> {
        number(self.pids.as_ref(), &mut self.room)
    }

    /// All of it; `None` when nothing can be read, e.g. because the cgroup is
    /// gone.
    pub(crate) fn usage(&mut self) -> Option<CgroupUsage> {
        let kernel = number(self.kernel.as_ref(), &mut self.room);
        let usage = CgroupUsage {
            cpu_ns: self.cpu_ns(),
            memory: self.memory(),
            pids: self.tasks().and_then(|tasks| u32::try_from(tasks).ok()),
            ..CgroupUsage::default()
        };
        let version_1 = self.version_1;
        let stat = self.stat.as_ref().and_then(|file| file.read(&mut self.room));
        let stat = |key: &str| stat.and_then(|text| keyed(text, key));
        let usage = if version_1 {
            CgroupUsage {
                anonymous: stat("total_rss"),
                file: stat("total_cache"),
                inactive_file: stat("total_inactive_file"),
                kernel,
                ..usage
            }
        } else {
            CgroupUsage {
                anonymous: stat("anon"),
                file: stat("file"),
                inactive_file: stat("inactive_file"),
                kernel: stat("kernel").or_else(|| kernel_parts(&stat)),
                ..usage
            }
        };
        (usage != CgroupUsage::default()).then_some(usage)
    }
}

fn number(file: Option<&KernelFile>, room: &mut Vec<u8>) -> Option<u64> {
    single(file?.read(room)?)
}

/// A file of whichever folder has it. The one that bears the controller's name
/// is looked into first: of eight folders one has the file.
fn open_in(folders: &[PathBuf], name: &str) -> Option<KernelFile> {
    let controller = name.split('.').next().unwrap_or_default();
    let bears = |folder: &Path| folder.components().any(|part| part.as_os_str() == controller);
    let (first, others): (Vec<_>, Vec<_>) = folders.iter().partition(|folder| bears(folder));
    first.into_iter().chain(others).find_map(|folder| KernelFile::open(&folder.join(name)))
}
