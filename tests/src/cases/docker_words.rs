//! What somebody types who knows Docker: templates, short options, several
//! names at once.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};

use crate::{Case, Need, Start, World, poll};

pub(super) const CASES: &[Case] = &[
    case("docker_words::lists_and_templates", lists),
    case("docker_words::options_of_run_and_exec", options),
    case("docker_words::signals_authors_and_the_machine", signals),
    case("docker_words::a_start_is_attached_however_short_it_is", short_starts),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

/// The words of `run` for a shell in hello-flask's image.
fn shell<'a>(options: &[&'a str], script: &'a str) -> Vec<&'a str> {
    let fixed = ["--network", "none", "--entrypoint", "sh"];
    [&["run"][..], options, &fixed, &["hello-flask", "-c", script]].concat()
}

fn lists(world: &World) -> Result<()> {
    let line =
        |words: &[&str]| -> Result<String> { Ok(world.tandem(words)?.ok()?.line().to_owned()) };
    world
        .tandem(shell(&["-d", "--name", "words-a", "-l", "k=v"], "echo 1; echo 2; exit 3"))?
        .ok()?;
    world.tandem(shell(&["-d", "--name", "words-b"], "sleep 60"))?.ok()?;
    // What fails for one of several is told at the end, and the others have theirs.
    let waited = world.tandem(["wait", "words-none", "words-a"])?.code_is(125)?;
    ensure!(waited.line() == "3", "{waited}");
    let seen = world.tandem(["inspect", "words-none", "words-a"])?.code_is(125)?;
    ensure!(seen.json()?[0]["spec"]["name"] == "words-a", "{seen}");

    ensure!(
        line(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "words-a"])? == "exited 3"
    );
    let running = "{{range .Config.Env}}{{end}}{{.State.Running}} {{.HostConfig.NetworkMode}}";
    ensure!(line(&["inspect", "--format", running, "words-b"])? == "true none");
    let rows =
        line(&["ps", "-a", "--filter", "name=words-", "--format", "{{.Names}} {{.Labels}}"])?;
    ensure!(rows == "words-a k=v\nwords-b", "{rows}");
    let table =
        line(&["ps", "-a", "-f", "name=words-a", "--format", "table {{.Names}}\\t{{.State}}"])?;
    ensure!(table == "NAMES     STATE\nwords-a   exited", "{table}");
    let slip = world.tandem(["ps", "--format", "{{.Nmes}}"])?.code_is(125)?;
    slip.is_one_sentence(&["Names"])?;
    let nobody = ["ps", "-f", "name=words-nobody", "--format"];
    world
        .tandem([&nobody[..], &["{{.Nmes}}"]].concat())?
        .code_is(125)?
        .is_one_sentence(&["Names"])?;
    ensure!(line(&[&nobody[..], &["{{.Names}} {{index .ports 3}}"]].concat())?.is_empty());

    ensure!(line(&["logs", "-n", "1", "words-a"])? == "2");
    ensure!(line(&["logs", "--tail", "-1", "words-a"])? == "1\n2");
    ensure!(line(&["logs", "--tail", "all", "--since", "2026-01-01", "words-a"])? == "1\n2");

    // A name is another's at once, while it runs and when it does not.
    world.tandem(["rename", "words-b", "words-a"])?.code_is(125)?.is_one_sentence(&["taken"])?;
    world.tandem(["rename", "words-b", "words-c"])?.ok()?;
    world.tandem(["rename", "words-a", "words-b"])?.ok()?;
    ensure!(line(&["exec", "words-c", "echo", "here"])? == "here");
    ensure!(line(&["inspect", "-f", "{{.Name}}", "words-b"])? == "/words-b");
    world.tandem(["kill", "words-c"])?.ok()?;
    world.tandem(["wait", "words-c"])?.code_is(137)?;
    ensure!(
        line(&["inspect", "-f", "{{.Name}}", "words-c"])? == "/words-c",
        "the old name came back"
    );
    world.tandem(["rm", "words-b", "words-c"])?.ok()?;

    ensure!(
        line(&["images", "--format", "{{.Repository}}:{{.Tag}}", "hello-flask"])?
            == "hello-flask:latest"
    );
    ensure!(line(&["images", "-q", "-f", "reference=hello-fl*"])?.len() == 12);
    ensure!(line(&["history", "--json", "hello-flask"])?.starts_with('['));
    world.tandem(["volume", "create", "words-v"])?.ok()?;
    ensure!(line(&["volume", "ls", "-q"])?.lines().any(|name| name == "words-v"));
    let removed = world.tandem(["volume", "rm", "words-none", "words-v"])?.code_is(125)?;
    ensure!(removed.line() == "words-v", "{removed}");
    world.tandem(["network", "create", "--label", "keep", "words-n"])?.ok()?;
    for filter in ["label!=keep", "until=24h"] {
        let pruned = line(&["network", "prune", "-f", "--filter", filter])?;
        ensure!(!pruned.lines().any(|name| name == "words-n"), "{filter}: {pruned}");
    }
    let slip = world.tandem(["volume", "prune", "--filter", "until=24h"])?.code_is(2)?;
    slip.is_one_sentence(&["by label"])?;
    ensure!(line(&["network", "ls", "-q"])?.lines().any(|name| name == "words-n"));
    let pruned = line(&["network", "prune", "-f", "--filter", "label=keep"])?;
    ensure!(pruned.lines().any(|name| name == "words-n"), "{pruned}");
    Ok(())
}

