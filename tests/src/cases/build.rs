//! Images: built here, read by others.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{Case, Need, Start, Terminal, World, shared_home::STAND_IN};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "build::skopeo_reads_the_image",
        needs: &[Need::Root, Need::Program("skopeo")],
        start: Start::Built,
        run: skopeo,
    },
    Case {
        name: "build::umoci_unpacks_the_image",
        needs: &[Need::Root, Need::Program("umoci")],
        start: Start::Built,
        run: umoci,
    },
    case("build::a_second_build_is_cached_and_the_same", cached),
    case("build::instructions_have_their_effect", instructions),
    case("build::ignored_files_stay_outside", ignored),
    case("build::an_edit_rebuilds_from_there_on", edited),
    case("build::a_terminal_shows_what_runs_and_lines_have_time_and_bytes", shown),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

/// The base of every image in these cases: bootstrapped by the shared home.
pub(super) const BASE: &str = "localhost/tandem/python:3.11-bookworm";

/// Builds a folder of the scratch space and returns the image's digest.
pub(super) fn build(world: &World, tag: &str, folder: &str) -> Result<String> {
    let context = world.scratch().join(folder);
    let output =
        world.tandem(["build".as_ref(), "-t".as_ref(), tag.as_ref(), context.as_os_str()])?;
    let digest = output.ok()?.line().to_owned();
    ensure!(digest.starts_with("sha256:"), "no digest on standard output: {digest}");
    Ok(digest)
}

/// Digest of a local image, from the listing.
fn listed_digest(world: &World, name: &str) -> Result<String> {
    let images = world.tandem(["images", "--json"])?.ok()?.json()?;
    let row = images.as_array().and_then(|rows| rows.iter().find(|row| row["name"] == name));
    let digest = row.and_then(|row| row["digest"].as_str());
    Ok(digest.with_context(|| format!("{name} is not listed in {images}"))?.to_owned())
}

/// The name under which the image layout has this digest.
fn layout_name(world: &World, digest: &str) -> Result<String> {
    let index = fs::read_to_string(world.home().join("images/index.json"))?;
    let index: Value = serde_json::from_str(&index)?;
    let manifests = index["manifests"].as_array().context("no manifests in index.json")?;
    let name = manifests
        .iter()
        .find(|manifest| manifest["digest"] == digest)
        .and_then(|manifest| manifest["annotations"]["org.opencontainers.image.ref.name"].as_str());
    Ok(name.with_context(|| format!("{digest} has no name in {index}"))?.to_owned())
}

fn skopeo(world: &World) -> Result<()> {
    let digest = listed_digest(world, "hello-flask")?;
    let name = layout_name(world, &digest)?;
    let place = format!("oci:{}:{name}", world.home().join("images").display());
    let seen = world.run("skopeo", &["inspect", &place])?.ok()?.json()?;
    ensure!(seen["Digest"] == digest.as_str(), "another digest than ours: {seen}");
    ensure!(seen["Os"] == "linux" && seen["Architecture"] == "amd64", "{seen}");

    let theirs = world.run("skopeo", &["inspect", "--config", &place])?.ok()?.json()?;
    let ours = world.tandem(["image", "inspect", "hello-flask"])?.ok()?.json()?;
    ensure!(theirs["config"] == ours["config"], "{theirs}\nis not\n{ours}");
    ensure!(theirs["config"]["ExposedPorts"] == json!({ "8080/tcp": {} }), "{theirs}");
    ensure!(theirs["rootfs"]["diff_ids"] == ours["rootfs"]["diff_ids"], "{theirs}");
    Ok(())
}

fn umoci(world: &World) -> Result<()> {
    // umoci wants a layout of its own to write its reference into.
    let digest = listed_digest(world, "hello-flask")?;
    let name = layout_name(world, &digest)?;
    let ours = format!("oci:{}:{name}", world.home().join("images").display());
    let copy = world.scratch().join("layout");
    let theirs = format!("oci:{}:app", copy.display());
    world.run("skopeo", &["copy", "-q", &ours, &theirs])?.ok()?;
    let bundle = world.scratch().join("bundle");
    let image = format!("{}:app", copy.display());
    world.run("umoci", &["unpack", "--image", &image, &bundle.to_string_lossy()])?.ok()?;
    let app = bundle.join("rootfs/app/app.py");
    ensure!(fs::read_to_string(&app)?.contains("Flask"), "{} is not the sample", app.display());
    Ok(())
}

fn cached(world: &World) -> Result<()> {
    let folder = world.scratch().join("sample");
    let copy = ["sample".as_ref(), "copy".as_ref(), "hello-flask".as_ref(), folder.as_os_str()];
    world.tandem(copy)?.ok()?;
    let folder = folder.to_string_lossy();
    let again = ["build", "-t", "again", "--build-context", STAND_IN, &folder];
    let output = world.tandem(again)?.ok()?;
    output.says(&["cached"])?;
    ensure!(output.line() == listed_digest(world, "hello-flask")?, "{output}");
    world.tandem(["image", "rm", "again"])?.ok()?;
    Ok(())
}

