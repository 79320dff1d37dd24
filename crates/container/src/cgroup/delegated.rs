//! Control groups of an ordinary user: those that somebody gave away.
//!
//! A group can be used when the person may write to it. In version 2 that is
//! what systemd does for a unit with `Delegate=yes`; in version 1 somebody has
//! to `chown` the folder of each controller. Where nothing was given away an
//! app runs without limits, and a limit is refused.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};
use tandem_probe::CgroupLayout;

use super::{Layout, layout::ROOT};

/// Version 1 controllers that are of use without privilege. Devices can be
/// filtered by root only.
const OF_USE: [&str; 5] = ["cpu", "cpuacct", "freezer", "memory", "pids"];

/// Where processes go that are in the way: in version 2 a group with processes
/// of its own cannot limit others (cgroup-v2.rst, "No Internal Process
/// Constraint").
const REST: &str = "tandem-rest";

/// Why there is nothing, with what mends it.
const NOTHING: &str = "no control group was delegated to you";

/// What mends it.
pub(crate) const HOW_TO_DELEGATE: &str =
    "leave the limit out, or run `systemd-run --user --scope -p Delegate=yes tandem …`";

/// What was given to this process's user.
pub(super) fn detect(mounts: &CgroupLayout) -> Layout {
    let machine = Layout::from_mounts(mounts.clone());
    let found = match machine {
        Some(Layout::Unified(_)) => {
            mounts.own_folder("").map(above_rest).filter(|dir| may_use(dir)).map(Layout::Unified)
        }
        Some(Layout::Split { controllers, hybrid, .. }) => {
            let own = |name: &String| mounts.own_folder(name).filter(|dir| may_use(dir));
            let controllers: BTreeMap<_, _> = controllers
                .into_keys()
                .filter(|name| OF_USE.contains(&name.as_str()))
                .filter_map(|name| own(&name).map(|dir| (name, dir)))
                .collect();
            let lent = true;
            (!controllers.is_empty()).then_some(Layout::Split { controllers, hybrid, lent })
        }
        Some(Layout::Nothing) | None => None,
    };
    found.unwrap_or(Layout::Nothing)
}

/// Says what there is not.
pub(super) fn describe() -> String {
    NOTHING.to_owned()
}

fn above_rest(own: PathBuf) -> PathBuf {
    match own.parent() {
        Some(parent) if own.file_name().is_some_and(|name| name == REST) => parent.to_owned(),
        _ => own,
    }
}

/// Groups can be made in it, and processes moved.
fn may_use(dir: &Path) -> bool {
    let may = |path: &Path| access(path, Access::WRITE_OK).is_ok();
    may(dir) && may(&dir.join("cgroup.procs"))
}

/// Makes room for limited groups in a delegated one of version 2: moves its
/// own processes to a group below it and passes the controllers on. What
/// cannot be passed on is refused when a limit wants it.
pub(crate) fn make_room(layout: &Layout) -> io::Result<()> {
    let Layout::Unified(root) = layout else { return Ok(()) };
    if root == Path::new(ROOT) {
        return Ok(());
    }
    let rest = root.join(REST);
    match fs::create_dir(&rest) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    // Whoever is forked meanwhile is moved by the next round.
    for _ in 0..10 {
        let processes = fs::read_to_string(root.join("cgroup.procs"))?;
        if processes.trim().is_empty() {
            break;
        }
        for process in processes.lines() {
            // It may have ended.
            let _ = fs::write(rest.join("cgroup.procs"), process);
        }
    }
    let available = fs::read_to_string(root.join("cgroup.controllers"))?;
    for controller in available.split_whitespace() {
        let _ = fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"));
    }
    Ok(())
}

/// The calling process as a guest of a group, so that what it forks belongs
/// there. Only the person's own processes may be moved, and an app may be
/// somebody else by the time that it could be. It goes back when dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    back: Vec<PathBuf>,
}

impl Guest {
    /// Makes the group and enters it, in each hierarchy.
    pub(crate) fn enter(folders: &[PathBuf]) -> io::Result<Self> {
        let mut guest = Self { back: Vec::new() };
        for folder in folders {
            match fs::create_dir(folder) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
            fs::write(folder.join("cgroup.procs"), "0")?;
            guest.back.extend(folder.parent().map(Path::to_owned));
        }
        Ok(guest)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        for folder in &self.back {
            // Where it came from, so it may.
            let _ = fs::write(folder.join("cgroup.procs"), "0");
        }
    }
}
