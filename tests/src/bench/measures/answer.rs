//! From the command to the last byte of the first HTTP 200, seen by one
//! prober.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    rc::Rc,
    time::Duration,
};

use anyhow::{Result, bail};
use tandem_probe::{FirstResponse, ReadyOptions, now, wait_for_first_response};
use tokio::sync::oneshot;

use crate::bench::{
    claim::{Bound, Claim},
    field::Field,
    ground::IMAGE,
    measure::{Contender, Measure, Prepare, Reading, Unit},
    peers::{DOCKER, Engine, PODMAN, QEMU, Qemu, Runtime},
    stage::{Stage, last_words},
};

pub(super) const MEASURE: Measure = Measure {
    name: "answer",
    title: "hello-flask from the command to its first answer",
    unit: Unit::Time,
    claims: &[
        Claim::Ratio { above: DOCKER, below: "container", bound: Bound::AtLeast(2.5) },
        Claim::Ratio { above: PODMAN, below: "container", bound: Bound::AtLeast(1.5) },
        Claim::Ratio { above: "container", below: "process", bound: Bound::AtMost(1.15) },
        Claim::Ratio { above: "vm", below: QEMU, bound: Bound::AtMost(1.6) },
        Claim::Ratio { above: "vm-full", below: "vm", bound: Bound::AtLeast(3.0) },
    ],
    notes: &[
        "The same image and one prober for all. runc and crun have the host's network and an \
         unpacked root: a floor. All machines run under emulation (TCG); vm and qemu with the \
         same kernel, disk and size, vm-full with Debian's and an operating system around the app.",
    ],
    contenders: &[
        ("container", ENGINE),
        ("process", ENGINE),
        (DOCKER, ENGINE),
        (PODMAN, ENGINE),
        ("runc", |name, field| Ok(launched(name, Runtime::prepare(&field.ground, name)?))),
        ("crun", |name, field| Ok(launched(name, Runtime::prepare(&field.ground, name)?))),
        ("vm", ENGINE),
        ("vm-full", SYSTEM),
        (QEMU, |name, field| {
            Ok(launched(name, Qemu::prepare(&field.ground, field.same()?, name)?))
        }),
    ],
};

const ENGINE: Prepare = |name, field: &Field| Ok(launched(name, ByCommand(field.engine(name)?)));

/// The machine's operating system is built before anything is timed.
const SYSTEM: Prepare = |name, field: &Field| {
    let engine = field.engine(name)?;
    let create = [&["create"], engine.lane(), &["--name", CONTAINER, IMAGE]].concat();
    engine.call(&create)?;
    engine.call(&["rm", CONTAINER])?;
    Ok(launched(name, ByCommand(engine)))
};

/// What hello-flask answers; anything else is not the same app.
const BODY: &[u8] = b"Hello flask, it's me Bill!";

/// Somebody who can launch the image. Preparing it is its constructor.
pub(crate) trait Launcher {
    /// Whether a launch takes seconds.
    fn is_slow(&self) -> bool {
        false
    }

    /// Whether its command ends once the app was started. Nobody asks before:
    /// a connection to a network that is only being made can cost Docker the
    /// second in which the kernel repeats its question for the address.
    fn is_detached(&self) -> bool {
        false
    }

    /// What a person would type, and where the app will answer. The clock
    /// starts when this command is started.
    fn launch(&mut self) -> Result<(Command, SocketAddr)>;

    /// Takes away what the last launch made. `command` is what was started;
    /// it may have ended long ago.
    fn stop(&mut self, command: &mut Child) -> Result<()>;
}

/// `run -d -p …` of an engine.
struct ByCommand(Rc<dyn Engine>);

const CONTAINER: &str = "bench-answer";

impl Launcher for ByCommand {
    fn is_slow(&self) -> bool {
        self.0.is_machine()
    }

    fn is_detached(&self) -> bool {
        true
    }

    fn launch(&mut self) -> Result<(Command, SocketAddr)> {
        let (publish, address) = self.0.publish()?;
        let words = ["-d", "--name", CONTAINER, "-p", &publish, IMAGE];
        Ok((self.0.run_command(&words), address))
    }

    fn stop(&mut self, _: &mut Child) -> Result<()> {
        self.0.call(&["rm", "-f", CONTAINER]).map(drop)
    }
}

fn launched(name: &'static str, launcher: impl Launcher + 'static) -> Box<dyn Contender> {
    Box::new(FirstAnswer { name, launcher })
}

struct FirstAnswer<T> {
    name: &'static str,
    launcher: T,
}

/// How the wait for an answer ended.
enum Ending {
    Answered(FirstResponse),
    Failed(String),
}

impl<T: Launcher> Contender for FirstAnswer<T> {
    fn is_slow(&self) -> bool {
        self.launcher.is_slow()
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let (mut command, address) = self.launcher.launch()?;
        let mut errors = tempfile::tempfile()?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors.try_clone()?);
        let options = ReadyOptions { limit: Duration::from_mins(3), ..ReadyOptions::default() };
        let begin = now();
        let mut child = command.spawn()?;
        let detached = self.launcher.is_detached();
        let (started, start) = oneshot::channel();
        let ask = async {
            if detached {
                // The sender goes only when the command failed.
                let _ = start.await;
            }
            wait_for_first_response(address, "/", options).await
        };
        let ending = stage.runtime.block_on(async {
            tokio::select! {
                first = ask => match first {
                    Ok(first) => Ending::Answered(first),
                    Err(error) => Ending::Failed(error.to_string()),
                },
                () = failure(&mut child, started) => Ending::Failed("the command failed".to_owned()),
                () = stage.interruption() => Ending::Failed("interrupted".to_owned()),
            }
        });
        let stopped = self.launcher.stop(&mut child);
        reap(&mut child);
        let first = match ending {
            Ending::Answered(first) => first,
            Ending::Failed(why) => bail!("{why}: {}", last_words(&mut errors)),
        };
        stopped?;
        if first.body != BODY {
            bail!("it answered {:?}", String::from_utf8_lossy(&first.body));
        }
        Ok(vec![(self.name, first.at.since(begin) as f64)])
    }
}

/// Resolves when the command has ended with a failure; tells of its success.
async fn failure(child: &mut Child, started: oneshot::Sender<()>) {
    let mut started = Some(started);
    loop {
        tokio::time::sleep(Duration::from_millis(1)).await;
        match child.try_wait() {
            Ok(Some(status)) if !status.success() => return,
            Ok(Some(_)) => {
                // Whoever asks may have its answer already.
                started.take().map(|it| it.send(()));
                return std::future::pending().await;
            }
            _ => {}
        }
    }
}

/// A command that is still there after its instance was stopped is ended.
fn reap(child: &mut Child) {
    let gone = crate::poll::until("the end", Duration::from_secs(5), || child.try_wait().ok()?);
    if gone.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
}