fn signals(world: &World) -> Result<()> {
    let script = "trap 'exit 7' USR1; trap '' TERM; echo up; while :; do sleep 0.05; done";
    world.tandem(shell(&["-d", "--name", "words-s"], script))?.ok()?;
    poll::until("the app is up", Duration::from_secs(20), || {
        (world.tandem(["logs", "words-s"]).ok()?.line() == "up").then_some(())
    })?;
    let slip = world.tandem(["stop", "--signal", "SIGNOTHING", "words-s"])?.code_is(2)?;
    slip.is_one_sentence(&["SIGNOTHING"])?;
    world.tandem(["stop", "--signal", "USR1", "words-s"])?.ok()?;
    let code = world.tandem(["inspect", "-f", "{{.State.ExitCode}}", "words-s"])?.ok()?;
    ensure!(code.line() == "7", "{code}");

    let made = world.tandem(["commit", "-a", "A. Uthor <a@example.org>", "words-s"])?.ok()?;
    let image = world.tandem(["image", "inspect", made.line()])?.ok()?.json()?;
    let text = image.to_string();
    ensure!(text.matches("A. Uthor <a@example.org>").count() >= 2, "{text}");
    let names = world.tandem(["images", "--format", "{{.Repository}} {{.Digest}}"])?.ok()?;
    let name = format!("localhost/tandem/commit {}", made.line());
    ensure!(names.line().lines().any(|line| line == name), "{names}");
    world.tandem(["rm", "words-s"])?.ok()?;
    world.tandem(["image", "rm", made.line()])?.ok()?;

    // This machine, as a container on the bridge reaches it.
    let listener = std::net::TcpListener::bind("0.0.0.0:0")?;
    let port = listener.local_addr()?.port();
    let script =
        format!("import socket; socket.create_connection(('me', {port}), 5); print('reached')");
    let words = ["run", "--rm", "--add-host", "me:host-gateway", "--entrypoint", "python"];
    let reached = world.tandem([&words[..], &["hello-flask", "-c", &script]].concat())?.ok()?;
    ensure!(reached.line() == "reached", "{reached}");
    let refused = world.tandem(shell(&["--rm", "--add-host", "me:host-gateway"], "true"))?;
    refused.code_is(2)?.is_one_sentence(&["host-gateway", "none"])?;
    Ok(())
}

fn options(world: &World) -> Result<()> {
    let variables =
        world.write("variables", "\u{feff}A=1\n\n # none\n  B=two words \nWORDS_UNSET\nC=\n")?;
    let file = variables.to_string_lossy().into_owned();
    let script = "hostname; env | grep -E '^(A|B|C|WORDS)' | sort; df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2; stat -c '%u %g %a' /t; tail -1 /etc/hosts";
    let got = world
        .tandem(shell(
            &[
                "--rm",
                "-h",
                "named",
                "--env-file",
                &file,
                "--shm-size",
                "1.5m",
                "--pids-limit",
                "-1",
                "--pull",
                "never",
                "--tmpfs",
                "/t:uid=5,gid=6,mode=750",
                "--add-host",
                "db:10.9.8.7",
            ],
            script,
        ))?
        .ok()?;
    let expected = "named\nA=1\nB=two words \nC=\n1536\n5 6 750\n10.9.8.7\tdb";
    ensure!(got.line() == expected, "{got}");

    // Devices and set-user-id programs of a mount count for nothing.
    let mounted = world
        .tandem(shell(
            &["--rm", "-v", "/v", "--tmpfs", "/t", "--tmpfs", "/dev/t:exec"],
            "grep -E ' (/v|/t|/dev/t) ' /proc/mounts | cut -d' ' -f2,4",
        ))?
        .ok()?;
    for (place, flags) in
        [("/v", "nodev"), ("/t", "nosuid,nodev,noexec"), ("/dev/t", "nosuid,nodev")]
    {
        let line = mounted.stdout.lines().find(|line| line.starts_with(&format!("{place} ")));
        ensure!(line.is_some_and(|line| line.contains(flags)), "{place}: {mounted}");
    }

    world.tandem(["network", "create", "words-net"])?.ok()?;
    let on = ["--network", "words-net", "--entrypoint", "sh", "hello-flask", "-c"];
    let words =
        [&["run", "-d", "--name", "words-one", "--network-alias", "db"], &on[..], &["sleep 60"]];
    world.tandem(words.concat())?.ok()?;
    for name in ["db", "db.words-net", "words-one.words-net"] {
        let asked = format!("getent hosts {name}");
        let found = world.tandem([&["run", "--rm"], &on[..], &[&asked]].concat())?.ok()?;
        ensure!(found.line().contains("10."), "{name}: {found}");
    }
    let more = fs::canonicalize(&variables)?;
    let env =
        world.tandem(["exec", "--env-file", &more.to_string_lossy(), "words-one", "env"])?.ok()?;
    ensure!(env.stdout.lines().any(|line| line == "B=two words "), "{env}");
    world.tandem(["rm", "-f", "words-one"])?.ok()?;
    world.tandem(["network", "rm", "words-net"])?.ok()?;
    let alone = ["run", "--rm", "--network-alias", "db", "hello-flask"];
    world.tandem(alone)?.code_is(2)?.is_one_sentence(&["network create"])
}

/// It may run or have ended when it is asked for again.
fn short_starts(world: &World) -> Result<()> {
    world.tandem(shell(&["-d", "--name", "words-short"], "echo said; exit 3"))?.ok()?;
    for _ in 0..8 {
        let started = world.tandem(["start", "-a", "words-short"])?.code_is(3)?;
        ensure!(started.line() == "said" || started.line().is_empty(), "{started}");
        world.tandem(["start", "words-short"])?.ok()?;
    }
    world.tandem(["rm", "-f", "words-short"])?.ok()?;
    Ok(())
}
