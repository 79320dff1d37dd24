//! Docker and Podman as lanes: engines of the case's own, beside whatever the
//! machine has.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::archive::{build_box, build_tools};
use crate::{
    Case, Need, Output, Start, World,
    bench::Namespace,
    docker_peer::DockerPeer,
    ledger::{charge_adds_up, memory_adds_up},
    podman_peer::PodmanPeer,
    poll, validate_result,
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
        name: "engines::experiments_in_docker_keep_what_a_volume_has_and_add_up",
        needs: &[
            Need::Root,
            Need::Program("busybox"),
            Need::Program("dockerd"),
            Need::Program("docker"),
            Need::Program("iptables"),
            Need::Program("nsenter"),
        ],
        start: Start::Empty,
        run: docker_experiments,
    },
    Case {
        name: "engines::experiments_in_podman_keep_what_a_volume_has_and_add_up",
        needs: &[
            Need::Root,
            Need::Program("busybox"),
            Need::Program("podman"),
            Need::Program("runc"),
            Need::Program("iptables"),
            Need::Program("nsenter"),
        ],
        start: Start::Empty,
        run: podman_experiments,
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

    /// A volume with a name: the engine's own, which stays when containers go
    /// and goes with ours. `engine` runs the engine's own client.
    fn volume(&self, engine: &dyn Fn(&[&str]) -> Result<Output>) -> Result<()> {
        let mount = |place: &str| format!("kept:{place}");
        let sh = |place: &str, script: &str| {
            self.run(&["--rm", "-v", &mount(place), "box:1", "sh", "-c", script])
        };
        sh("/data", "echo so > /data/mark")?.ok()?;
        let seen = sh("/other", "/bin/busybox cat /other/mark")?.ok()?;
        ensure!(seen.line() == "so", "{seen}");
        // Filled from the image at its first use, and read-only when asked.
        let first = ["--rm", "-v", "filled:/srv:ro", "box:1", "sh", "-c"];
        let script = "/bin/busybox cat /srv/kept; echo x > /srv/new";
        let seen = self.run(&[&first[..], &[script]].concat())?.code_is(1)?;
        ensure!(seen.stdout == "kept\n", "{seen}");

        let name = |volume: &str| -> Result<String> {
            let all = engine(&["volume", "ls", "-q"])?.ok()?;
            let ending = format!("-{volume}");
            let found = all.stdout.lines().find(|line| line.ends_with(&ending));
            found.map(str::to_owned).with_context(|| format!("no {volume} in {all}"))
        };
        let (kept, filled) = (name("kept")?, name("filled")?);
        ensure!(kept.starts_with("tandem-"), "{kept}");
        // The files are the engine's, and no other lane's.
        let words = ["run", "--rm", "--backend", "container", "-v", "kept:/data", "box:1"];
        let refused = self.tandem(&words)?.code_is(125)?;
        refused.is_one_sentence(&["volume `kept`", self.backend, "use another volume"])?;
        for (mount, why) in
            [("/data", "no volume with a name"), ("/tmp:/data", "no volume with a name")]
        {
            let refused = self.run(&["--rm", "-v", mount, "box:1"])?.code_is(125)?;
            refused.is_one_sentence(&[why])?;
        }
        // One of that name which is not ours is neither used nor removed.
        self.tandem(&["volume", "rm", "filled"])?.ok()?;
        engine(&["volume", "create", &filled])?.ok()?;
        let refused = self.run(&["--rm", "-v", "filled:/srv", "box:1"])?.code_is(125)?;
        refused.is_one_sentence(&["not ours"])?;
        self.tandem(&["volume", "rm", "filled", "kept"])?.ok()?;
        let left = engine(&["volume", "ls", "-q"])?.ok()?;
        ensure!(left.stdout.lines().collect::<Vec<_>>() == [filled.as_str()], "{left}");
        engine(&["volume", "rm", &filled])?.ok().map(drop)
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
    lane.volume(&|words| peer.run(words))?;

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

/// An app that keeps so much memory that a ledger without the engine's own
/// process for it would not add up.
pub(super) fn build_pages(world: &World) -> Result<()> {
    build_tools(world)?;
    let recipe = "FROM box:1\nRUN cp /srv/kept /srv/index.html\nEXPOSE 8080\nENTRYPOINT []\n\
        CMD [\"/bin/busybox\", \"sh\", \"-c\", \"x=$(/bin/busybox head -c 12000000 /dev/zero | \
        /bin/busybox tr '\\\\0' a); /bin/busybox httpd -p 8080 -h /srv; \
        while :; do /bin/busybox sleep 60; done\"]\n";
    world.write("pages/Dockerfile", recipe)?;
    world.tandem(["build", "-t", "pages:1", "pages"])?.ok().map(drop)
}

/// An engine that publishes ports, in a network of its own, where experiments
/// run too.
struct Networked<'a> {
    world: &'a World,
    network: &'a Namespace,
    backend: &'a str,
    variable: &'a str,
    address: String,
}

impl Networked<'_> {
    fn measure(&self, id: &str, trials: &str) -> Result<Value> {
        let program = self.world.program("tandem");
        let mut command = self.network.command(&program.to_string_lossy());
        command.args(["experiment", "run", id, "--lanes", self.backend, "--subject", "pages:1"]);
        command.args(["--trials", trials, "--json", "out.json"]);
        self.world.prepare(&mut command);
        command.env(self.variable, &self.address);
        self.world.finish(command)?.ok()?;
        let text = fs::read_to_string(self.world.scratch().join("out.json"))?;
        let document: Value = serde_json::from_str(&text)?;
        validate_result(&document)?;
        Ok(document)
    }

    /// A stopped container keeps its files, a new one has none, a volume stays;
    /// and the ledgers add up. `engine` runs the engine's own client.
    fn experiments(&self, engine: &dyn Fn(&[&str]) -> Result<Output>) -> Result<()> {
        let document = self.measure("persistence", "1")?;
        let kept = &document["trials"][0]["metrics"];
        for (metric, yes) in [
            ("layer_restart", true),
            ("layer_anew", false),
            ("volume_restart", true),
            ("volume_anew", true),
        ] {
            ensure!(kept[format!("survives.{metric}")] == yes, "{metric}: {document}");
        }
        let document = self.measure("size", "3")?;
        memory_adds_up(&document, self.backend)?;
        let trials = document["trials"].as_array().context("no trials")?;
        charge_adds_up(&trials.last().context("no trial")?["metrics"])?;
        for words in [&["volume", "ls", "-q"][..], &["ps", "-a", "-q"]] {
            let left = engine(words)?.ok()?;
            ensure!(left.stdout.is_empty(), "the engine keeps {left}");
        }
        let volumes = self.world.tandem(["volume", "ls", "--json"])?.json()?;
        ensure!(volumes.as_array().is_some_and(Vec::is_empty), "{volumes}");
        Ok(())
    }
}

