//! An ordinary user of the machine, for the length of one case.
//!
//! Nobody is added to the machine: each command runs in a mount namespace in
//! which the files that name users are others (`unshare --mount`), and then as
//! that user (`setpriv`).

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{Output, World};

/// An id that no distribution gives to anybody.
const UID: u32 = 64_321;

/// A user with a home below the world's.
#[derive(Debug)]
pub struct Person<'w> {
    world: &'w World,
    folder: PathBuf,
    /// Control groups that the user's processes begin in.
    groups: Vec<PathBuf>,
    /// Made by root before the user's command, in its namespaces.
    before: String,
    /// Whether commands get a network namespace too.
    alone: bool,
}

impl<'w> Person<'w> {
    /// With a range of subordinate ids.
    pub fn with_range(world: &'w World) -> Result<Self> {
        Self::new(world, &format!("e2e:{}:65536\n", 1_700_000_000))
    }

    /// With the own id only.
    pub fn with_one_id(world: &'w World) -> Result<Self> {
        Self::new(world, "")
    }

    fn new(world: &'w World, ranges: &str) -> Result<Self> {
        // In a folder of the world's that is watched.
        fs::set_permissions(world.temporary(), fs::Permissions::from_mode(0o711))?;
        let folder = world.temporary().join("person");
        for dir in [folder.clone(), folder.join("tmp"), folder.join("home")] {
            fs::create_dir(&dir)?;
            chown(&dir, Some(UID), Some(UID))?;
        }
        let passwd = fs::read_to_string("/etc/passwd")?;
        let passwd = format!("{passwd}e2e:x:{UID}:{UID}::{}:/bin/sh\n", folder.display());
        for (name, text) in [("passwd", passwd.as_str()), ("subuid", ranges), ("subgid", ranges)] {
            fs::write(world.scratch().join(name), text)?;
        }
        let (before, alone) = (String::new(), false);
        Ok(Self { world, folder, groups: Vec::new(), before, alone })
    }

    /// The user's `$TANDEM_HOME`.
    pub fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// A folder that the user may write to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The user's number.
    pub fn uid(&self) -> u32 {
        UID
    }

    /// The images of the world's home, as the user's own.
    pub fn take_images(&self) -> Result<()> {
        self.take("images")
    }

    /// A folder of the world's home, as the user's own.
    pub(crate) fn take(&self, name: &str) -> Result<()> {
        let target = self.home().join(name);
        let copied =
            Command::new("cp").arg("-r").arg(self.world.home().join(name)).arg(&target).status()?;
        anyhow::ensure!(copied.success(), "{name} cannot be copied");
        let owned =
            Command::new("chown").arg("-R").arg(format!("{UID}:{UID}")).arg(&target).status()?;
        anyhow::ensure!(owned.success(), "{name} cannot be given away");
        Ok(())
    }

    /// Lets the user's processes begin in these control groups.
    pub fn begin_in(&mut self, groups: Vec<PathBuf>) {
        self.groups = groups;
    }

    /// Gives the user's commands a network of their own in which root first
    /// does what the script says.
    pub fn begin_with(&mut self, script: &str) {
        script.clone_into(&mut self.before);
        self.alone = true;
    }

    /// Takes that back.
    pub fn begin_on_the_machine(&mut self) {
        self.before.clear();
        self.alone = false;
    }

    /// A `tandem` command of the user's.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.program(self.world.program("tandem"));
        command.args(args);
        command
    }

    /// Any program, run by the user.
    pub(crate) fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let scratch = self.world.scratch().display();
        let enrol: Vec<String> = self
            .groups
            .iter()
            .map(|group| format!("echo 0 > {}/cgroup.procs", group.display()))
            .collect();
        let enrol = enrol.join("\n");
        // A device node of this machine may be for root alone.
        let script = format!(
            "set -e
             mount --bind {scratch}/passwd /etc/passwd
             for file in subuid subgid; do
               [ -e /etc/$file ] || continue
               mount --bind {scratch}/$file /etc/$file
             done
             mkdir -p /dev/net
             mount -t tmpfs -o mode=755 tmpfs /dev/net
             mknod -m 666 /dev/net/tun c 10 200
             {enrol}
             {before}
             {exec} setpriv --reuid={UID} --regid={UID} --clear-groups -- \"$@\" {after}",
            before = self.before,
            // Whatever was started before ends with the command.
            exec = if self.alone { "" } else { "exec" },
            after = if self.alone { "|| code=$?; kill $!; exit ${code:-0}" } else { "" },
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        if self.alone {
            command.arg("--net");
        }
        command.args(["--", "sh", "-c", &script, "sh"]).arg(program);
        self.world.prepare(&mut command);
        command
            .env("TANDEM_HOME", self.home())
            .env("HOME", &self.folder)
            .env("TMPDIR", self.folder.join("tmp"))
            .current_dir(&self.folder);
        command
    }

    /// Runs a command of the user's to its end.
    pub fn tandem<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Output> {
        self.world.finish(self.command(args))
    }

    /// The same with another time limit.
    pub fn tandem_within<S: AsRef<OsStr>>(
        &self,
        limit: Duration,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Output> {
        crate::process::run(self.command(args), limit)
    }

    /// The row of an instance in the user's `ps -a`.
    pub fn row(&self, name: &str) -> Result<serde_json::Value> {
        let rows = self.tandem(["ps", "-a", "--json"])?.ok()?.json()?;
        let found = rows.as_array().and_then(|rows| rows.iter().find(|row| row["name"] == name));
        found.cloned().with_context(|| format!("{name} is not listed: {rows}"))
    }

    /// Says what the user's home still holds; a case ends with that.
    pub fn end(self) -> Result<()> {
        for name in ["instances", "tmp"] {
            let entries = fs::read_dir(self.home().join(name))?.flatten();
            let left: Vec<_> = entries
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .filter(|entry| !entry.starts_with('.'))
                .collect();
            anyhow::ensure!(left.is_empty(), "{name} still holds {left:?}");
        }
        Ok(())
    }

    /// Writes a file that belongs to the user.
    pub fn write(&self, path: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(path);
        if let Some(dir) = path.parent().filter(|dir| !dir.exists()) {
            fs::create_dir_all(dir)?;
            chown(dir, Some(UID), Some(UID))?;
        }
        fs::write(&path, text)?;
        chown(&path, Some(UID), Some(UID))?;
        Ok(path)
    }
}

impl Drop for Person<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
