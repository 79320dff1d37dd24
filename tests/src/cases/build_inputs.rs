//! What a build takes besides its context, and where its result goes.

use std::fs;

use anyhow::{Result, ensure};

use super::build::BASE;
use crate::{Case, Need, Output, Start, World, poll};

pub(super) const CASES: &[Case] = &[
    case("build::mounts_serve_their_step_only", mounts),
    case("build::a_context_comes_from_standard_input", streamed),
    case("build::files_and_archives_are_written", outputs),
    case("build::files_of_the_web_are_checked", fetched),
    Case {
        name: "build::gives_what_docker_gives",
        needs: &[Need::Root, Need::Program("dockerd")],
        start: Start::Empty,
        run: crate::differential::run,
    },
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

/// Runs a line of shell in which `$TANDEM` is the program.
fn shell(world: &World, line: &str) -> Result<Output> {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", line]);
    world.prepare(&mut command);
    command.env("TANDEM", world.program("tandem"));
    world.finish(command)
}

fn mounts(world: &World) -> Result<()> {
    let dockerfile = format!(
        "FROM {BASE} AS tools
RUN mkdir /tools && echo tool > /tools/t
FROM {BASE}
RUN --mount=type=cache,target=/cache,mode=0700 echo once >> /cache/log; wc -l < /cache/log > /lines; stat -c %a /cache >> /lines
RUN --mount=type=cache,target=/cache echo twice >> /cache/log; wc -l < /cache/log >> /lines
RUN --mount=target=/ctx,rw --mount=from=tools,source=/tools,target=/t cat /ctx/note /t/t > /read; touch /ctx/new; touch /t/new || echo read-only >> /read
RUN --mount=type=secret,id=key,required cp /run/secrets/key /stolen && rm /stolen && stat -c %a /run/secrets/key > /secret
RUN --mount=type=secret,id=key,env=KEY test ${{#KEY}} = 9
RUN --mount=type=tmpfs,target=/big,size=1m ! dd if=/dev/zero of=/big/f bs=64k count=32
RUN <<EOF
#!/usr/bin/env python3
open('/made', 'w').write('python')
EOF
CMD cat /lines /read /secret /made; ls -d /ctx /t /cache /big /run/secrets /run/tandem; grep -rl q7-can[a]ry /run /tmp /etc
"
    );
    world.write("m/Dockerfile", &dockerfile)?;
    world.write("m/note", "note\n")?;
    world.write("key", "q7-canary")?;
    let build = ["build", "-t", "mounts", "--secret", "id=key,src=key", "m"];
    world.tandem(build)?.ok()?;
    let seen = world.tandem(["run", "--rm", "mounts"])?;
    ensure!(seen.stdout == "1\n700\n2\nnote\ntool\nread-only\n400\npython", "{seen}");
    ensure!(!world.scratch().join("m/new").exists(), "the step wrote into the context");
    let image = world.tandem(["image", "inspect", "mounts"])?.ok()?;
    ensure!(!image.stdout.contains("q7-canary"), "{image}");
    let missing = world.tandem(["build", "-t", "mounts", "--no-cache", "m"])?.code_is(2)?;
    missing.says(&["--secret id=key"])?;
    world.tandem(["image", "rm", "mounts"])?.ok()?;
    Ok(())
}

fn streamed(world: &World) -> Result<()> {
    world.write("s/Dockerfile", "FROM scratch\nCOPY a /\n")?;
    world.write("s/other", "FROM scratch\nCOPY a /b\n")?;
    world.write("s/a", "A")?;
    let listed = |line: &str| -> Result<String> { Ok(shell(world, line)?.ok()?.stdout.clone()) };
    for tar in ["tar c .", "tar cz ."] {
        let names = listed(&format!("(cd s; {tar}) | $TANDEM build -q -o - - | tar t"))?;
        ensure!(names == "a\n", "{tar}: {names}");
    }
    let names = listed("(cd s; tar c .) | $TANDEM build -q -f other -o - - | tar t")?;
    ensure!(names == "b\n", "{names}");
    let names =
        listed("printf 'FROM scratch\\nCOPY <<E /x\\nE\\n' | $TANDEM build -q -o - - | tar t")?;
    ensure!(names == "x\n", "{names}");
    // A link in the archive does not lead to the host's files.
    fs::create_dir_all(world.scratch().join("evil"))?;
    world.write("canary", "canary of the host")?;
    std::os::unix::fs::symlink("../../canary", world.scratch().join("evil/Dockerfile"))?;
    let refused = shell(world, "(cd evil; tar c .) | $TANDEM build -")?.code_is(125)?;
    ensure!(!refused.stderr.contains("canary of"), "{refused}");
    refused.says(&["there is no Dockerfile"])?;
    let refused = shell(world, "head -c 999 /dev/urandom | $TANDEM build -")?.code_is(2)?;
    refused.is_one_sentence(&["neither a tar archive nor a Dockerfile"])
}

fn outputs(world: &World) -> Result<()> {
    world.write("o/Dockerfile", "FROM scratch AS one\nCOPY a /d/\nFROM one\nCOPY a /d/b\n")?;
    world.write("o/a", "A")?;
    world.tandem(["build", "-q", "-o", "files", "o"])?.ok()?;
    ensure!(fs::read_to_string(world.scratch().join("files/d/b"))? == "A");
    world.tandem(["build", "-q", "-o", "type=oci,dest=image.tar", "-t", "out:1", "o"])?.ok()?;
    world.tandem(["image", "rm", "out:1"])?.ok()?;
    ensure!(world.tandem(["load", "-i", "image.tar"])?.ok()?.line() == "out:1", "another name");
    world.tandem(["image", "rm", "out:1"])?.ok()?;
    // Nothing that nobody could name stays.
    let images = world.tandem(["images", "--json"])?.ok()?;
    ensure!(!images.stdout.contains("tandem/build"), "{images}");
    world
        .tandem(["build", "-o", "type=what,dest=x", "o"])?
        .code_is(2)?
        .is_one_sentence(&["type=local"])
}

fn fetched(world: &World) -> Result<()> {
    world.write("web/file.txt", "of the web")?;
    let port = world.free_port()?;
    let mut server = std::process::Command::new("python3");
    server.args([
        "-m",
        "http.server",
        "--bind",
        "127.0.0.1",
        "--directory",
        "web",
        &port.to_string(),
    ]);
    world.prepare(&mut server);
    server.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut server = server.spawn()?;
    let result = (|| {
        poll::until("the server", std::time::Duration::from_secs(30), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        })?;
        let url = format!("http://127.0.0.1:{port}/file.txt");
        let digest =
            shell(world, "sha256sum web/file.txt | cut -d' ' -f1")?.ok()?.line().to_owned();
        let build = |add: &str| {
            world.write("w/Dockerfile", &format!("FROM scratch\nADD {add}\n"))?;
            world.tandem(["build", "-o", "fetched", "w"])
        };
        build(&format!("--checksum=sha256:{digest} {url} /d/"))?.ok()?;
        ensure!(fs::read_to_string(world.scratch().join("fetched/d/file.txt"))? == "of the web");
        let other =
            build(&format!("--checksum=sha256:{} {url} /d/", "0".repeat(64)))?.code_is(125)?;
        other.says(&["another digest"])?;
        build(&format!("{url}x /d/"))?.code_is(125)?.says(&["404"])?;
        Ok(())
    })();
    server.kill()?;
    server.wait()?;
    result
}