fn docker_experiments(world: &World) -> Result<()> {
    build_pages(world)?;
    let network = Namespace::make()?;
    let folder = world.scratch().join("docker");
    let mut peer = DockerPeer::start(&folder, network.command("dockerd"), &[])?;
    let address = peer.socket().to_owned();
    let lane =
        Networked { world, network: &network, backend: "docker", variable: "DOCKER_HOST", address };
    lane.experiments(&|words| peer.run(words))?;
    peer.end()
}

fn podman_experiments(world: &World) -> Result<()> {
    build_pages(world)?;
    let network = Namespace::make()?;
    let folder = world.scratch().join("podman");
    let peer = PodmanPeer::new(&folder)?;
    let own = network.command("podman");
    let service = Service::start(&folder, PodmanPeer::options(own, &folder), LIMITS)?;
    let address = format!("unix://{}", service.socket.display());
    let lane = Networked {
        world,
        network: &network,
        backend: "podman",
        variable: "CONTAINER_HOST",
        address,
    };
    lane.experiments(&|words| peer.run(words))
}

fn podman(world: &World) -> Result<()> {
    build_box(world)?;
    let folder = world.scratch().join("podman");
    let peer = PodmanPeer::new(&folder)?;
    let settings = format!("{LIMITS}netns = \"none\"\n");
    let service = Service::start(&folder, PodmanPeer::command(&folder), &settings)?;
    let address = format!("unix://{}", service.socket.display());
    let lane = Lane { world, backend: "podman", variable: "CONTAINER_HOST", address };
    lane.whole_life(&|name| {
        let seen = peer.run(&["ps", "-a", "--format", "{{.Names}}"])?.ok()?;
        Ok(seen.stdout.lines().any(|line| line == name))
    })?;
    lane.volume(&|words| peer.run(words))
}

/// Podman's own defaults are more than a test machine may give.
const LIMITS: &str =
    "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n";

/// Podman's API over the storage of a peer.
struct Service {
    process: Child,
    socket: PathBuf,
}

impl Service {
    fn start(folder: &Path, mut podman: Command, text: &str) -> Result<Self> {
        let settings = folder.join("containers.conf");
        fs::write(&settings, text)?;
        let socket = folder.join("podman.sock");
        let log = fs::File::create(folder.join("service.log"))?;
        let process = podman
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
