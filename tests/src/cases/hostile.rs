//! Images and recipes that reach for the machine: each has a canary outside,
//! which must stay as it is. `crates/HOSTILE.md` names the attacks.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use super::archive::build_tools;
use crate::{Case, Need, Output, Start, World};

pub(super) const CASES: &[Case] = &[
    case("hostile::working_directories_lead_nowhere", working_directories),
    case("hostile::programs_of_the_machine_stay_as_they_are", programs),
    case("hostile::links_in_place_of_proc_sys_and_dev", links),
    case("hostile::a_node_in_place_of_dev_null_opens_no_device", nodes),
    case("hostile::mounts_of_build_steps_lead_nowhere", step_mounts),
    case("hostile::volumes_of_an_image_hold_only_its_files", volumes),
    case("hostile::what_an_image_says_of_itself_stays_inside", words_of_images),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root, Need::Program("busybox")], start: Start::Empty, run }
}

/// What nobody inside may read.
const SECRET: &str = "the secret of the machine";

/// No attack may make a command wait either.
const LIMIT: Duration = Duration::from_mins(1);

/// A folder of the machine with a secret and an empty folder in it.
struct Canary {
    folder: PathBuf,
}

impl Canary {
    fn new(world: &World) -> Result<Self> {
        let folder = world.scratch().join("canary");
        fs::create_dir_all(folder.join("empty"))?;
        fs::write(folder.join("secret"), SECRET)?;
        Ok(Self { folder })
    }

    fn path(&self) -> String {
        self.folder.display().to_string()
    }

    /// It is as it was, nothing is mounted there, and the output does not tell
    /// of it.
    fn sings(&self, output: &Output) -> Result<()> {
        let said = format!("{}{}", output.stdout, output.stderr);
        ensure!(!said.contains(SECRET), "the secret is out\n{output}");
        ensure!(fs::read_to_string(self.folder.join("secret"))? == SECRET, "changed\n{output}");
        let mut names: Vec<_> =
            fs::read_dir(&self.folder)?.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        ensure!(names == ["empty", "secret"], "{names:?} are there\n{output}");
        ensure!(fs::read_dir(self.folder.join("empty"))?.next().is_none(), "{output}");
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        ensure!(!mounts.contains(&self.path()), "something is mounted there\n{output}");
        Ok(())
    }
}

fn tandem(world: &World, fixed: &str, more: &[&str]) -> Result<Output> {
    let words: Vec<&str> = fixed.split(' ').chain(more.iter().copied()).collect();
    world.tandem_within(LIMIT, words)
}

/// Builds a recipe with nothing in its context.
fn build(world: &World, tag: &str, recipe: &str) -> Result<Output> {
    world.write(&format!("recipe-{tag}/Dockerfile"), recipe)?;
    tandem(world, &format!("build --no-cache -t {tag} recipe-{tag}"), &[])
}

/// A shell line as a step of a recipe.
fn step(line: &str) -> String {
    format!("[\"/bin/busybox\", \"sh\", \"-c\", {}]", serde_json::Value::from(line))
}

fn working_directories(world: &World) -> Result<()> {
    build_tools(world)?;
    let canary = Canary::new(world)?;
    let look = format!(
        "pwd; for up in .. ../.. ../../.. ../../../../../../../..; do cat $up{}/secret; echo x > $up{}/x; done; true",
        canary.path(),
        canary.path()
    );
    tandem(world, "run -d --name it --network none box:1 sleep 600", &[])?.ok()?;
    for number in 3..14 {
        let place = format!("/proc/self/fd/{number}");
        let run = format!("run --rm --network none -w {place} box:1 sh -c");
        canary.sings(&tandem(world, &run, &[&look])?)?;
        canary.sings(&tandem(world, &format!("exec -w {place} it sh -c"), &[&look])?)?;
    }
    for number in [6, 7, 8, 9, 10] {
        let recipe = format!("FROM box:1\nWORKDIR /proc/self/fd/{number}\nRUN {}\n", step(&look));
        canary.sings(&build(world, "cwd", &recipe)?)?;
        canary.sings(&tandem(world, "run --rm --network none cwd sh -c", &[&look])?)?;
    }
    tandem(world, "rm -f it", &[])?.ok().map(drop)
}

