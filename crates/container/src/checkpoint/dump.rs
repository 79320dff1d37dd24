//! Writing the memory of an app that is held still.

use std::{
    ffi::OsString,
    fs,
    net::Ipv4Addr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tandem_backend::BackendError;

use super::{
    images::{Checkpoint, GivenMount},
    mounts, program, sockets,
};
use crate::cgroup;

/// What is known of an app whose memory may be asked for.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// Its first process.
    pub(crate) pid: i32,
    /// Inodes of the pipes that are its standard streams.
    pub(crate) streams: [Option<u64>; 3],
    /// Its address, where it has a network of its own.
    pub(crate) address: Option<Ipv4Addr>,
    /// It has a network namespace of its own.
    pub(crate) namespace: bool,
    /// The name that it knows itself by.
    pub(crate) hostname: String,
    /// It has a terminal.
    pub(crate) terminal: bool,
}

/// How long further commands in a container may take to end: a health check
/// does soon.
const PATIENCE: Duration = Duration::from_secs(5);

fn refused(why: impl Into<String>) -> BackendError {
    BackendError::Unavailable {
        what: "a snapshot with memory".into(),
        why: why.into(),
        fix: "leave out --memory to keep the disk and the volumes".into(),
    }
}

impl Subject {
    /// Holds the app still, by its group in `folders`, and writes its memory
    /// into `into`. Returns for how long it has been held; when it fails the
    /// app goes on.
    pub(crate) async fn hold_and_dump(
        &self,
        folders: &[PathBuf],
        into: &Path,
    ) -> Result<Duration, BackendError> {
        if self.terminal {
            return Err(refused("the app has a terminal (-t), whose other side is not its own"));
        }
        let program = program::find().ok_or_else(|| refused("the program `criu` is gone"))?;
        self.refuse_without_power()?;
        let open = program::leaves_network_open(&program);
        let begin = self.hold_alone(folders).await?;
        let dumped = self.dump((&program, open), folders, into).await;
        if dumped.is_err() {
            cgroup::freeze(folders, false).await?;
        }
        dumped.map(|()| begin.elapsed())
    }

    /// Refuses what CRIU would fail over.
    fn refuse_without_power(&self) -> Result<(), BackendError> {
        let family = tandem_probe::tree(self.pid.unsigned_abs());
        let process = |pid: &u32| fs::metadata(format!("/proc/{pid}")).ok();
        let owners = family.iter().filter_map(process).map(|process| process.uid());
        if can_read_limits(&own_capabilities(), owners) {
            return Ok(());
        }
        Err(refused(
            "the app is not root's inside, and this machine's root lacks the capability \
             CAP_SYS_RESOURCE, without which CRIU cannot read its limits",
        ))
    }

