//! Everything as an ordinary user of the machine.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::container::GREETING;
use crate::{Case, Need, Person, Start, World, poll};

pub(super) const CASES: &[Case] = &[
    case("rootless::lives_with_a_range_of_ids", life),
    case("rootless::builds_as_other_users", build),
    case("rootless::a_single_id_says_what_is_lost", single),
    case("rootless::limits_want_a_delegated_group", limits),
    case("rootless::containers_reach_out_and_each_other", networks),
    case("rootless::a_killed_supervisor_leaves_nothing", killed),
    case("rootless::a_home_belongs_to_one_user", one_user),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    const NEEDS: &[Need] = &[
        Need::Root,
        Need::Program("newuidmap"),
        Need::Program("unshare"),
        Need::Program("setpriv"),
        Need::Program("pasta"),
        Need::Program("python3"),
    ];
    Case { name, needs: NEEDS, start: Start::Built, run }
}

const ANSWER: Duration = Duration::from_mins(1);

const SLEEP: [&str; 3] = ["hello-flask", "-c", "import time; time.sleep(600)"];

fn life(world: &World) -> Result<()> {
    let person = Person::with_range(world)?;
    person.take_images()?;
    let port = world.free_port()?;
    let publish = format!("{port}:8080");
    person.tandem(["run", "-d", "--name", "web", "-p", &publish, "hello-flask"])?.ok()?;
    ensure!(poll::first_body(port, ANSWER)? == GREETING, "another answer than the sample's");

    let row = person.row("web")?;
    let pid = row["pid"].as_u64().context("no pid")?;
    let owner = fs::metadata(format!("/proc/{pid}"))?.uid();
    ensure!(owner == person.uid(), "the app runs as {owner} outside");
    let map = fs::read_to_string(format!("/proc/{pid}/uid_map"))?;
    ensure!(map.lines().count() == 2, "not a range: {map}");

    // As the app's own files call it, and who may only be copied as it runs.
    let top = person.tandem(["top", "--json", "web"])?.ok()?.json()?;
    ensure!(top[0]["user"] == "root", "{top}");
    let held = person.tandem(["commit", "web", "copy-of-web"])?;
    if held.code != Some(0) {
        held.is_one_sentence(&["--pause=false"])?;
    }

    // Another user inside is another user outside.
    let id = ["exec", "-u", "1000:1000", "web", "python", "-c", "import os; print(os.getuid())"];
    ensure!(person.tandem(id)?.ok()?.line() == "1000", "not the user that was asked for");
    let note = person.write("note.txt", "from outside")?;
    person.tandem([Path::new("cp"), &note, Path::new("web:/tmp/note.txt")])?.ok()?;
    person.tandem(["cp", "web:/tmp/note.txt", "back.txt"])?.ok()?;
    let back = person.folder().join("back.txt");
    ensure!(fs::read_to_string(&back)? == "from outside", "another text came back");
    ensure!(fs::metadata(&back)?.uid() == person.uid(), "the file belongs to somebody else");
    let logs = person.tandem(["logs", "web"])?.ok()?;
    ensure!(format!("{}{}", logs.stdout, logs.stderr).contains("Serving"), "{logs}");
    // What is executed beside the app is the instance's too.
    person.tandem([&["exec", "-d", "web", "python"][..], &SLEEP[1..]].concat())?.ok()?;
    let top = person.tandem(["top", "--json", "web"])?.ok()?.to_string();
    ensure!(top.contains("time.sleep(600)"), "{top}");
    let stats = person.tandem(["stats", "--json", "web"])?.ok()?.json()?;
    ensure!(stats[0]["memory_pss_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{stats}");

    person.tandem(["stop", "web"])?.ok()?;
    person.tandem(["snapshot", "create", "web", "before"])?.ok()?;
    person.tandem(["start", "web"])?.ok()?;
    ensure!(poll::first_body(port, ANSWER)? == GREETING, "no answer after a new start");
    let low = person.tandem(["run", "--rm", "-p", "81:8080", "hello-flask"])?.code_is(125)?;
    low.is_one_sentence(&["port 81", "ip_unprivileged_port_start"])?;
    person.tandem(["rm", "-f", "web"])?.ok()?;
    person.end()
}

fn build(world: &World) -> Result<()> {
    let person = Person::with_range(world)?;
    person.take_images()?;
    let dockerfile = "FROM hello-flask
RUN python -c \"import os; os.mkdir('/data'); os.chown('/data', 1000, 1001)\"
USER 1000:1001
RUN python -c \"open('/data/mine', 'w').write('x')\" && rm -f /tmp/none
ENTRYPOINT [\"python\", \"-c\"]
";
    person.write("context/Dockerfile", dockerfile)?;
    person.tandem(["build", "-t", "mine", "context"])?.ok()?;
    let script = "import os; s = os.stat('/data/mine'); print(os.getuid(), s.st_uid, s.st_gid)";
    let output = person.tandem(["run", "--rm", "mine", script])?.ok()?;
    ensure!(output.line() == "1000 1000 1001", "{output}");
    person.end()
}

fn single(world: &World) -> Result<()> {
    let person = Person::with_one_id(world)?;
    person.take_images()?;
    let port = world.free_port()?;
    let publish = format!("{port}:8080");
    let started = person.tandem([
        "run",
        "-d",
        "--name",
        "web",
        "-p",
        &publish,
        "-u",
        "1000",
        "hello-flask",
    ])?;
    started.ok()?.says(&["only one user", "runs as root instead"])?;
    ensure!(poll::first_body(port, ANSWER)? == GREETING, "another answer than the sample's");
    let id = ["exec", "web", "python", "-c", "import os; print(os.getuid())"];
    ensure!(person.tandem(id)?.ok()?.line() == "0", "the only user is root");
    person.tandem(["rm", "-f", "web"])?.ok()?;
    // Nor can anything be given away: it stays root's, and that is said.
    person.write("context/file", "x")?;
    person.write(
        "context/Dockerfile",
        "FROM hello-flask
COPY --chown=1000:1001 file /given/
RUN --mount=type=cache,target=/c,uid=1000 --mount=type=secret,id=s,uid=1000 cp /run/secrets/s /c/s
USER 1000
WORKDIR /work
RUN touch /work/mine
ENTRYPOINT [\"stat\", \"-c\", \"%u:%g %n\"]
",
    )?;
    let secret = person.write("secret", "s")?;
    let secret = format!("id=s,src={}", secret.display());
    let built = person.tandem(["build", "-t", "mine", "--secret", &secret, "context"])?.ok()?;
    built.says(&["given to `1000:1001` belongs to root instead", "given to `1000` belongs"])?;
    let files = ["/given/file", "/work/mine", "/memory"];
    let shown = person
        .tandem([&["run", "--rm", "--tmpfs", "/memory:uid=5", "mine"][..], &files].concat())?
        .ok()?;
    ensure!(shown.line() == "0:0 /given/file\n0:0 /work/mine\n0:0 /memory", "{shown}");
    let doctor = person.tandem(["doctor", "--json"])?.ok()?.json()?;
    let rows = doctor.as_array().context("not a list")?;
    let row = rows.iter().find(|row| row["id"] == "user_namespace").context("no such row")?;
    ensure!(
        row["status"] == "limited"
            && row["fix"].as_str().is_some_and(|fix| fix.contains("usermod")),
        "{row}"
    );
    person.end()
}

/// Folders of version 1 that belong to a user until this is dropped.
struct Delegated(Vec<PathBuf>);

impl Delegated {
    fn to(uid: u32) -> Result<Self> {
        let mut made = Self(Vec::new());
        for controller in ["cpu", "memory", "pids", "freezer"] {
            let folder = Path::new("/sys/fs/cgroup").join(controller).join("e2e-person");
            fs::create_dir(&folder)?;
            made.0.push(folder.clone());
            chown(&folder, Some(uid), Some(uid))?;
            for file in ["cgroup.procs", "tasks"] {
                chown(folder.join(file), Some(uid), Some(uid))?;
            }
        }
        Ok(made)
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        for folder in &self.0 {
            // Processes that are about to end may still be in it.
            let _ = poll::until("an empty group", ANSWER, || match fs::remove_dir(folder) {
                Err(e) if e.raw_os_error() == Some(nix::libc::EBUSY) => None,
                _ => Some(()),
            });
        }
    }
}

fn limits(world: &World) -> Result<()> {
    let mut person = Person::with_range(world)?;
    person.take_images()?;
    let fixed = ["run", "-d", "--name", "small", "--memory", "64m", "--cpus", "0.5"];
    let run = [&fixed[..], &["--pids-limit", "50", "--entrypoint", "python"], &SLEEP].concat();
    let refused = person.tandem(&run)?.code_is(125)?;
    refused.says(&["limit", "delegated", "systemd-run"])?;
    person.tandem(["rm", "-f", "small"])?;
    if !Path::new("/sys/fs/cgroup/memory/cgroup.procs").exists() {
        // Version 2: giving a group away is systemd's to do there.
        return person.end();
    }
    let delegated = Delegated::to(person.uid())?;
    person.begin_in(delegated.0.clone());
    person.tandem(&run)?.ok()?;
    let record = person.tandem(["inspect", "small"])?.ok()?.json()?;
    let groups = record[0]["runtime"]["cgroups"].as_array().context("no groups")?.clone();
    let read = |name: &str| {
        let mut found = groups.iter().filter_map(|group| group.as_str());
        found.find_map(|group| fs::read_to_string(Path::new(group).join(name)).ok())
    };
    let memory = read("memory.limit_in_bytes").context("no memory group")?;
    ensure!(memory.trim() == (64 << 20).to_string(), "memory limit {memory}");
    ensure!(read("pids.max").is_some_and(|pids| pids.trim() == "50"), "another pids limit");
    let pid = record[0]["runtime"]["process"]["pid"].as_u64().context("no pid")?.to_string();
    let inside = read("cgroup.procs").is_some_and(|list| list.lines().any(|line| line == pid));
    ensure!(inside, "the app is not in its group");
    person.tandem(["update", "--memory", "96m", "small"])?.ok()?;
    ensure!(
        read("memory.limit_in_bytes").is_some_and(|it| it.trim() == (96 << 20).to_string()),
        "not updated"
    );
    person.tandem(["pause", "small"])?.ok()?;
    person.tandem(["unpause", "small"])?.ok()?;
    person.tandem(["rm", "-f", "small"])?.ok()?;
    drop(delegated);
    person.end()
}

fn networks(world: &World) -> Result<()> {
    let mut person = Person::with_range(world)?;
    person.take_images()?;
    // An outside world of the case's own, with a server in it.
    let server = format!(
        "ip link set lo up
         ip link add out type veth peer name other
         ip addr add 198.18.77.1/24 dev out
         ip link set out up
         ip link set other up
         ip route add default via 198.18.77.254
         ip addr add 198.18.78.1/32 dev lo
         mkdir -p {scratch}/www; echo outside > {scratch}/www/index.html
         python3 -m http.server --bind 198.18.78.1 --directory {scratch}/www 8000 >/dev/null 2>&1 &",
        scratch = world.scratch().display()
    );
    person.begin_with(&server);
    let fetch = "import urllib.request as u, time
for attempt in range(100):
    try:
        print(u.urlopen('http://198.18.78.1:8000/', timeout=20).read().decode().strip()); break
    except OSError as e:
        time.sleep(0.1); last = e
else: raise last";
    let fixed = ["run", "--rm", "--entrypoint", "python", "hello-flask", "-c"];
    let output = person.tandem([&fixed[..], &[fetch]].concat())?.ok()?;
    ensure!(output.line() == "outside", "{output}");

    person.begin_on_the_machine();
    person.tandem(["network", "create", "back"])?.ok()?;
    let web = ["run", "-d", "--name", "web", "--network", "back", "hello-flask"];
    person.tandem(web)?.ok()?;
    let ask = "import urllib.request as u, time
for attempt in range(300):
    try:
        print(u.urlopen('http://web:8080/', timeout=20).read().decode().strip()); break
    except OSError as e:
        time.sleep(0.1); last = e
else: raise last";
    let fixed = ["run", "--rm", "--network", "back", "--entrypoint", "python", "hello-flask", "-c"];
    let output = person.tandem([&fixed[..], &[ask]].concat())?.ok()?;
    ensure!(output.line() == GREETING, "{output}");
    person.tandem(["rm", "-f", "web"])?.ok()?;
    // The same by one that joins it while it runs.
    person.tandem(["run", "-d", "--name", "late", "hello-flask"])?.ok()?;
    person.tandem(["network", "connect", "--alias", "web", "back", "late"])?.ok()?;
    let output = person.tandem([&fixed[..], &[ask]].concat())?.ok()?;
    ensure!(output.line() == GREETING, "{output}");
    person.tandem(["network", "disconnect", "back", "late"])?.ok()?;
    person.tandem(["rm", "-f", "late"])?.ok()?;
    person.tandem(["network", "rm", "back"])?.ok()?;
    person.end()
}

fn killed(world: &World) -> Result<()> {
    let person = Person::with_range(world)?;
    person.take_images()?;
    let run = ["run", "-d", "--name", "lost", "-u", "1000", "--entrypoint", "python"];
    person.tandem([&run[..], &SLEEP].concat())?.ok()?;
    let record = person.tandem(["inspect", "lost"])?.ok()?.json()?;
    let number = |field: &str| -> Result<Pid> {
        let pid = record[0]["runtime"][field]["pid"].as_i64().context("no pid")?;
        Ok(Pid::from_raw(i32::try_from(pid)?))
    };
    let (supervisor, app) = (number("supervisor")?, number("process")?);
    kill(supervisor, Signal::SIGKILL)?;
    poll::until("the end of the app", ANSWER, || {
        let ended = fs::read_to_string(format!("/proc/{app}/stat"));
        ended.map_or(true, |stat| stat.contains(") Z ")).then_some(())
    })?;
    let row = person.row("lost")?;
    ensure!(row["state"] == "exited", "{row}");
    person.tandem(["start", "lost"])?.ok()?;
    ensure!(person.row("lost")?["state"] == "running", "it does not start again");
    person.tandem(["rm", "-f", "lost"])?.ok()?;
    person.end()
}

fn one_user(world: &World) -> Result<()> {
    let person = Person::with_range(world)?;
    person.tandem(["images"])?.ok()?;
    let home = person.home();
    let refused = world.tandem([Path::new("--home"), &home, Path::new("images")])?.code_is(125)?;
    refused.is_one_sentence(&["another user"])?;
    person.end()
}
