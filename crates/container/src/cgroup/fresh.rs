use std::{fs, io, path::Path};

use super::Layout;

/// What an app may do with devices, as libcontainer's groups of version 1 say
/// it (OCI runtime specification, config-linux.md, "Default Devices"): make
/// any node, and use those that do no harm.
const DEVICES: [&str; 12] = [
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:1 rwm",
    "c 5:2 rwm",
    "c 10:200 rwm",
    "c 136:* rwm",
];

/// Makes a group as libcontainer would, with nobody in it: devices are closed,
/// limits are not set yet. Must be root's.
pub(crate) fn make(layout: &Layout, group: &str) -> io::Result<()> {
    if let Layout::Unified(root) = layout {
        let available = fs::read_to_string(root.join("cgroup.controllers"))?;
        for controller in available.split_whitespace() {
            // What cannot be passed on is refused when a limit wants it.
            let _ = fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
    for folder in layout.folders(group) {
        match fs::create_dir(&folder) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => fill(&folder)?,
        }
    }
    Ok(())
}

/// Gives a folder of version 1 what it does not have by itself.
fn fill(folder: &Path) -> io::Result<()> {
    // Nobody can be in a set without processors and memory (cpusets.rst).
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let (own, above) = (folder.join(name), folder.with_file_name(name));
        if own.exists() && fs::read_to_string(&own)?.trim().is_empty() {
            fs::write(own, fs::read_to_string(above)?.trim())?;
        }
    }
    if folder.join("devices.deny").exists() {
        fs::write(folder.join("devices.deny"), "a")?;
        for device in DEVICES {
            fs::write(folder.join("devices.allow"), device)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_group_of_version_1_gets_the_processors_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let (sets, group) = (dir.path().join("cpuset"), dir.path().join("cpuset/tandem-1"));
        fs::create_dir_all(&group).unwrap();
        fs::write(sets.join("cpuset.cpus"), "0-1\n").unwrap();
        fs::write(sets.join("cpuset.mems"), "0\n").unwrap();
        fs::write(group.join("cpuset.cpus"), "\n").unwrap();
        fs::write(group.join("cpuset.mems"), "1\n").unwrap();
        let controllers = BTreeMap::from([("cpuset".to_owned(), sets)]);
        let layout = Layout::Split { controllers, hybrid: false, lent: false };
        make(&layout, "tandem-1").unwrap();
        assert_eq!(fs::read_to_string(group.join("cpuset.cpus")).unwrap(), "0-1");
        assert_eq!(fs::read_to_string(group.join("cpuset.mems")).unwrap(), "1\n");
    }
    #[test]
    fn devices_are_closed_before_those_that_do_no_harm_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("devices/tandem-1");
        fs::create_dir_all(&group).unwrap();
        fs::write(group.join("devices.deny"), "").unwrap();
        let mount = ("devices".to_owned(), dir.path().join("devices"));
        let controllers = BTreeMap::from([mount]);
        make(&Layout::Split { controllers, hybrid: false, lent: false }, "tandem-1").unwrap();
        assert_eq!(fs::read_to_string(group.join("devices.deny")).unwrap(), "a");
        // A plain file keeps the last line.
        assert_eq!(fs::read_to_string(group.join("devices.allow")).unwrap(), "c 136:* rwm");
        let disks = DEVICES.iter().filter(|it| it.starts_with('b') && !it.ends_with(" m"));
        assert_eq!(disks.count(), 0);
    }
}