fn instructions(world: &World) -> Result<()> {
    let dockerfile = format!(
        r#"# every instruction that the samples use, and a continued line
ARG BASE={BASE}
FROM $BASE
ARG WHO=nobody
ENV GREETING="hello $WHO" \
    EMPTY=
LABEL org.example.who="$WHO" one=1
WORKDIR /srv
WORKDIR app
COPY main.py ./
COPY data/ data/
RUN echo "made by $WHO" > made.txt \
 && chmod 640 made.txt
EXPOSE 9000 9001/tcp
USER 1234:1234
ENTRYPOINT ["python", "main.py"]
CMD ["default"]
"#
    );
    world.write("image/Dockerfile", &dockerfile)?;
    world.write("image/data/note.txt", "a note\n")?;
    world.write(
        "image/main.py",
        "import os, sys\nprint(os.environ['GREETING'], os.getcwd(), os.getuid(), open('data/note.txt').read().strip(), sys.argv[1:])\n",
    )?;
    let folder = world.scratch().join("image");
    world
        .tandem([
            "build".as_ref(),
            "-t".as_ref(),
            "instructions".as_ref(),
            "--build-arg".as_ref(),
            "WHO=Ada".as_ref(),
            folder.as_os_str(),
        ])?
        .ok()?;

    let config = world.tandem(["image", "inspect", "instructions"])?.ok()?.json()?;
    let config = &config["config"];
    ensure!(config["WorkingDir"] == "/srv/app", "{config}");
    ensure!(config["User"] == "1234:1234", "{config}");
    ensure!(config["Entrypoint"] == json!(["python", "main.py"]), "{config}");
    ensure!(config["Cmd"] == json!(["default"]), "{config}");
    ensure!(
        config["Labels"]["org.example.who"] == "Ada" && config["Labels"]["one"] == "1",
        "{config}"
    );
    ensure!(config["ExposedPorts"] == json!({ "9000/tcp": {}, "9001/tcp": {} }), "{config}");
    let env = config["Env"].as_array().context("no Env")?;
    ensure!(
        env.contains(&json!("GREETING=hello Ada")) && env.contains(&json!("EMPTY=")),
        "{config}"
    );

    let output = world.tandem(["run", "--rm", "instructions"])?.ok()?;
    ensure!(output.line() == "hello Ada /srv/app 1234 a note ['default']", "{output}");
    let output = world.tandem(["run", "--rm", "instructions", "other", "words"])?.ok()?;
    ensure!(output.line().ends_with("['other', 'words']"), "{output}");
    world.tandem(["image", "rm", "instructions"])?.ok()?;
    Ok(())
}

fn ignored(world: &World) -> Result<()> {
    world.write(
        "ignoring/Dockerfile",
        &format!("FROM {BASE}\nCOPY . /in\nCMD [\"ls\", \"-A\", \"/in\"]\n"),
    )?;
    world.write("ignoring/.dockerignore", "*.log\nsecret\n!keep.log\n.dockerignore\n")?;
    for file in ["a.log", "keep.log", "secret/key", "plain"] {
        world.write(&format!("ignoring/{file}"), "x")?;
    }
    build(world, "ignoring", "ignoring")?;
    let output = world.tandem(["run", "--rm", "ignoring"])?.ok()?;
    let mut names: Vec<&str> = output.line().lines().collect();
    names.sort_unstable();
    ensure!(names == ["Dockerfile", "keep.log", "plain"], "{output}");
    world.tandem(["image", "rm", "ignoring"])?.ok()?;
    Ok(())
}

fn edited(world: &World) -> Result<()> {
    let dockerfile =
        format!("FROM {BASE}\nRUN echo slow > /slow\nCOPY text /text\nCMD [\"cat\", \"/text\"]\n");
    world.write("edit/Dockerfile", &dockerfile)?;
    world.write("edit/text", "first\n")?;
    let first = build(world, "edit", "edit")?;
    world.write("edit/text", "second\n")?;
    let second = build(world, "edit", "edit")?;
    ensure!(first != second, "an edited file left the image as it was");
    let output = world.tandem(["run", "--rm", "edit"])?.ok()?;
    ensure!(output.line() == "second", "{output}");
    world.tandem(["image", "rm", "edit"])?.ok()?;
    Ok(())
}

const LIMIT: Duration = Duration::from_mins(1);

fn shown(world: &World) -> Result<()> {
    let recipe = format!(
        "FROM {BASE}\nRUN echo early; sleep 1; echo late; sleep 0.5; echo x > /x\nRUN echo oh; exit 3\n"
    );
    world.write("seen/Dockerfile", &recipe)?;
    let mut terminal = Terminal::start(world.command(["build", "--no-cache", "seen"]), 30, 60)?;
    // While it runs its time grows and its last lines stand below, all of
    // which goes when it has ended.
    terminal.expect("      early", LIMIT)?;
    let ticking = terminal.expect("      late", LIMIT)?;
    let times = ticking.matches("] ").count();
    ensure!(times >= 5 && ticking.contains("\x1b[2A\r\x1b[J"), "{times} pictures: {ticking}");
    let ended = terminal.expect(" B  RUN echo early; sleep 1", LIMIT)?;
    let ended = ended.lines().last().context("no line")?.to_owned();
    ensure!(ended.contains("[2/3]") && ended.contains(" 1.") && ended.contains(" s "), "{ended}");
    terminal.expect("ended with code 3", LIMIT)?;
    ensure!(terminal.end(LIMIT)? == 125);
    // Elsewhere there are lines, with the same.
    let lines = world.tandem(["build", "--no-cache", "seen"])?.code_is(125)?;
    ensure!(!lines.stderr.contains('\x1b'), "{lines}");
    let done = lines.stderr.lines().filter(|line| line.starts_with("      done in "));
    ensure!(done.filter(|line| line.ends_with(" B")).count() == 1, "{lines}");
    lines.says(&["      early", "      late"])?;
    Ok(())
}
