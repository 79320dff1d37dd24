//! What this machine can do for containers, each seen by a real attempt.

use std::{fs, io};

use nix::sched::{CloneFlags, unshare};
use tandem_home::Home;
use tandem_model::Capability;
use tandem_rootless::Standing;

use super::ENGINE;
use crate::{
    cgroup::{self, Layout},
    confine::forbids,
    network,
    rootfs::{Overlay, private_mounts},
};

/// Every capability of the container lane.
pub(super) fn capabilities(home: &Home) -> Vec<Capability> {
    let mut found = essentials(home);
    found.extend([seccomp(), bridge()]);
    if Standing::of_process().is_machine_root() {
        found.push(translation());
    } else {
        found.extend(tandem_rootless::capability());
        found.extend([outbound(home), low_ports()]);
    }
    found
}

/// Those without which no container runs.
pub(super) fn essentials(home: &Home) -> Vec<Capability> {
    vec![engine(), overlay(home), control_groups()]
}

fn engine() -> Capability {
    const ID: &str = "container_engine";
    let standing = Standing::of_process();
    if standing == Standing::Ordinary {
        let detail = tandem_rootless::why_not().unwrap_or(
            "containers of an ordinary user want a user namespace, which this program does not enter",
        );
        return Capability::missing(ID, detail, Some(tandem_rootless::mend(detail)));
    }
    let kinds = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
    let who = if standing.is_machine_root() { "as root" } else { "as an ordinary user" };
    match in_thread(move || Ok(unshare(kinds)?)) {
        Ok(()) => Capability::ok(ID, format!("{ENGINE}, {who}, with namespaces of its own")),
        Err(e) => Capability::missing(
            ID,
            format!("namespaces cannot be made: {e}"),
            Some(
                "start the container that this runs in with `docker run --privileged`, or use Tandem outside of it",
            ),
        ),
    }
}

/// Runs an attempt in a thread whose namespaces end with it.
fn in_thread<T: Send + 'static>(
    attempt: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    std::thread::spawn(attempt)
        .join()
        .map_err(|_| io::Error::other("the probing thread panicked"))?
}

fn overlay(home: &Home) -> Capability {
    const ID: &str = "overlayfs";
    let root = home.root().display().to_string();
    match mount_overlay(home.clone()) {
        Ok(()) => Capability::ok(ID, format!("layers are mounted without copying, on {root}")),
        Err(e) => Capability::missing(
            ID,
            format!("an overlay cannot be mounted on {root}: {e}"),
            Some("`sudo modprobe overlay`, or set TANDEM_HOME to a folder on ext4, xfs or tmpfs"),
        ),
    }
}

fn mount_overlay(home: Home) -> io::Result<()> {
    let scratch = home.scratch("probe").map_err(io::Error::other)?;
    let dir = scratch.path().to_owned();
    in_thread(move || {
        private_mounts()?;
        let [lower, upper, work, merged] =
            ["lower", "upper", "work", "merged"].map(|name| dir.join(name));
        for dir in [&lower, &upper, &work, &merged] {
            fs::create_dir(dir)?;
        }
        fs::write(lower.join("file"), "below")?;
        let lower = [lower];
        let overlay = Overlay {
            lower: &lower,
            upper: &upper,
            work: &work,
            source: "tandem-probe",
            no_devices: true,
            volatile: false,
        };
        overlay.mount(&merged)?;
        fs::write(merged.join("file"), "above")?;
        let kept = fs::read_to_string(lower[0].join("file"))? == "below";
        let changed = fs::read_to_string(upper.join("file"))? == "above";
        if kept && changed {
            Ok(())
        } else {
            Err(io::Error::other("it does not keep layers apart"))
        }
    })
}

