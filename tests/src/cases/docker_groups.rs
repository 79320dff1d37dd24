//! What somebody who knows Docker asks of lists, and its groups of commands.

use std::fs;

use anyhow::{Result, ensure};

use crate::{Case, Need, Start, World};

pub(super) const CASES: &[Case] = &[
    case("docker_groups::sizes_are_those_of_what_was_written", sizes),
    case("docker_groups::kinds_and_filters", kinds),
    case("docker_groups::volumes_come_from_another_instance", volumes_from),
    case("docker_groups::words_of_groups_are_ours", groups),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

/// Runs a script in hello-flask's image to its end.
fn ended(world: &World, options: &[&str], script: &str) -> Result<String> {
    let fixed = ["--network", "none", "--entrypoint", "sh", "hello-flask", "-c", script];
    let output = world.tandem([&["run"][..], options, &fixed].concat())?.ok()?;
    Ok(output.line().to_owned())
}

fn sizes(world: &World) -> Result<()> {
    ended(
        world,
        &["--name", "sized-large"],
        "dd if=/dev/urandom of=/x bs=1M count=5 2>&1 | tail -0",
    )?;
    ended(world, &["--name", "sized-none"], "true")?;
    let size = |name: &str, field: &str| -> Result<u64> {
        let rows = world.tandem(["ps", "-a", "-s", "-f", &format!("name={name}"), "--json"])?;
        let rows = rows.ok()?.json()?;
        Ok(rows[0]["size"][field].as_u64().unwrap_or_default())
    };
    let (large, none) = (size("sized-large", "own_bytes")?, size("sized-none", "own_bytes")?);
    ensure!((5 << 20..6 << 20).contains(&large), "{large}");
    ensure!(none < 1 << 20, "{none}");
    let image = world.tandem(["images", "--json", "hello-flask"])?.ok()?.json()?;
    let image = image[0]["size_bytes"].as_u64().unwrap_or_default();
    ensure!(size("sized-large", "virtual_bytes")? == large + image);
    let table = world.tandem(["ps", "-as", "-f", "name=sized-large"])?.ok()?;
    ensure!(table.stdout.lines().next().is_some_and(|line| line.ends_with("SIZE")), "{table}");
    ensure!(table.stdout.contains("(virtual "), "{table}");
    let words = ["ps", "-a", "-f", "name=sized-large", "--format", "{{.Size}}"];
    ensure!(world.tandem(words)?.ok()?.line().contains("(virtual "));
    let words = ["inspect", "-f", "{{.SizeRw}}", "sized-large"];
    ensure!(world.tandem(words)?.ok()?.line() == large.to_string());
    let plain = world.tandem(["ps", "-a", "--json"])?.ok()?.json()?;
    ensure!(plain[0].get("size").is_none(), "{plain}");

    world.tandem(["volume", "create", "sized-volume"])?.ok()?;
    let all = world.tandem(["system", "df", "-v", "--json"])?.ok()?.json()?;
    let named = |kind: &str, name: &str| {
        let rows = all["each"][kind].as_array();
        rows.and_then(|rows| rows.iter().find(|row| row["name"] == name)).cloned()
    };
    ensure!(named("instances", "sized-large").is_some_and(|it| it["own_bytes"] == large), "{all}");
    let image = named("images", "hello-flask:latest").unwrap_or_default();
    ensure!(image["instances"].as_u64() >= Some(2), "{all}");
    ensure!(named("volumes", "sized-volume").is_some(), "{all}");
    let text = world.tandem(["system", "df", "-v"])?.ok()?;
    ensure!(["IMAGE ", "INSTANCE ", "VOLUME "].iter().all(|it| text.stdout.contains(it)), "{text}");
    world.tandem(["volume", "rm", "sized-volume"])?.ok()?;

    // What ended goes, and nothing else.
    let pruned = world.tandem(["container", "prune", "-f"])?.ok()?;
    ensure!(pruned.stdout.lines().any(|line| line == "sized-none"), "{pruned}");
    ensure!(pruned.stderr.contains("given back"), "{pruned}");
    world.tandem(["images", "-q", "hello-flask"])?.ok()?;
    Ok(())
}

fn kinds(world: &World) -> Result<()> {
    let line =
        |words: &[&str]| -> Result<String> { Ok(world.tandem(words)?.ok()?.line().to_owned()) };
    world.tandem(["volume", "create", "--label", "a=b", "kinds-both"])?.ok()?;
    world.tandem(["network", "create", "-d", "bridge", "kinds-both"])?.ok()?;
    ended(world, &["--name", "kinds-user", "-v", "kinds-used:/d"], "true")?;
    for (kind, field, expected) in
        [("volume", "{{.Driver}}", "local"), ("network", "{{.Driver}}", "bridge")]
    {
        ensure!(line(&["inspect", "--type", kind, "-f", field, "kinds-both"])? == expected);
        ensure!(line(&[kind, "inspect", "-f", field, "kinds-both"])? == expected);
    }
    ensure!(line(&["inspect", "kinds-both"])?.contains("\"path\""), "a volume goes first");
    let wrong = world.tandem(["inspect", "--type", "image", "kinds-both"])?.code_is(125)?;
    wrong.is_one_sentence(&["kinds-both"])?;
    let config = world.tandem(["image", "inspect", "hello-flask"])?.ok()?.json()?;
    ensure!(config["config"].is_object(), "of one image it is the configuration\n{config}");
    let fields = "{{.Os}} {{json .Config.ExposedPorts}} {{json .RepoTags}}";
    let shown = line(&["image", "inspect", "-f", fields, "hello-flask"])?;
    ensure!(shown.starts_with("linux {\"8080/tcp\":{}} ["), "{shown}");
    ensure!(shown.contains("\"hello-flask:latest\""), "{shown}");
    ensure!(line(&["inspect", "-f", "{{.Id}}", "hello-flask"])?.starts_with("sha256:"));

    // The sample has no label and is older than its commit.
    let made = line(&["commit", "-c", "LABEL kinds=yes", "kinds-user", "kinds:image"])?;
    ensure!(!made.is_empty());
    let names = ["--format", "{{.Repository}}"];
    let listed = |filter: &str| {
        line(&[&["images", "-f", filter, "-f", "reference=kinds*"], &names[..]].concat())
    };
    for filter in ["label=kinds", "label=kinds=yes", "since=hello-flask", "until=2001-01-01"] {
        let expected = if filter.starts_with("until") { "" } else { "kinds" };
        ensure!(listed(filter)? == expected, "{filter}");
    }
    ensure!(listed("label=kinds=no")?.is_empty() && listed("before=hello-flask")?.is_empty());
    let before = line(&[&["images", "-f", "before=kinds:image"], &names[..]].concat())?;
    ensure!(before.lines().any(|name| name == "hello-flask"), "{before}");
    world
        .tandem(["images", "-f", "since=kinds:none"])?
        .code_is(125)?
        .is_one_sentence(&["kinds"])?;
    world.tandem(["image", "rm", "kinds:image"])?.ok()?;

    let dangling = line(&["volume", "ls", "-q", "-f", "dangling=true"])?;
    let has = |name: &str| dangling.lines().any(|line| line == name);
    ensure!(has("kinds-both") && !has("kinds-used"), "{dangling}");
    ensure!(line(&["volume", "list", "-qf", "label=a=b"])? == "kinds-both");
    ensure!(line(&["network", "ls", "-qf", "name=kinds-"])? == "kinds-both");
    world.tandem(["network", "ls", "-f", "driver=x"])?.code_is(2)?.is_one_sentence(&["driver"])?;
    world.tandem(["volume", "create", "-d", "nfs"])?.code_is(2)?.is_one_sentence(&["local"])?;
    world.tandem(["rm", "kinds-user"])?.ok()?;
    world.tandem(["volume", "remove", "kinds-both", "kinds-used"])?.ok()?;
    world.tandem(["network", "remove", "kinds-both"])?.ok()?;
    Ok(())
}

fn volumes_from(world: &World) -> Result<()> {
    let folder = world.scratch().join("bound");
    fs::create_dir(&folder)?;
    let bound = format!("{}:/bound", folder.display());
    let of = ["--name", "from-data", "-v", "/anonymous", "-v", "from-named:/named", "-v", &bound];
    ended(world, &of, "echo a > /anonymous/f; echo b > /named/f; echo c > /bound/f")?;
    let source = "{{range .Mounts}}{{if eq .Destination \"/named\"}}{{.Source}}{{end}}{{end}}";
    let source = world.tandem(["inspect", "-f", source, "from-data"])?.ok()?;
    ensure!(fs::read_to_string(format!("{}/f", source.line()))? == "b\n", "{source}");
    // Docker's way to keep a volume's files.
    let words = ["--rm", "--volumes-from", "from-data:ro"];
    let script = "cat /anonymous/f /named/f /bound/f; touch /named/g 2>/dev/null || echo locked";
    ensure!(ended(world, &words, script)? == "a\nb\nc\nlocked");
    let words = ["--rm", "--volumes-from", "from-data", "--tmpfs", "/named"];
    ensure!(ended(world, &words, "ls /named; echo d > /anonymous/f")?.is_empty());
    let words = ["--rm", "--volumes-from", "from-data"];
    ensure!(ended(world, &words, "cat /anonymous/f")? == "d", "it went with the borrower");
    let lost = world.tandem(["run", "--volumes-from", "from-nobody", "hello-flask"])?;
    lost.code_is(125)?.is_one_sentence(&["from-nobody"])?;
    let slip = world.tandem(["run", "--volumes-from", "from-data:x", "hello-flask"])?;
    slip.code_is(2)?.is_one_sentence(&["from-data:x", "--volumes-from"])?;
    world.tandem(["rm", "-v", "from-data"])?.ok()?;
    world.tandem(["volume", "rm", "from-named"])?.ok()?;
    Ok(())
}

fn groups(world: &World) -> Result<()> {
    let words = ["container", "run", "--name", "groups-one", "--entrypoint", "true", "hello-flask"];
    world.tandem(words)?.ok()?;
    let listed = world.tandem(["container", "ls", "-a", "-f", "name=groups-one"])?.ok()?;
    ensure!(listed.stdout.contains("groups-one"), "{listed}");
    world.tandem(["container", "rm", "groups-one"])?.ok()?;
    ensure!(world.tandem(["version"])?.ok()?.line().starts_with("tandem "));
    ensure!(world.tandem(["info", "--json"])?.ok()?.json()?["home"].is_string());
    for (words, says) in [
        (&["run", "--privileged", "x"][..], "--cap-add"),
        (&["network", "connect", "--ip", "10.0.0.9", "a", "b"], "--alias"),
        (&["compose", "up"], "tandem network create"),
        (&["container", "rm", "--link", "x"], "tandem rm"),
    ] {
        world.tandem(words)?.code_is(2)?.is_one_sentence(&[says])?;
    }
    Ok(())
}
