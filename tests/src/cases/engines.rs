//! Docker and Podman as lanes: engines of the case's own, beside whatever the
//! machine has.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::archive::build_box;
use crate::{
    Case, Need, Output, Start, World, docker_peer::DockerPeer, podman_peer::PodmanPeer, poll,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "engines::docker_runs_our_image_and_keeps_what_is_not_ours",
        needs: &[
            Need::Root,
            Need::Program("busybox"),
            Need::Program("dockerd"),
            Need::Program("docker"),
        ],
        start: Start::Empty,
        run: docker,
    },
    Case {
        name: "engines::podman_runs_our_image",
        needs: &[
            Need::Root,
            Need::Program("busybox"),
            Need::Program("podman"),
            Need::Program("runc"),
        ],
        start: Start::Empty,
        run: podman,
    },
    Case {
        name: "engines::one_that_is_not_there_is_said",
        needs: &[Need::Root, Need::Program("busybox")],
        start: Start::Empty,
        run: missing,
    },
];

const LIMIT: Duration = Duration::from_mins(2);

/// `tandem` with an engine's address in its environment.
struct Lane<'a> {
    world: &'a World,
    backend: &'a str,
    variable: &'a str,
    address: String,
}

impl Lane<'_> {
    fn tandem(&self, words: &[&str]) -> Result<Output> {
        let mut command = self.world.command(words);
        command.env(self.variable, &self.address);
        self.world.finish(command)
    }

    fn run(&self, words: &[&str]) -> Result<Output> {
        self.tandem(&[&["run", "--backend", self.backend], words].concat())
    }

    fn row(&self, name: &str) -> Result<Value> {
        let rows = self.tandem(&["ps", "-a", "--json"])?.ok()?.json()?;
        let row = rows.as_array().and_then(|rows| rows.iter().find(|row| row["name"] == name));
        row.cloned().with_context(|| format!("{name} is not in {rows}"))
    }

    /// A whole life in the engine; `found` asks the engine's own client for a
    /// container by name.
    fn whole_life(&self, found: &dyn Fn(&str) -> Result<bool>) -> Result<()> {
        let seen = self.run(&["--rm", "box:1"])?.ok()?;
        ensure!(seen.line() == "hello from the box", "{seen}");
        self.run(&["--rm", "box:1", "sh", "-c", "echo out; echo err >&2; exit 7"])?.code_is(7)?;
        self.run(&["--rm", "--entrypoint", "/no/such", "box:1"])?.code_is(127)?;

        let words = ["-d", "--name", "web", "-m", "64m", "box:1", "sh", "-c"];
        let script = "trap 'echo stopped; exit 3' TERM; echo up > /mark; cat /mark; \
            while :; do sleep 1; done";
        self.run(&[&words[..], &[script]].concat())?.ok()?;
        let row = self.row("web")?;
        ensure!(row["backend"] == self.backend && row["state"] == "running", "{row}");
        let name = format!("tandem-{}", row["id"].as_str().context("an id")?);
        ensure!(found(&name)?, "the engine has no {name}");
        poll::until("its first line", LIMIT, || {
            let logs = self.tandem(&["logs", "web"]).ok()?;
            (logs.line() == "up").then_some(())
        })?;
        let usage = self.tandem(&["stats", "--json", "web"])?.ok()?;
        ensure!(usage.stdout.contains("web"), "{usage}");
        if self.backend == "docker" {
            // Podman learned it in version 5.
            self.tandem(&["update", "--memory", "96m", "web"])?.ok()?;
        }
        // A further command: its outputs, its end, its environment.
        let said = self.tandem(&[
            "exec",
            "-e",
            "WORD=so",
            "web",
            "/bin/busybox",
            "sh",
            "-c",
            "echo $WORD; /bin/busybox cat /mark; exit 5",
        ])?;
        let said = said.code_is(5)?;
        ensure!(said.stdout == "so\nup\n", "{said}");
        self.tandem(&["exec", "web", "/no/such"])?.code_is(127)?;
        let refused = self.tandem(&["exec", "-i", "web", "cat"])?.code_is(125)?;
        refused.is_one_sentence(&["leave -i and -t out"])?;
        // Its files are the engine's: nothing is kept that would be empty.
        for words in [
            &["snapshot", "create", "web", "s"][..],
            &["commit", "web", "copy:1"],
            &["diff", "web"],
            &["export", "web", "-o", "web.tandem"],
        ] {
            let seen = self.tandem(words)?.code_is(125)?;
            seen.is_one_sentence(&["is not possible with this backend"])?;
        }
        self.tandem(&["stop", "web"])?.ok()?;
        let row = self.row("web")?;
        ensure!(row["state"] == "exited" && row["exit_code"] == 3, "{row}");

        // Its files are there again, and a kill is an end.
        self.tandem(&["start", "web"])?.ok()?;
        self.tandem(&["kill", "web"])?.ok()?;
        ensure!(self.row("web")?["exit_code"] == 137, "{}", self.row("web")?);
        self.tandem(&["rm", "web"])?.ok()?;
        ensure!(!found(&name)?, "the engine has {name} still");
        Ok(())
    }
}

