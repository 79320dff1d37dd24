//! What a build takes besides its context, and where its result goes.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Result, ensure};

use super::build::BASE;
use crate::{Case, Need, Output, Start, World, poll};

pub(super) const CASES: &[Case] = &[
    case("build::mounts_serve_their_step_only", mounts),
    case("build::a_context_comes_from_standard_input", streamed),
    case("build::files_and_archives_are_written", outputs),
    case("build::files_of_the_web_are_checked", fetched),
    case("build::repositories_are_cloned", cloned),
    Case {
        name: "build::gives_what_docker_gives",
        needs: &[Need::Root, Need::Program("dockerd")],
        start: Start::Empty,
        run: crate::differential::with_docker,
    },
    Case {
        name: "build::gives_what_buildah_gives",
        needs: &[Need::Root, Need::Program("buildah")],
        start: Start::Empty,
        run: crate::differential::with_buildah,
    },
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

/// Runs a line of shell in which `$TANDEM` is the program.
fn shell(world: &World, line: &str) -> Result<Output> {
    let mut command = Command::new("sh");
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
    let lost = shell(world, "printf 'FROM scratch\\nCOPY a /\\n' | $TANDEM build -q -")?;
    lost.code_is(125)?.is_one_sentence(&["`a` is not in the build context", "standard input"])?;
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
    // As a folder it is a context that a stage can begin with.
    fs::create_dir_all(world.scratch().join("layout"))?;
    shell(world, "tar xf image.tar -C layout")?.ok()?;
    world.write("l/Dockerfile", "FROM base\nCOPY --from=base /d/b /e\n")?;
    let from = |place: &str| {
        world.tandem(["build", "-o", "both", "--build-context", &format!("base={place}"), "l"])
    };
    from("oci-layout://layout:1")?.ok()?;
    ensure!(fs::read_to_string(world.scratch().join("both/e"))? == "A");
    from("oci-layout://layout:2")?.code_is(125)?.says(&["no image with the tag 2, but 1"])?;
    from("oci-layout://nowhere")?.code_is(125)?.says(&["there is no archive nowhere"])?;
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
    let mut server = Command::new("python3");
    server.args(["-m", "http.server", "--bind", "127.0.0.1", "--directory", "web"]);
    server.arg(port.to_string());
    serving(world, server, port, || {
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
    })
}

fn cloned(world: &World) -> Result<()> {
    world.write("outside/canary", "mine")?;
    let commit = shell(
        world,
        "set -e; OUTSIDE=$PWD/outside; export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git init -q -b main repos/r; cd repos/r; mkdir docs; echo one > docs/page; echo x > run; chmod 755 run
git add .; git commit -qm one; git tag v1; git rev-parse HEAD
echo two > docs/page; git commit -qam two
git checkout -qb evil; mkdir in; ln -s $OUTSIDE out; ln -s ../../../../../../../..$OUTSIDE in/up
git add .; git commit -qm evil; git checkout -q main",
    )?
    .ok()?;
    let commit = commit.line().to_owned();
    let place = shell(world, "git --exec-path")?.ok()?.line().to_owned();
    let port = world.free_port()?;
    let mut server = Command::new(format!("{place}/git-daemon"));
    server.args(["--export-all", "--listen=127.0.0.1", "--base-path=repos"]);
    server.arg(format!("--port={port}"));
    serving(world, server, port, || {
        let url = format!("git://127.0.0.1:{port}/r");
        let build = |add: &str| {
            let _ = fs::remove_dir_all(world.scratch().join("clone"));
            world.write("g/Dockerfile", &format!("FROM scratch\nADD {add}\n"))?;
            world.tandem(["build", "-o", "clone", "g"])
        };
        let page = |path: &str| fs::read_to_string(world.scratch().join("clone").join(path));
        build(&format!("{url} /r"))?.ok()?;
        ensure!(page("r/docs/page")? == "two\n" && page("r/.git/HEAD").is_err());
        build(&format!("--keep-git-dir=true {url}#v1 /r"))?.ok()?;
        ensure!(page("r/docs/page")? == "one\n" && page("r/.git/HEAD").is_ok());
        build(&format!("--checksum={commit} {url}#{commit}:docs /d/"))?.ok()?;
        ensure!(page("d/page")? == "one\n");
        let other = build(&format!("--checksum={commit} {url} /r"))?.code_is(125)?;
        other.says(&["is at the commit", "--checksum says"])?;
        build(&format!("{url}#nothing /r"))?.code_is(125)?.says(&["cannot be cloned"])?;
        // Nothing of this machine is a repository, and no option is a name.
        build(&format!("{url}#--upload-pack=x /r"))?.code_is(125)?;
        build("git@-oProxyCommand=touch$IFS-canary2:r /r")?.code_is(125)?;
        ensure!(!world.scratch().join("g/canary2").exists(), "a host name became an option");
        for folder in ["out", "out/canary", "in/up/canary", "../../../outside", "in/../../outside"]
        {
            let led = build(&format!("{url}#evil:{folder} /x/"))?;
            let found = page("x/canary").is_ok() || page("x/out/canary").is_ok();
            ensure!(!found, "{folder} leads to this machine's files\n{led}");
        }
        Ok(())
    })
}

/// Runs a check while a server listens on loopback.
fn serving(
    world: &World,
    mut server: Command,
    port: u16,
    check: impl FnOnce() -> Result<()>,
) -> Result<()> {
    world.prepare(&mut server);
    let mut server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let result = poll::until("the server", Duration::from_secs(30), || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    let result = result.and_then(|_| check());
    server.kill()?;
    server.wait()?;
    result
}