fn digests(world: &World) -> Result<Vec<Vec<u8>>> {
    let digest = |name| Ok(Sha256::digest(fs::read(world.program(name))?).to_vec());
    ["tandem", "tandem-guest"].into_iter().map(digest).collect()
}

fn programs(world: &World) -> Result<()> {
    build_tools(world)?;
    let before = digests(world)?;
    // Holds every program that comes by, and writes to it when it has ended.
    let lurk = "while :; do for it in /proc/[0-9]*; do
        exec 3<$it/exe && sleep 0.01 && echo x > /proc/$$/fd/3; echo x > $it/exe; exec 3<&-
    done; done 2>/dev/null";
    for options in ["", " --init", " --cap-add ALL --security-opt seccomp=unconfined"] {
        let run = format!("run -d --name it --network none{options} box:1 sh -c");
        tandem(world, &run, &[lurk])?.ok()?;
        for command in ["true", "/proc/self/exe", "/proc/1/exe"] {
            for _ in 0..3 {
                tandem(world, "exec it", &[command])?;
            }
        }
        tandem(world, "rm -f it", &[])?.ok()?;
        ensure!(digests(world)? == before, "a program of the machine was changed");
    }
    let recipe = "FROM box:1\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo '#!/proc/self/exe' > /evil; chmod 755 /evil\"]\nENTRYPOINT [\"/evil\"]\n";
    build(world, "evil", recipe)?.ok()?;
    for image in ["evil", "--entrypoint=/proc/self/exe box:1", "--init evil"] {
        let output = tandem(world, &format!("run --rm --network none {image}"), &[])?;
        ensure!(output.code != Some(0) || output.stdout.contains("BusyBox"), "{output}");
    }
    ensure!(digests(world)? == before, "a program of the machine was changed");
    Ok(())
}

/// An image of the box with one of its places a link.
fn with_link(world: &World, place: &str, target: &Path) -> Result<()> {
    let folder = world.scratch().join("linked");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("root/bin"))?;
    fs::copy(world.scratch().join("box/root/bin/busybox"), folder.join("root/bin/busybox"))?;
    let link = folder.join("root").join(place.trim_start_matches('/'));
    fs::create_dir_all(link.parent().context("a parent")?)?;
    symlink(target, link)?;
    world
        .write("linked/Dockerfile", "FROM scratch\nCOPY root /\nENTRYPOINT [\"/bin/busybox\"]\n")?;
    tandem(world, "build -t linked linked", &[])?.ok().map(drop)
}

fn links(world: &World) -> Result<()> {
    build_tools(world)?;
    let canary = Canary::new(world)?;
    let look = format!(
        "cat {0}/secret /proc/kcore /proc{0}/secret | head -c 100; echo x > {0}/x
        echo b > /proc/sysrq-trigger && echo reached; echo x > /proc/sys/kernel/core_pattern && echo reached
        [ -d /proc/1 ] && echo proc; [ -c /dev/null ] && echo null; true",
        canary.path()
    );
    let places = ["/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/etc", "/etc/hosts"];
    for place in places.into_iter().chain(["/etc/resolv.conf", "/etc/hostname", "/dev/mqueue"]) {
        for target in [canary.folder.clone(), canary.folder.join("secret"), "../../..".into()] {
            with_link(world, place, &target)?;
            let output = tandem(world, "run --rm --network none linked sh -c", &[&look])?;
            canary.sings(&output).with_context(|| place.to_owned())?;
            ensure!(!output.stdout.contains("reached"), "{place}\n{output}");
            // Whoever runs has the kernel's own files there.
            let real = output.stdout.contains("proc") && output.stdout.contains("null");
            ensure!(output.code == Some(125) || real, "{place}\n{output}");
        }
    }
    // What masks and what the terminal is bound to, as links (and the mask's
    // own source).
    for (place, target) in [
        ("/dev/null", "/proc/sys/kernel/core_pattern"),
        ("/dev/console", "/proc/sysrq-trigger"),
        ("/dev/ptmx", "/proc/sys/kernel/core_pattern"),
    ] {
        with_link(world, place, Path::new(target))?;
        let run = "run --rm --network none linked sh -c";
        let output = tandem(world, run, &[&look])?.ok()?;
        ensure!(!output.stdout.contains("reached"), "{place}\n{output}");
        ensure!(output.stdout.contains("proc\nnull"), "{place}\n{output}");
    }
    Ok(())
}