fn control_groups() -> Capability {
    const ID: &str = "cgroup";
    const FIX: &str = "`sudo mount -o remount,rw /sys/fs/cgroup`, where the machine lets you";
    let layout = match Layout::detect() {
        Ok(layout) => layout,
        Err(e) => return Capability::missing(ID, e.to_string(), Some(FIX)),
    };
    if layout == Layout::Nothing {
        let detail = format!("{}: containers run without limits", layout.describe());
        return Capability::limited(ID, detail, Some(cgroup::HOW_TO_DELEGATE));
    }
    if let Err(e) = make_group(&layout) {
        let detail = format!("{}, but no group can be made: {e}", layout.describe());
        return Capability::missing(ID, detail, Some(FIX));
    }
    let lacking: Vec<_> = ["memory", "cpu", "pids"]
        .into_iter()
        .filter(|controller| layout.folder(controller, "").is_none())
        .collect();
    if lacking.is_empty() {
        return Capability::ok(ID, layout.describe());
    }
    let detail = format!("{}; no limits on {}", layout.describe(), lacking.join(", "));
    let fix = if Standing::of_process().is_machine_root() {
        "`echo +memory +cpu +pids | sudo tee /sys/fs/cgroup/cgroup.subtree_control`, or cgroup_enable=memory on the kernel's command line"
    } else {
        cgroup::HOW_TO_DELEGATE
    };
    Capability::limited(ID, detail, Some(fix))
}

fn make_group(layout: &Layout) -> io::Result<()> {
    let folders = layout.folders(&format!("tandem-probe-{}", std::process::id()));
    let made: io::Result<()> = folders.iter().try_for_each(|folder| match fs::create_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    });
    let removed = cgroup::remove(&folders);
    made.and(removed.map(drop))
}

fn seccomp() -> Capability {
    const ID: &str = "seccomp";
    const FIX: &str =
        "`sudo apt-get install linux-image-amd64` and a restart bring a kernel that can";
    match forbids() {
        Ok(true) => Capability::ok(ID, "Docker's default system call filter is in force"),
        Ok(false) => {
            Capability::missing(ID, "the filter was installed and stops nothing", Some(FIX))
        }
        Err(e) => {
            Capability::missing(ID, format!("the filter cannot be installed: {e}"), Some(FIX))
        }
    }
}

fn bridge() -> Capability {
    const ID: &str = "network_bridge";
    match network::probe_bridge() {
        Ok(()) => Capability::ok(ID, format!("each container has a link to {}", network::BRIDGE)),
        Err(e) => Capability::missing(
            ID,
            format!("bridge and links cannot be made: {e}"),
            Some("sudo modprobe -a bridge veth"),
        ),
    }
}

fn translation() -> Capability {
    const ID: &str = "network_nat";
    match network::probe_nat() {
        Ok(found) if found.forwards => Capability::ok(ID, "containers reach other networks"),
        Ok(_) => Capability::ok(
            ID,
            "containers reach other networks; forwarding is off and is switched on while any runs",
        ),
        Err(e) => Capability::limited(
            ID,
            format!("containers run, but reach only this machine: {e}"),
            Some("sudo apt-get install nftables"),
        ),
    }
}

/// The way out of an ordinary user's network.
fn outbound(home: &Home) -> Capability {
    const ID: &str = "network_outbound";
    if let Err(e) = network::probe_nat() {
        let detail = format!("containers run, but reach only each other: {e}");
        return Capability::limited(ID, detail, Some("sudo apt-get install nftables"));
    }
    match network::probe_outbound(home) {
        Ok(detail) => Capability::ok(ID, detail),
        Err(why) => Capability::limited(
            ID,
            format!("containers run, but reach only each other: {why}"),
            Some(
                "`sudo apt-get install passt`, and `sudo modprobe tun` where /dev/net/tun is missing",
            ),
        ),
    }
}

/// From which port on an ordinary user may publish (ip-sysctl.rst).
fn low_ports() -> Capability {
    const ID: &str = "published_ports";
    let start = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let start: u32 = start.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1024);
    if start == 0 {
        return Capability::ok(ID, "every port can be published");
    }
    Capability::limited(
        ID,
        format!("ports from {start} on can be published"),
        Some("sudo sysctl net.ipv4.ip_unprivileged_port_start=80"),
    )
}