    /// Holds the app still once nothing runs in its group but what descends
    /// from its first process: a command of somebody else's beside it would
    /// be lost. Returns the moment since which it is held.
    async fn hold_alone(&self, folders: &[PathBuf]) -> Result<Instant, BackendError> {
        let over = Instant::now() + PATIENCE;
        loop {
            let begin = Instant::now();
            cgroup::freeze(folders, true).await?;
            let family = tandem_probe::tree(self.pid.unsigned_abs());
            let strange = cgroup::members(folders).iter().any(|pid| !family.contains(pid));
            if !strange {
                return Ok(begin);
            }
            cgroup::freeze(folders, false).await?;
            if Instant::now() > over {
                return Err(refused(
                    "a further command (`tandem exec`) runs in it; wait until that has ended",
                ));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn dump(
        &self,
        (program, open): (&Path, bool),
        folders: &[PathBuf],
        into: &Path,
    ) -> Result<(), BackendError> {
        let proc = PathBuf::from(format!("/proc/{}", self.pid));
        let read =
            |path: &Path| fs::read_to_string(path).map_err(|e| BackendError::io("read", path, e));
        let app = read(&proc.join("mountinfo"))?;
        let checkpoint = Checkpoint {
            version: Checkpoint::VERSION,
            hostname: self.hostname.clone(),
            address: self.address,
            bound: self.address.is_some_and(|it| sockets::bound_to(self.pid, it)),
            namespace: self.namespace,
            streams: self.streams,
            mounts: mounts::to_give(&app, &read(Path::new("/proc/1/mountinfo"))?),
        };
        let namespace = proc.join("ns/net");
        let network = self.namespace.then(|| fs::metadata(&namespace)).transpose();
        let network = network.map_err(|e| BackendError::io("look at", namespace, e))?;
        let network = network.map(|it| it.ino());
        let freezer = cgroup::freezer(folders);
        let mut words = words(self.pid, freezer.as_deref(), network, &checkpoint.mounts);
        if open {
            words.extend(["--network-lock", "skip"].map(OsString::from));
        }
        let mut command =
            tokio::process::Command::from(program::command(program, &words, into, into));
        let child = command.spawn().map_err(|e| BackendError::io("start", program, e))?;
        program::ended(child, into)
            .await
            .map_err(|why| refused(format!("CRIU cannot take the app down ({why})")))?;
        let _ = fs::remove_file(into.join(program::LOG));
        checkpoint.write(into)
    }
}

/// The bit of `CAP_SYS_RESOURCE` (linux/capability.h).
const SYS_RESOURCE: u64 = 1 << 24;

/// Whether who has these capabilities, in hexadecimal, learns the limits of
/// processes of these users: prlimit(2) tells those of another user's only to
/// who has `CAP_SYS_RESOURCE`, which root of a machine in a machine may lack.
fn can_read_limits(capabilities: &str, mut owners: impl Iterator<Item = u32>) -> bool {
    let held = u64::from_str_radix(capabilities, 16).unwrap_or(u64::MAX);
    held & SYS_RESOURCE != 0 || owners.all(|owner| owner == 0)
}

/// What this process may do, as proc_pid_status(5) writes it.
fn own_capabilities() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let own = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    own.unwrap_or_default().trim().to_owned()
}

/// The name of the network namespace among what is given.
pub(super) const NETWORK: &str = "tandem-net";

/// What `criu` is told to dump. Connections are left out: those at the other
/// end go on with the app that runs, and could not with two.
fn words(
    pid: i32,
    freezer: Option<&Path>,
    network: Option<u64>,
    mounts: &[GivenMount],
) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["dump".into(), "--tree".into(), pid.to_string().into()];
    words.extend(
        ["--leave-running", "--manage-cgroups=ignore", "--tcp-close", "--skip-in-flight"]
            .map(OsString::from),
    );
    words.extend(["--file-locks", "--ghost-limit", "256M"].map(OsString::from));
    if let Some(freezer) = freezer {
        words.extend(["--freeze-cgroup".into(), freezer.into()]);
    }
    let mut external = |text: String| words.extend(["--external".into(), text.into()]);
    if let Some(inode) = network {
        external(format!("net[{inode}]:{NETWORK}"));
    }
    for mount in mounts {
        external(format!("mnt[{}]:{}", mount.place, mount.key));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_names_what_is_not_the_apps_own() {
        let mounts = [GivenMount { key: "m0".into(), place: "/a b".into(), cgroup: false }];
        let words = words(7, Some(Path::new("/sys/fs/cgroup/freezer/x")), Some(42), &mounts);
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(words[..3], ["dump", "--tree", "7"]);
        assert!(words.contains(&"--leave-running"));
        let pairs: Vec<_> = words.windows(2).collect();
        assert!(pairs.contains(&["--freeze-cgroup", "/sys/fs/cgroup/freezer/x"].as_slice()));
        assert!(pairs.contains(&["--external", "net[42]:tandem-net"].as_slice()));
        assert!(pairs.contains(&["--external", "mnt[/a b]:m0"].as_slice()));
    }

    #[test]
    fn another_users_app_needs_a_power_that_root_may_lack() {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        assert!(status.contains(&own_capabilities()) && own_capabilities().len() == 16);
        let lacking = "000001fffeffffff";
        assert!(can_read_limits(lacking, [0, 0].into_iter()));
        assert!(!can_read_limits(lacking, [0, 33].into_iter()));
        assert!(can_read_limits("000001ffffffffff", [0, 33].into_iter()));
    }

    #[tokio::test]
    async fn an_app_with_a_terminal_is_refused_before_it_is_touched() {
        let subject = Subject {
            pid: 1,
            streams: [None; 3],
            address: None,
            namespace: true,
            hostname: "web".into(),
            terminal: true,
        };
        let error = subject.hold_and_dump(&[], Path::new("/nowhere")).await.unwrap_err();
        assert!(error.to_string().contains("terminal"), "{error}");
    }
}
