//! Which mounts of an app come from outside of its file system.

use std::collections::BTreeSet;

use super::images::GivenMount;

/// A line of mountinfo (proc_pid_mountinfo(5)).
struct Mount {
    device: String,
    place: String,
    kind: String,
}

fn parse(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let fields: Vec<&str> = before.split(' ').collect();
    Some(Mount {
        device: (*fields.get(2)?).to_owned(),
        place: plain(fields.get(4)?),
        kind: after.split(' ').next()?.to_owned(),
    })
}

/// A path without the kernel's escapes of white space and backslashes.
fn plain(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (escape, byte)| text.replace(escape, byte))
}

/// File systems that CRIU makes again with what is in them. The root is an
/// overlay, and given as such.
const ITS_OWN: [&str; 5] = ["proc", "sysfs", "mqueue", "devpts", "tmpfs"];

/// The mounts in `app` that are to be given, where `host` is the mounts of the
/// machine: what is mounted there too is not the app's own.
pub(super) fn to_give(app: &str, host: &str) -> Vec<GivenMount> {
    let outside: BTreeSet<String> =
        host.lines().filter_map(parse).map(|mount| mount.device).collect();
    let mut given: Vec<GivenMount> = Vec::new();
    for mount in app.lines().filter_map(parse) {
        // Of one network namespace there is one sysfs, also the host's own.
        let apart = !outside.contains(&mount.device) || mount.place == "/sys";
        let own = ITS_OWN.contains(&mount.kind.as_str()) && apart;
        if mount.place == "/" || own || given.iter().any(|it| it.place == mount.place) {
            continue;
        }
        let cgroup = matches!(mount.kind.as_str(), "cgroup" | "cgroup2");
        given.push(GivenMount { key: format!("m{}", given.len()), place: mount.place, cgroup });
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_has_mounted_too_is_given_once_a_place() {
        let app = "\
115 77 0:41 / / rw - overlay tandem-a rw
116 115 254:0 /volumes/v/data /a\\040b rw,nodev - ext4 /dev/vda rw
118 115 0:46 / /dev rw,nosuid - tmpfs tmpfs rw
119 118 0:47 / /dev/pts rw - devpts devpts rw
120 115 0:20 / /sys ro - sysfs sysfs rw
124 123 0:35 /g /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids
125 123 0:9 /x /shared rw - tmpfs tmpfs rw
96 95 0:35 /g /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids
105 117 0:46 /null /proc/keys rw - tmpfs tmpfs rw
";
        let host = "1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:9 / /tmp rw - tmpfs tmpfs rw\n3 1 0:20 / /sys rw - sysfs sysfs rw\n";
        let given = to_give(app, host);
        let places: Vec<_> = given.iter().map(|it| (it.place.as_str(), it.cgroup)).collect();
        assert_eq!(places, [("/a b", false), ("/sys/fs/cgroup/pids", true), ("/shared", false)]);
        assert_eq!(given[2].key, "m2");
    }
}
