//! Containers inside a machine with systemd and control groups of version 2,
//! by its root and by a person who has a manager of units.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::vm_full::FULL;
use crate::{Output, World};

/// An emulated boot takes a minute on two busy processors, and making the
/// machine's image two more.
const BOOT: Duration = Duration::from_mins(6);

const SOON: Duration = Duration::from_mins(2);

/// What the machine's Debian lacks for a person's manager, and for the program.
const PACKAGES: &str = "dbus dbus-user-session dbus-daemon dbus-bin dbus-session-bus-common \
                        dbus-system-bus-common libdbus-1-3 libexpat1 libapparmor1 uidmap \
                        libsubid4 libpam-systemd libsqlite3-0";

/// Adds the person, whose manager runs without anybody logged in.
const PREPARE: &str = "set -e
dpkg -i /srv/app/debs/*.deb >/dev/null 2>&1
systemctl daemon-reload
systemctl start dbus.socket systemd-logind
useradd -m -s /bin/sh person
systemctl start user@$(id -u person)
";

/// A container has its limits from its first moment on, they change while it
/// runs, and its group goes with it. Prints a line for each thing to be seen.
const LIMITS: &str = "set -e
cd
PATH=/srv/app/progs:$PATH
tandem load -q -i /srv/app/given/box.tar
tandem run -d --name small -m 64m --cpus 0.5 --pids-limit 40 --network none box:1 sleep 600
group=$(tandem inspect small | grep -o '/sys/fs/cgroup[^\"]*')
echo $group
cat $group/memory.max $group/cpu.max $group/pids.max
tandem update -m 32m small > /dev/null
cat $group/memory.max
tandem pause small
cat $group/cgroup.freeze
tandem unpause small
tandem exec small sh -c 'cat /proc/self/cgroup'
tandem run --rm -m 16m --network none box:1 tail /dev/zero && exit 1 || echo $?
tandem rm -f small
test ! -e $group
";

pub(super) fn limits(world: &World) -> Result<()> {
    let recipe = format!(
        "FROM localhost/tandem/python:3.11-bookworm
RUN apt-get update && mkdir /debs && cd /debs && apt-get download {PACKAGES}
"
    );
    world.write("app/Dockerfile", &recipe)?;
    world.write("box/Dockerfile", "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n")?;
    fs::copy("/bin/busybox", world.scratch().join("box/busybox"))?;
    world.write("given/prepare", PREPARE)?;
    world.write("given/limits", LIMITS)?;
    let given = world.scratch().join("given").display().to_string();
    world.tandem_within(BOOT, ["build", "-t", "systemd-app", "app"])?.ok()?;
    world.tandem(["build", "-t", "box:1", "box"])?.ok()?;
    world.tandem(["save", "-o", &format!("{given}/box.tar"), "box:1"])?.ok()?;
    let programs = world.program("").display().to_string();
    let shown = [format!("{programs}:/progs:ro"), format!("{given}:/given:ro")];
    let head = ["run", "-d", "--name", "systemd", "-m", "1g", "-v", &shown[0], "-v", &shown[1]];
    let tail = ["--entrypoint", "sleep", "systemd-app", "3600"];
    world.tandem_within(BOOT, [&head[..], &FULL, &tail].concat())?.ok()?;
    // Beside the app, in the machine's own system.
    let inside = |words: &[&str]| -> Result<Output> {
        let outside = ["exec", "systemd", "nsenter", "-t", "1", "-m", "--"];
        world.tandem_within(SOON, [&outside[..], words].concat())
    };
    let prepared = inside(&["sh", "/srv/app/given/prepare"])?;
    ensure!(prepared.code == Some(0), "{prepared}");

    let told = inside(&["sh", "/srv/app/given/limits"])?;
    let group = seen(&told)?;
    ensure!(group.starts_with("/sys/fs/cgroup/tandem-"), "{group}");

    let told = inside(&["su", "person", "-c", "sh /srv/app/given/limits"])?;
    let group = seen(&told)?;
    ensure!(group.contains("/user@1000.service/app.slice/tandem-"), "{group}");
    let scopes = "for i in $(seq 50); do ls $1 | grep -q 'tandem-.*scope' || exit 0; sleep 0.2; \
                  done; ls $1; exit 1";
    let slice = group.split_once("tandem-").context("no scope")?.0;
    inside(&["sh", "-c", scopes, "sh", slice])?.ok()?;

    world.tandem_within(SOON, ["rm", "-f", "systemd"])?.ok()?;
    world.tandem(["image", "rm", "systemd-app", "box:1"])?.ok()?;
    Ok(())
}

/// Whether the kernel had the limits that were asked for. Returns the group.
fn seen(told: &Output) -> Result<String> {
    ensure!(told.code == Some(0), "{told}");
    let lines: Vec<&str> = told.stdout.lines().collect();
    let at =
        lines.iter().position(|line| line.starts_with("/sys/fs/cgroup")).context("no group")?;
    let expected = ["67108864", "50000 100000", "40", "33554432"];
    ensure!(lines[at + 1..].starts_with(&expected), "{told}");
    let rest = ["small", "1", "small", "0::/", "137", "small"];
    ensure!(lines[at + 1 + expected.len()..] == rest, "{told}");
    ensure!(told.stderr.contains("ran out of memory at its limit of 16.0 MiB"), "{told}");
    Ok(lines[at].to_owned())
}
