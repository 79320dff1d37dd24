//! Volumes, folders of the host and memory, seen from inside.

use std::fs;

use anyhow::{Result, ensure};

use crate::{Case, Need, Start, World};

pub(super) const CASES: &[Case] = &[
    case("volumes::data_outlives_its_instances", outlives),
    case("volumes::first_use_copies_the_images_files", first_use),
    case("volumes::nameless_ones_go_with_their_instance", nameless),
    case("volumes::one_in_use_stays", in_use),
    case("volumes::folders_and_memory_are_mounted", mounted),
    case("volumes::no_mount_leads_outside", confined),
    case("volumes::wrong_ones_are_refused", refused),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

/// Runs a shell line in hello-flask and returns what it printed.
fn shell(world: &World, options: &[&str], line: &str) -> Result<String> {
    let fixed = ["run", "--rm", "--entrypoint", "sh"];
    let arguments = [&fixed[..], options, &["hello-flask", "-c", line]].concat();
    Ok(world.tandem(arguments)?.ok()?.stdout.trim().to_owned())
}

fn outlives(world: &World) -> Result<()> {
    shell(world, &["-v", "e2e-data:/data"], "echo kept > /data/file")?;
    let seen = shell(
        world,
        &["--mount", "source=e2e-data,target=/d,ro"],
        "cat /d/file; touch /d/x || echo refused",
    )?;
    ensure!(seen == "kept\nrefused", "{seen}");
    let listed = world.tandem(["volume", "ls", "--json"])?.ok()?.json()?;
    let name = listed.as_array().and_then(|all| all.first()).map(|one| one["name"].clone());
    ensure!(name == Some("e2e-data".into()), "{listed}");
    world.tandem(["volume", "rm", "e2e-data"])?.ok()?;
    let gone = world.tandem(["volume", "inspect", "e2e-data"])?.code_is(125)?;
    gone.is_one_sentence(&["e2e-data", "tandem volume ls"])
}

fn first_use(world: &World) -> Result<()> {
    let recipe = "FROM hello-flask\nRUN mkdir -p /srv/deep && echo image > /srv/deep/file && chown -R 1234:56 /srv && chmod 750 /srv && ln -s /srv /alias\n";
    world.write("copy/Dockerfile", recipe)?;
    world
        .tandem([
            "build",
            "-t",
            "e2e-copy",
            "--build-context",
            "hello-flask=docker-image://hello-flask",
            "copy",
        ])?
        .ok()?;
    let look = [
        "run",
        "--rm",
        "--entrypoint",
        "sh",
        "-v",
        "e2e-copy:/alias",
        "e2e-copy",
        "-c",
        "stat -c '%u:%g %a' /srv; cat /srv/deep/file; echo mine > /srv/deep/file",
    ];
    let seen = world.tandem(look)?.ok()?;
    ensure!(seen.stdout.starts_with("1234:56 750\nimage\n"), "{seen}");
    let again = world.tandem(look)?.ok()?;
    ensure!(again.stdout.contains("mine"), "the second use changes nothing\n{again}");
    let empty =
        ["run", "--rm", "--entrypoint", "ls", "-v", "e2e-bare:/srv:nocopy", "e2e-copy", "/srv"];
    ensure!(world.tandem(empty)?.ok()?.stdout.is_empty(), "nocopy leaves it empty");
    world.tandem(["volume", "rm", "e2e-copy", "e2e-bare"])?.ok()?;
    world.tandem(["image", "rm", "e2e-copy"])?.ok()?;
    Ok(())
}

fn nameless(world: &World) -> Result<()> {
    let count = || -> Result<usize> {
        let listed = world.tandem(["volume", "ls", "--json"])?.ok()?.json()?;
        Ok(listed.as_array().map_or(0, Vec::len))
    };
    shell(world, &["-v", "/data"], "touch /data/x")?;
    ensure!(count()? == 0, "--rm takes it along");
    for volumes in [true, false] {
        world.tandem(["create", "--name", "nameless", "-v", "/data", "hello-flask"])?.ok()?;
        ensure!(count()? == 1, "it is made with the instance");
        let rm = ["rm", "-v", "nameless"];
        world.tandem(if volumes { &rm[..] } else { &["rm", "nameless"] })?.ok()?;
        ensure!(count()? == usize::from(!volumes), "only `rm -v` takes it along");
    }
    let pruned = world.tandem(["volume", "prune"])?.ok()?;
    ensure!(pruned.line().len() == 64 && count()? == 0, "{pruned}");
    Ok(())
}

fn in_use(world: &World) -> Result<()> {
    ensure!(
        world.tandem(["volume", "create", "--label", "a=b", "e2e-used"])?.ok()?.line()
            == "e2e-used"
    );
    world.tandem(["create", "--name", "user", "-v", "e2e-used:/d", "hello-flask"])?.ok()?;
    let refused = world.tandem(["volume", "rm", "e2e-used"])?.code_is(125)?;
    refused.is_one_sentence(&["e2e-used", "user"])?;
    let near = world.tandem(["volume", "rm", "e2e-usd"])?.code_is(125)?;
    near.is_one_sentence(&["did you mean `e2e-used`?"])?;
    world.tandem(["rm", "user"])?.ok()?;
    world.tandem(["volume", "rm", "-f", "e2e-used", "e2e-none"])?.ok()?;
    Ok(())
}

fn mounted(world: &World) -> Result<()> {
    let folder = world.scratch().join("shared");
    fs::create_dir(&folder)?;
    fs::write(folder.join("from-host"), "host\n")?;
    let bind = format!("{}:/shared", folder.display());
    let seen =
        shell(world, &["-v", &bind], "cat /shared/from-host; echo inside > /shared/from-app")?;
    ensure!(seen == "host" && fs::read_to_string(folder.join("from-app"))? == "inside\n", "{seen}");
    let seen = shell(
        world,
        &["-v", "./shared:/shared:ro"],
        "cat /shared/from-host; touch /shared/x 2>/dev/null || echo refused",
    )?;
    ensure!(seen == "host\nrefused", "{seen}");
    // Nor does anybody copy into it, while the app does not run either.
    world
        .tandem(["create", "--name", "locked", "-v", "./shared:/shared:ro", "hello-flask"])?
        .ok()?;
    let refused = world.tandem(["cp", "shared/from-host", "locked:/shared/copy"])?.code_is(125)?;
    ensure!(!folder.join("copy").exists(), "{refused}");
    world.tandem(["rm", "locked"])?.ok()?;
    let file = folder.join("from-host");
    let mount = format!("type=bind,source={},target=/etc/motd,readonly", file.display());
    ensure!(shell(world, &["--mount", &mount], "cat /etc/motd")? == "host");
    let options = ["--tmpfs", "/fast:size=1m,mode=700", "--tmpfs", "/dev/shm:size=2m"];
    let look = "stat -c %a /fast; df -k /fast /dev/shm | awk 'NR>1{print $2}'; dd if=/dev/zero of=/fast/big bs=1M count=2 2>/dev/null || echo full";
    let seen = shell(world, &options, look)?;
    ensure!(seen == "700\n1024\n2048\nfull", "{seen}");
    Ok(())
}

fn confined(world: &World) -> Result<()> {
    let canary = world.scratch().join("canary");
    fs::create_dir(&canary)?;
    // The image's links point at places of the host; below its root they mean
    // something else.
    let recipe = format!(
        "FROM hello-flask\nRUN mkdir -p {0} && ln -s {0} /out && ln -s ../../../../../../../../.. /up\n",
        canary.display()
    );
    world.write("escape/Dockerfile", &recipe)?;
    world
        .tandem([
            "build",
            "-t",
            "e2e-escape",
            "--build-context",
            "hello-flask=docker-image://hello-flask",
            "escape",
        ])?
        .ok()?;
    let place = format!("e2e-esc2:/up{}/deep", canary.display());
    let run = [
        "run",
        "--rm",
        "--entrypoint",
        "sh",
        "-v",
        "e2e-esc1:/out/deep",
        "-v",
        &place,
        "e2e-escape",
        "-c",
        "grep -c e2e-esc /proc/self/mountinfo",
    ];
    let seen = world.tandem(run)?.ok()?;
    ensure!(seen.line() == "2", "{seen}");
    ensure!(fs::read_dir(&canary)?.next().is_none(), "a folder was made outside");
    world.tandem(["volume", "rm", "e2e-esc1", "e2e-esc2"])?.ok()?;
    world.tandem(["image", "rm", "e2e-escape"])?.ok()?;
    Ok(())
}

fn refused(world: &World) -> Result<()> {
    for (options, code, says) in [
        (&["-v", "/not/there:/d"][..], 125, &["/not/there", "make it first"][..]),
        (&["--mount", "type=bind,src=/not/there,dst=/d"], 125, &["/not/there"]),
        (&["-v", "a:/d", "-v", "b:/d"], 2, &["/d"]),
        (&["--backend", "process", "-v", "a:/d"], 125, &["--backend container"]),
    ] {
        let fixed = ["run", "--rm"];
        let output =
            world.tandem([&fixed[..], options, &["hello-flask"]].concat())?.code_is(code)?;
        output.is_one_sentence(says)?;
    }
    let usage = world.tandem(["run", "--rm", "-v", "a:d", "hello-flask"])?.code_is(2)?;
    ensure!(usage.stderr.contains("absolute"), "{usage}");
    let listed = world.tandem(["volume", "ls", "--json"])?.ok()?.json()?;
    ensure!(listed == serde_json::json!([]), "a refused run leaves no volume: {listed}");
    Ok(())
}
