//! A QEMU that was started by hand, with its monitor (QMP over a unix socket,
//! QEMU's `docs/interop/qmp-spec.rst`) and a port at which the
//! guest may tell how far it is.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tandem_model::HostInstant;
use tandem_probe::now;

/// How long QEMU may take for one command, and a guest for its boot.
const LIMIT: Duration = Duration::from_mins(3);

/// The character device at which a guest tells how far it is.
pub(super) const MARKS: &str = "chardev:d";

/// A machine that ends with the value.
pub(crate) struct Hand {
    child: Child,
    monitor: BufReader<UnixStream>,
    marks: UnixStream,
    /// When the process was started.
    pub(crate) started: HostInstant,
}

impl Hand {
    /// Starts the command with a monitor and with [`MARKS`]; the sockets are
    /// made in the folder. The machine stands still.
    pub(crate) fn start(mut command: Command, folder: &Path) -> Result<Self> {
        let place = |name: &str| -> Result<(UnixListener, PathBuf)> {
            let path = folder.join(name);
            let _ = std::fs::remove_file(&path);
            Ok((UnixListener::bind(&path)?, path))
        };
        let (monitors, monitor) = place("monitor")?;
        let (markss, marks) = place("marks")?;
        for (id, path) in [("m", monitor), ("d", marks)] {
            let text = format!("socket,id={id},path={}", path.display());
            command.args(["-chardev", &text]);
        }
        command
            .args(["-S", "-mon", "chardev=m,mode=control"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let started = now();
        let mut child = command.spawn().context("cannot start QEMU")?;
        let sockets =
            accept(&mut child, &monitors).and_then(|m| Ok((m, accept(&mut child, &markss)?)));
        let (monitor, marks) = match sockets {
            Ok(sockets) => sockets,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        let mut own = Self { child, monitor: BufReader::new(monitor), marks, started };
        own.read()?;
        own.execute("qmp_capabilities", json!({}))?;
        Ok(own)
    }

    /// Lets it run; when that was.
    pub(crate) fn go(&mut self) -> Result<HostInstant> {
        self.execute("cont", json!({}))?;
        Ok(now())
    }

    /// Carries out a command of the monitor for people; an error is what it
    /// says.
    pub(crate) fn say(&mut self, line: &str) -> Result<()> {
        let said = self.execute("human-monitor-command", json!({"command-line": line}))?;
        match said.as_str().map(str::trim) {
            Some("") => Ok(()),
            said => bail!("`{line}`: {}", said.unwrap_or("an odd answer")),
        }
    }

    /// Waits for the guest's first byte at [`MARKS`].
    pub(crate) fn mark(&mut self) -> Result<HostInstant> {
        let mut byte = [0];
        self.marks.read_exact(&mut byte).context("the guest did not get to user space")?;
        Ok(now())
    }

    fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let line = json!({"execute": command, "arguments": arguments}).to_string() + "\n";
        self.monitor.get_mut().write_all(line.as_bytes())?;
        loop {
            let answer = self.read()?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses {command}: {}", error["desc"].as_str().unwrap_or_default());
            }
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
        }
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.monitor.read_line(&mut line).context("QEMU's monitor says nothing")?;
        serde_json::from_str(&line).context("QEMU's monitor is gone")
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// QEMU's end of a socket, unless QEMU ends before.
fn accept(child: &mut Child, listener: &UnixListener) -> Result<UnixStream> {
    listener.set_nonblocking(true)?;
    let begin = std::time::Instant::now();
    loop {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(LIMIT))?;
            return Ok(stream);
        }
        if let Some(status) = child.try_wait()? {
            bail!("QEMU ended at once with {status}");
        }
        if begin.elapsed() > LIMIT {
            bail!("QEMU does not come up");
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}
