use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Which generations of control groups a machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// Controllers in hierarchies of their own.
    V1,
    /// One hierarchy with all controllers.
    V2,
    /// Version 1 controllers beside a version 2 hierarchy.
    Hybrid,
}

impl Setup {
    /// The word for it in results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::Hybrid => "hybrid",
        }
    }
}

/// Where control groups are mounted, and where this process is in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CgroupLayout {
    /// Mount point of the version 2 hierarchy.
    pub v2: Option<PathBuf>,
    /// Mount point by version 1 controller, e.g. `memory`; several controllers
    /// may share one. Hierarchies that only have a name are not listed.
    pub v1: BTreeMap<String, PathBuf>,
    /// This process's path below each hierarchy: by controller, and under the
    /// empty name for version 2.
    pub own: BTreeMap<String, String>,
}

/// The generations of control groups here. A machine on which none is mounted
/// counts as version 1.
pub fn cgroup_setup() -> Setup {
    CgroupLayout::read().setup()
}

impl CgroupLayout {
    /// Reads `/proc/self/mountinfo` and `/proc/self/cgroup`.
    pub fn read() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self::parse(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
    }

    /// Which generations these are.
    pub fn setup(&self) -> Setup {
        match (&self.v2, self.v1.is_empty()) {
            (Some(_), true) => Setup::V2,
            (Some(_), false) => Setup::Hybrid,
            (None, _) => Setup::V1,
        }
    }

    /// The folder of this process's cgroup for a version 1 controller, or, for
    /// the empty name, in the version 2 hierarchy.
    pub fn own_folder(&self, controller: &str) -> Option<PathBuf> {
        let mount = if controller.is_empty() { self.v2.as_ref() } else { self.v1.get(controller) };
        let own = self.own.get(controller)?;
        Some(mount?.join(own.trim_start_matches('/')))
    }

    fn parse(mountinfo: &str, own: &str) -> Self {
        let mut layout = Self::default();
        for mount in mountinfo.lines().filter_map(Mount::parse) {
            // Several mounts of one hierarchy: the first is the system's.
            match mount.kind {
                "cgroup2" => layout.v2 = layout.v2.or(Some(mount.point)),
                "cgroup" => {
                    for controller in mount.options.split(',').filter(|word| is_controller(word)) {
                        let entry = layout.v1.entry(controller.to_owned());
                        entry.or_insert_with(|| mount.point.clone());
                    }
                }
                _ => {}
            }
        }
        for line in own.lines() {
            // `hierarchy-id:controller-list:path` (cgroups(7)).
            let mut fields = line.splitn(3, ':').skip(1);
            if let (Some(controllers), Some(path)) = (fields.next(), fields.next()) {
                for controller in controllers.split(',') {
                    layout.own.insert(controller.to_owned(), path.to_owned());
                }
            }
        }
        layout
    }
}

/// Version 1 mounts list their controllers among the file system's options.
fn is_controller(word: &str) -> bool {
    let option = ["rw", "ro", "xattr", "noprefix", "clone_children", "none", "favordynmods"];
    !word.is_empty() && !word.contains('=') && !option.contains(&word)
}

struct Mount<'a> {
    point: PathBuf,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    /// A line of mountinfo (proc_pid_mountinfo(5)): a variable number of
    /// optional fields ends with a lone dash.
    fn parse(line: &'a str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?;
        let mut after = after.split(' ');
        let kind = after.next()?;
        Some(Self { point: unescaped(point), kind, options: after.nth(1)? })
    }
}

/// Space, tab, line feed and backslash are written as three octal digits.
fn unescaped(field: &str) -> PathBuf {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let bytes = field.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 4).and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) if *byte == b'\\' => {
                plain.push(code);
                at += 4;
            }
            _ => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    Path::new(OsStr::from_bytes(&plain)).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn a_hybrid_machine_has_both() {
        let own = "9:name=systemd:/\n4:memory:/a:b\n1:cpu,cpuacct:/c\n0::/u\n";
        let layout = CgroupLayout::parse(HYBRID, own);
        assert_eq!(layout.setup(), Setup::Hybrid);
        assert_eq!(layout.v1.keys().collect::<Vec<_>>(), ["cpu", "cpuacct", "memory"]);
        let folder = |controller| layout.own_folder(controller).unwrap();
        assert_eq!(folder("memory"), Path::new("/sys/fs/cgroup/memory/a:b"));
        assert_eq!(folder("cpuacct"), Path::new("/sys/fs/cgroup/cpu,cpuacct/c"));
        assert_eq!(folder(""), Path::new("/sys/fs/cgroup/unified/u"));
        assert_eq!(layout.own_folder("io"), None);
    }

    #[test]
    fn a_named_hierarchy_alone_makes_no_version_1() {
        let unified = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n\
                       31 23 0:27 / /run/name\\040d rw - cgroup cgroup rw,name=elogind\n";
        assert_eq!(CgroupLayout::parse(unified, "").setup(), Setup::V2);
        let old = HYBRID.lines().take(3).collect::<Vec<_>>().join("\n");
        assert_eq!(CgroupLayout::parse(&old, "").setup(), Setup::V1);
        assert_eq!(unescaped("/run/name\\040d\\"), Path::new("/run/name d\\"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_fatal(text in "([0-9a-z/:, \\\\-]{0,40}( - cgroup2? x rw,[a-z=,]{0,9})?\n)*|\\PC*") {
            let _ = CgroupLayout::parse(&text, &text);
        }
    }
}
