use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{Output, Start, leaks, process, shared_home};

/// How long a command may take unless a case says otherwise.
const LIMIT: Duration = Duration::from_mins(3);

/// How long the machine may take to be clean after a case.
const SETTLE: Duration = Duration::from_secs(30);

/// The folder with the programs under test: `TANDEM_PROGRAMS`, or the one
/// above this test's own (`target/debug/deps`).
pub(crate) fn programs() -> PathBuf {
    if let Some(folder) = std::env::var_os("TANDEM_PROGRAMS") {
        return folder.into();
    }
    let own = std::env::current_exe().unwrap_or_default();
    own.ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf()
}

/// Where a case lives: a home, a scratch folder, and a watch over the machine.
#[derive(Debug)]
pub struct World {
    home: PathBuf,
    own_home: Option<TempDir>,
    scratch: TempDir,
    temporary: TempDir,
    /// Another place of the programs than the built ones'.
    programs: OnceLock<PathBuf>,
    before: leaks::Snapshot,
    instances_before: BTreeSet<String>,
}

impl World {
    pub(crate) fn new(start: Start) -> Result<Self> {
        let folder = |name: &str| tempfile::Builder::new().prefix(name).tempdir();
        let (home, own_home) = match start {
            Start::Built => (shared_home::open()?, None),
            Start::Empty => {
                let home = folder("tandem-e2e-home-")?;
                (home.path().to_path_buf(), Some(home))
            }
        };
        let (scratch, temporary) = (folder("tandem-e2e-work-")?, folder("tandem-e2e-tmp-")?);
        let before = leaks::Snapshot::take(&[&home, temporary.path()]);
        let instances_before = names_in(&home.join("instances"));
        let programs = OnceLock::new();
        Ok(Self { home, own_home, scratch, temporary, programs, before, instances_before })
    }

    /// A world with this home, for who looks after it himself.
    pub(crate) fn around(home: &Path) -> Result<Self> {
        let folder = |name: &str| tempfile::Builder::new().prefix(name).tempdir();
        Ok(Self {
            home: home.to_owned(),
            own_home: None,
            scratch: folder("tandem-bench-work-")?,
            temporary: folder("tandem-bench-tmp-")?,
            programs: OnceLock::new(),
            before: leaks::Snapshot::default(),
            instances_before: BTreeSet::new(),
        })
    }

    /// `$TANDEM_HOME` of this case.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A folder for the case's own files, removed with it.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// A folder that is watched and must be empty at the end.
    pub(crate) fn temporary(&self) -> &Path {
        self.temporary.path()
    }

    /// The path of a program under test.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.get_or_init(programs).join(name)
    }

    /// From the beginning of a case on, tests the programs of another folder.
    pub(crate) fn test_programs_in(&self, folder: PathBuf) -> Result<()> {
        self.programs.set(folder).map_err(|_| anyhow!("programs have run in this world before"))
    }

    /// A `tandem` command in this world, not started yet.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(self.program("tandem"));
        command.args(args);
        self.prepare(&mut command);
        command
    }

    /// Gives any command this world's surroundings.
    pub fn prepare(&self, command: &mut Command) {
        command
            .env("TANDEM_HOME", &self.home)
            .env("TMPDIR", self.temporary.path())
            .env("NO_COLOR", "1")
            .current_dir(self.scratch.path())
            .stdin(Stdio::null());
    }

    /// Runs `tandem` and waits for it; an error only when it cannot be
    /// started, hangs, or leaves somebody holding its output.
    pub fn tandem<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Output> {
        self.tandem_within(LIMIT, args)
    }

    /// The same with another time limit.
    pub fn tandem_within<S: AsRef<OsStr>>(
        &self,
        limit: Duration,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Output> {
        process::run(self.command(args), limit)
    }

    /// Runs a prepared command to its end.
    pub fn finish(&self, command: Command) -> Result<Output> {
        process::run(command, LIMIT)
    }

    /// Runs any program in this world.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(program);
        command.args(args);
        self.prepare(&mut command);
        process::run(command, LIMIT)
    }

    /// Starts `tandem` and goes on; it is killed at the latest with the value.
    pub fn background<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Background> {
        self.start(self.command(args))
    }

    /// Starts any program in the same way.
    pub fn start(&self, mut command: Command) -> Result<Background> {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Background { child })
    }

    /// A port of loopback that nobody listens on now.
    pub fn free_port(&self) -> Result<u16> {
        Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
    }

    /// Writes a file into the scratch folder, with its parents.
    pub fn write(&self, path: &str, text: &str) -> Result<PathBuf> {
        let path = self.scratch.path().join(path);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::write(&path, text)?;
        Ok(path)
    }

    /// What the case has left behind so far, once the machine had time to
    /// settle; empty is right.
    pub fn left_behind(&self) -> Vec<String> {
        let begin = Instant::now();
        loop {
            let left = self.differences();
            if left.is_empty() || begin.elapsed() > SETTLE {
                return left;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Every process that belongs to the home: commands, helpers, supervisors
    /// and apps.
    pub fn processes(&self) -> Vec<u32> {
        leaks::processes_of(&self.home)
    }

    /// What is here now and was not before the case, without waiting.
    pub fn differences(&self) -> Vec<String> {
        let now = leaks::Snapshot::take(&[&self.home, self.temporary.path()]);
        let mut left = now.since(&self.before);
        let extra = |folder: &Path, before: &BTreeSet<String>| -> Vec<String> {
            let names = names_in(folder);
            names.difference(before).map(|n| folder.join(n).display().to_string()).collect()
        };
        left.extend(extra(&self.home.join("instances"), &self.instances_before));
        left.extend(extra(&self.home.join("tmp"), &BTreeSet::new()));
        left.extend(extra(self.temporary.path(), &BTreeSet::new()));
        left
    }

    /// Ends the world. A case must remove what it made; what is left fails a
    /// case that passed, and is then removed for the sake of the next one.
    pub(crate) fn end(self, result: Result<()>) -> Result<()> {
        let left = self.left_behind();
        if !left.is_empty() {
            self.remove_instances();
        }
        let verdict = match result {
            Ok(()) if left.is_empty() => Ok(()),
            Ok(()) => Err(anyhow!("left behind:\n  {}", left.join("\n  "))),
            Err(error) if left.is_empty() => Err(error),
            Err(error) => Err(error.context(format!("left behind: {}", left.join(", ")))),
        };
        if self.own_home.is_none() {
            self.forget_results();
        }
        drop(self.own_home);
        verdict
    }

    /// What one case measured is no other's: in a home that cases share, the
    /// next one begins without results, whatever ran before it.
    fn forget_results(&self) {
        for name in ["results.db", "results.db-wal", "results.db-shm"] {
            let _ = fs::remove_file(self.home.join(name));
        }
    }

    fn remove_instances(&self) {
        let names = names_in(&self.home.join("instances"));
        for name in names.difference(&self.instances_before) {
            let _ = self.tandem_within(Duration::from_mins(1), ["rm", "-f", name]);
        }
    }
}

/// A command that runs beside the case.
#[derive(Debug)]
pub struct Background {
    child: Child,
}

impl Background {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to it.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?)
    }

    /// Waits for its end and returns its code; `None` after a signal.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<i32>> {
        crate::poll::until("the end of the command", limit, || self.child.try_wait().transpose())?
            .map(|status| status.code())
            .map_err(Into::into)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Visible entries of a folder; none when it is not there.
fn names_in(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeSet::new() };
    entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect()
}