fn docker(world: &World) -> Result<()> {
    build_box(world)?;
    let mut peer = DockerPeer::without_network(&world.scratch().join("docker"))?;
    let address = peer.socket().to_owned();
    let lane = Lane { world, backend: "docker", variable: "DOCKER_HOST", address };
    let found = |name: &str| {
        let seen = peer.run(&["ps", "-a", "--format", "{{.Names}}"])?.ok()?;
        Ok(seen.stdout.lines().any(|line| line == name))
    };
    lane.whole_life(&found)?;

    let doctor = lane.tandem(&["doctor", "--json"])?.json()?;
    let rows = doctor.as_array().context("a list")?;
    let row = rows.iter().find(|row| row["id"] == "docker_engine").context("no docker_engine")?;
    ensure!(row["status"] == "ok", "{row}");

    // Somebody else's container has the name of one of ours.
    lane.tandem(&["create", "--backend", "docker", "--name", "other", "box:1"])?.ok()?;
    let row = lane.row("other")?;
    let name = format!("tandem-{}", row["id"].as_str().context("an id")?);
    let images = peer.run(&["images", "-q", "localhost/tandem/image"])?.ok()?;
    let words = ["create", "--name", &name, images.line(), "true"];
    peer.run(&words)?.ok()?;
    lane.tandem(&["start", "other"])?.code_is(125)?;
    lane.tandem(&["rm", "-f", "other"])?.ok()?;
    ensure!(found(&name)?, "somebody else's container is gone");
    peer.run(&["rm", "-f", &name])?.ok()?;
    peer.end()
}

fn podman(world: &World) -> Result<()> {
    build_box(world)?;
    let folder = world.scratch().join("podman");
    let peer = PodmanPeer::new(&folder)?;
    let service = Service::start(&folder)?;
    let address = format!("unix://{}", service.socket.display());
    let lane = Lane { world, backend: "podman", variable: "CONTAINER_HOST", address };
    lane.whole_life(&|name| {
        let seen = peer.run(&["ps", "-a", "--format", "{{.Names}}"])?.ok()?;
        Ok(seen.stdout.lines().any(|line| line == name))
    })
}

/// Podman's API over the storage of a peer.
struct Service {
    process: Child,
    socket: PathBuf,
}

impl Service {
    fn start(folder: &std::path::Path) -> Result<Self> {
        let settings = folder.join("containers.conf");
        let text = "[containers]\nnetns = \"none\"\n\
            default_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n";
        fs::write(&settings, text)?;
        let socket = folder.join("podman.sock");
        let log = fs::File::create(folder.join("service.log"))?;
        let process = PodmanPeer::command(folder)
            .env("CONTAINERS_CONF", &settings)
            .args(["system", "service", "--time=0", &format!("unix://{}", socket.display())])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start podman")?;
        let own = Self { process, socket };
        poll::until("podman's socket", LIMIT, || own.socket.exists().then_some(()))?;
        Ok(own)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn missing(world: &World) -> Result<()> {
    build_box(world)?;
    let address = format!("unix://{}", world.scratch().join("none.sock").display());
    for (backend, variable) in [("docker", "DOCKER_HOST"), ("podman", "CONTAINER_HOST")] {
        let lane = Lane { world, backend, variable, address: address.clone() };
        let seen = lane.run(&["--rm", "box:1"])?.code_is(125)?;
        seen.is_one_sentence(&["is not available", "none.sock", variable])?;
        let lane = Lane { address: "tcp://127.0.0.1:1".to_owned(), ..lane };
        lane.run(&["--rm", "box:1"])?.code_is(125)?.is_one_sentence(&[variable, "unix://"])?;
    }
    Ok(())
}