/// Whoever executes a further command is outside of the container's group, by
/// which devices are kept from it.
fn nodes(world: &World) -> Result<()> {
    build_tools(world)?;
    tandem(world, "run -d --name it --network none box:1 sleep 600", &[])?.ok()?;
    // The kernel's messages, in place of what a command's input comes from.
    let swap = "rm /dev/null && mknod /dev/null c 1 11 && echo swapped";
    let swapped = tandem(world, "exec it sh -c", &[swap])?;
    if swapped.code == Some(0) {
        let output = tandem(world, "exec it sh -c", &["head -c 20 <&0; ls -l /proc/self/fd"])?;
        output.code_is(125)?.is_one_sentence(&["/dev was changed", "tandem restart it"])?;
        // What brings its own streams needs none.
        let output = tandem(world, "exec -i it sh -c", &["head -c 20 /dev/null || echo kept out"])?;
        ensure!(output.stdout == "kept out\n", "{output}");
    } else {
        // Where nothing filters devices nobody makes nodes.
        ensure!(swapped.stderr.contains("not permitted"), "{swapped}");
    }
    // Nor does whoever is root inside get at the caller's own file.
    let kept = world.write("kept", "of the caller\n")?;
    let mut changing = world.command(["exec", "-i", "it", "sh", "-c"]);
    changing.arg("chmod 4777 /dev/stdout; [ -p /dev/stdout ] && echo said");
    let file = fs::OpenOptions::new().append(true).open(&kept)?;
    let mode = file.metadata()?.permissions();
    ensure!(changing.stdout(file).stderr(std::process::Stdio::null()).status()?.success());
    ensure!(fs::metadata(&kept)?.permissions() == mode, "a file of the caller's was changed");
    ensure!(fs::read_to_string(&kept)? == "of the caller\nsaid\n", "{}", kept.display());
    tandem(world, "rm -f it", &[])?.ok().map(drop)
}

fn step_mounts(world: &World) -> Result<()> {
    build_tools(world)?;
    let canary = Canary::new(world)?;
    let path = canary.path();
    let link = step(&format!("ln -s {path} /link; ln -s ../../../../../..{path} /up"));
    let look = step("cat /x/secret; echo x > /x/secret; echo x > /x/x; true");
    for mount in [
        "type=bind,from=evil,source=/link,target=/x,rw".to_owned(),
        "type=bind,from=evil,source=/up,target=/x,rw".to_owned(),
        "type=bind,from=evil,source=/link/empty,target=/x,rw".to_owned(),
        format!("type=bind,source=../../../../../..{path},target=/x,rw"),
        format!("type=cache,id=../../../../../..{path},target=/x"),
        format!("type=cache,from=evil,source=../../../../../..{path},target=/x"),
        "type=cache,from=evil,source=/link,target=/x".to_owned(),
        "type=tmpfs,target=/link/empty".to_owned(),
        format!("type=bind,from=evil,source=/bin,target=../../../../../..{path}/empty"),
    ] {
        let recipe =
            format!("FROM box:1 AS evil\nRUN {link}\nFROM evil\nRUN --mount={mount} {look}\n");
        canary.sings(&build(world, "mounts", &recipe)?).with_context(|| mount.clone())?;
    }
    // The step swaps the way to its mount: what is tidied up afterwards lies
    // inside.
    for swap in ["mv /a /b", "rm -rf /a"] {
        let swap = step(&format!("{swap}; ln -s {path} /a; true"));
        let recipe = format!(
            "FROM box:1\nRUN --mount=type=tmpfs,target=/a/empty {swap}\n\
             RUN --mount=type=cache,target=/c/secret {swap}\n"
        );
        canary.sings(&build(world, "swapped", &recipe)?)?;
    }
    // Files by which users are found.
    let fifo = world.scratch().join("fifo");
    world.run("mkfifo", &[&fifo.to_string_lossy()])?.ok()?;
    for target in [fifo.display().to_string(), format!("{path}/secret"), "/dev/zero".into()] {
        let link = step(&format!("ln -sf {target} /etc/passwd; ln -sf {target} /etc/group"));
        let recipe = format!("FROM box:1\nRUN {link}\nUSER somebody\nRUN {}\n", step("id"));
        let output = build(world, "users", &recipe)?;
        ensure!(output.code != Some(0), "somebody was found\n{output}");
        canary.sings(&output)?;
        canary.sings(&tandem(world, "run --rm --network none -u somebody box:1", &[])?)?;
    }
    Ok(())
}

fn volumes(world: &World) -> Result<()> {
    build_tools(world)?;
    let canary = Canary::new(world)?;
    let path = canary.path();
    let link = step(&format!("ln -s {path} /link; ln -s ../../../../../..{path} /up"));
    let recipe = format!(
        "FROM box:1\nRUN {link}\nVOLUME [\"/link\", \"/up/deep\", \"/../../../../../..{path}\"]\n"
    );
    let output = build(world, "volumes", &recipe)?;
    canary.sings(&output)?;
    let options = [
        "",
        " -v named:/link",
        " -v named:/up/empty",
        " --mount type=tmpfs,target=/link/empty",
        " --tmpfs /up/empty",
    ];
    for options in options {
        let run = format!("run --rm --network none{options} volumes sh -c");
        let look = "find / -xdev -name secret; cat /link/secret /up/secret /up/deep/secret; true";
        let output = tandem(world, &run, &[look])?;
        ensure!(output.code != Some(0) || !output.stdout.contains("secret"), "{output}");
        canary.sings(&output)?;
    }
    let folder = world.home().join("volumes");
    let seen = world.run("find", &[&*folder.to_string_lossy(), "-name", "secret"])?.ok()?;
    ensure!(seen.stdout.is_empty(), "a volume was filled from outside\n{seen}");
    Ok(())
}

fn words_of_images(world: &World) -> Result<()> {
    build_tools(world)?;
    let recipe = "FROM box:1\n\
        ENV LD_PRELOAD=/evil.so LD_LIBRARY_PATH=/evil TANDEM_HOME=/evil PATH=/evil:/bin\n\
        LABEL \"io.containerd.evil\"=\"\\u001b]0;title\" \"line\\nbreak\"=\"x\"\n\
        STOPSIGNAL 9\nCMD [\"sleep\", \"600\"]\n";
    build(world, "words", recipe)?.ok()?;
    let id = tandem(world, "run -d --name it --network host -u 1000:1000 words", &[])?.ok()?;
    let record = tandem(world, "inspect it", &[])?.ok()?.json()?;
    let app = record[0]["runtime"]["process"]["pid"].as_u64().context("no process")?;
    for pid in world.processes() {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let inside = u64::from(pid) == app;
        let evil = String::from_utf8_lossy(&environ).contains("/evil");
        ensure!(evil == inside, "process {pid} (the app is {app}) has the image's variables");
    }
    // No door by name in the network that it shares with the machine.
    let sockets = tandem(world, "exec it cat /proc/net/unix", &[])?;
    ensure!(
        !sockets.stdout.contains("@tandem") && !sockets.stdout.contains(id.line()),
        "{sockets}"
    );
    let status = fs::read_to_string(format!("/proc/{app}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    ensure!(field("CapInh:").trim_matches('0').is_empty(), "{status}");
    ensure!(["", "1000"].contains(&field("Groups:").as_str()), "{status}");
    tandem(world, "ps -a", &[])?.ok()?;
    tandem(world, "rm -f it", &[])?.ok()?;
    Ok(())
}
