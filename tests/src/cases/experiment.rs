//! Experiments with few trials, and the results that they leave.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{Background, Case, Need, Start, World, ledger::memory_adds_up, poll, validate_result};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "experiment::equal_lanes_and_results_that_travel",
        needs: &[Need::Root],
        start: Start::Built,
        run: equal_lanes,
    },
    Case {
        name: "experiment::containers_side_by_side_and_resized_under_load",
        needs: &[Need::Root],
        start: Start::Built,
        run: density_and_resize,
    },
    Case {
        name: "experiment::courses_in_containers_tell_the_truth",
        needs: &[Need::Root],
        start: Start::Built,
        run: courses,
    },
    Case {
        name: "experiment::what_comes_back_is_told_as_it_is",
        needs: &[Need::Root, Need::Program("qemu-system-x86_64")],
        start: Start::Built,
        run: snapshots,
    },
    Case {
        name: "experiment::a_killed_run_goes_on_and_then_guides",
        needs: &[Need::Root],
        start: Start::Built,
        run: killed,
    },
    Case {
        name: "experiment::what_cannot_run_is_one_sentence",
        needs: &[],
        start: Start::Empty,
        run: wrong,
    },
];

const LIMIT: Duration = Duration::from_mins(5);

/// Runs an experiment in container lanes and returns its checked document.
fn measure(world: &World, id: &str, options: &[&str]) -> Result<Value> {
    let file = format!("{id}.json");
    let mut arguments = vec!["experiment", "run", id, "--json", &file];
    arguments.extend(options);
    world.tandem_within(LIMIT, arguments)?.ok()?;
    let document: Value = serde_json::from_str(&fs::read_to_string(world.scratch().join(&file))?)?;
    validate_result(&document)?;
    ensure!(document["experiment"] == id, "{}", document["experiment"]);
    Ok(document)
}

fn equal_lanes(world: &World) -> Result<()> {
    let options = ["--lanes", "container,container", "--trials", "1", "--cache", "cold"];
    let document = measure(world, "startup", &options)?;
    let ids: Vec<_> = document["lanes"].as_array().context("no lanes")?.iter().collect();
    ensure!(ids.len() == 2 && ids[1]["id"] == "container#2", "{ids:?}");
    ensure!(document["design"]["cache"] == "cold", "{}", document["design"]);
    let verdicts = document["verdicts"].to_string();
    ensure!(verdicts.contains("A/A"), "equal lanes are not judged: {verdicts}");
    let trials = document["trials"].as_array().context("no trials")?;
    let dropped = |trial: &Value| trial["metrics"]["cache_dropped_bytes"].as_u64();
    ensure!(trials.iter().all(|trial| dropped(trial) > Some(1 << 20)), "nothing was dropped");

    let id = document["id"].as_str().context("no id")?;
    let listed: Value =
        serde_json::from_str(&world.tandem(["result", "ls", "--json"])?.ok()?.stdout)?;
    ensure!(listed[0]["id"] == id && listed[0]["trials"] == 4, "{listed}");
    for (format, begins) in [
        ("json", "{"),
        ("csv", "lane,"),
        ("html", "<!doctype html>"),
        ("svg", "<svg"),
        ("png", "\u{89}PNG"),
        ("pdf", "%PDF-1."),
        ("md", "# "),
    ] {
        let file = format!("out.{format}");
        world.tandem(["result", "export", id, "--format", format, "-o", &file])?.ok()?;
        let bytes = fs::read(world.scratch().join(&file))?;
        let start: String = bytes.iter().take(begins.len()).map(|&byte| char::from(byte)).collect();
        ensure!(bytes.len() > 100 && start.starts_with(begins), "{file} begins with `{start}`");
    }
    // A failed export leaves the file that was there, and no other.
    let missing =
        world.tandem(["result", "export", id, "--format", "pdf", "-o", "none/out.pdf"])?;
    ensure!(missing.code != Some(0) && missing.stderr.contains("none/out.pdf"), "{missing}");
    // What is here already is not taken twice; what was removed comes back.
    let again = world.tandem(["result", "import", "out.json"])?;
    ensure!(again.code == Some(2) && again.stderr.contains("already"), "{again}");
    world.tandem(["result", "rm", id])?.ok()?;
    world.tandem(["result", "import", "out.json"])?.ok()?;
    let shown: Value =
        serde_json::from_str(&world.tandem(["result", "show", id, "--json"])?.ok()?.stdout)?;
    ensure!(shown == document, "the imported result is another one");
    for (format, begins) in
        [("html", "<!doctype html>"), ("md", "# Results of a class"), ("csv", "experiment,")]
    {
        let words = ["result", "class", "out.json", "--format", format, "-o", "-"];
        let page = world.tandem(words)?.ok()?.stdout;
        ensure!(page.starts_with(begins) && page.contains("startup"), "{page:.200}");
    }
    world.tandem(["result", "class", "out.json", "--format", "html"])?.code_is(2)?;
    let text = fs::read_to_string(world.scratch().join("out.json"))?;
    world.write("cut.json", &text[..text.len() / 2])?;
    let cut = world.tandem(["result", "import", "cut.json"])?;
    ensure!(cut.code == Some(2) && cut.stderr.contains("not a whole JSON"), "{cut}");
    Ok(())
}

fn density_and_resize(world: &World) -> Result<()> {
    let options = ["--lanes", "container", "--trials", "2", "--instances", "3"];
    let density = measure(world, "density", &options)?;
    let metrics = &density["trials"][0]["metrics"];
    ensure!(metrics["instances"].as_f64() >= Some(1.0), "{metrics}");
    let memory = density["trials"][0]["series"]["memory"].as_array().context("no curve")?;
    ensure!(!memory.is_empty(), "no memory");
    memory_adds_up(&density, "container")?;

    let resize = measure(world, "resize", &["--lanes", "container", "--trials", "1"])?;
    let metrics = &resize["trials"][0]["metrics"];
    ensure!(metrics["failed_requests"].as_f64() == Some(0.0), "requests were lost: {metrics}");
    ensure!(metrics["cold_failed_requests"].as_f64() > Some(0.0), "no gap when cold: {metrics}");
    ensure!(metrics["cold_resize_downtime"].as_f64() > Some(0.0), "{metrics}");
    Ok(())
}

/// The metrics of the only trial of a lane.
fn found<'a>(document: &'a Value, lane: &str) -> Result<&'a Value> {
    let trials = document["trials"].as_array().context("no trials")?;
    let trial = trials.iter().find(|trial| trial["lane"] == lane).context("no such lane")?;
    ensure!(trial["outcome"] == "measured", "{trial}");
    Ok(&trial["metrics"])
}

fn courses(world: &World) -> Result<()> {
    let once = ["--lanes", "container", "--trials", "1"];
    let document = measure(world, "persistence", &once)?;
    let subject = subject_of(world)?;
    let kept = found(&document, "container")?;
    // A stopped container keeps its files, a new one has none, a volume stays.
    for (metric, yes) in [
        ("layer_restart", true),
        ("layer_anew", false),
        ("volume_restart", true),
        ("volume_anew", true),
    ] {
        ensure!(kept[format!("survives.{metric}")] == yes, "{metric}: {kept}");
    }
    let document = measure(world, "isolation", &once)?;
    let seen = found(&document, "container")?;
    for metric in ["own_kernel", "sees_host_processes", "sees_host_files", "can_mount"] {
        ensure!(seen[metric] == false, "{metric}: {seen}");
    }
    ensure!(seen["contained.bomb"] == true && seen["kernel"].is_string(), "{seen}");
    ensure!(seen["contained.hog"] == true && seen["hog_bytes"].as_u64() > Some(0), "{seen}");
    let document = measure(world, "portability", &once)?;
    let moved = found(&document, "container")?;
    for metric in ["same_answer", "same_digest", "file_came_along"] {
        ensure!(moved[metric] == true, "{metric}: {moved}");
    }
    let document = measure(world, "elasticity", &[&once[..], &["--memory", "96m"]].concat())?;
    let grown = found(&document, "container")?;
    ensure!(grown["reached_without_limit_bytes"] == grown["demand_bytes"], "{grown}");
    ensure!(grown["got_without_limit_cpus"].as_f64() > Some(0.0), "{grown}");
    grew_with_what_was_given(grown)?;
    // Held back at its limit, unless others left it less than that.
    let share = number(grown, "got_cpus")? / number(grown, "limit_cpus")?;
    ensure!(grown["throttled"] == true || share < 0.9, "{grown}");
    killed_build(world)?;
    let document = measure(world, "build", &once)?;
    let built = found(&document, "container")?;
    ensure!(built["build_cached"].as_u64() < built["build_cold"].as_u64(), "{built}");
    ensure!(rebuilt(world)?.is_empty(), "{:?}", rebuilt(world)?);
    let document = measure(world, "overhead", &["--lanes", "process,container", "--trials", "1"])?;
    let (process, container) = (found(&document, "process")?, found(&document, "container")?);
    ensure!(process["cpu_time"].as_u64() > Some(0), "{process}");
    ensure!(
        process["work_digest"].as_str().is_some_and(|it| it.starts_with("sha256:")),
        "{process}"
    );
    ensure!(process["work_digest"] == container["work_digest"], "{process} {container}");
    for metric in ["disk_read_time", "disk_random_time", "disk_sync_time", "throughput"] {
        ensure!(container[metric].as_f64() > Some(0.0), "{metric}: {container}");
    }
    let document = measure(world, "neighbour", &once)?;
    let felt = found(&document, "container")?;
    ensure!(felt["latency_p99"].as_f64() >= felt["latency_p50"].as_f64(), "{felt}");
    ensure!(felt["latency_p99_beside_disk"].as_f64() > Some(0.0), "{felt}");
    // The program that worked has left with its image, and the subject's name
    // stands for what it stood for, however often it was built meanwhile.
    let images = world.tandem(["images", "--json"])?.ok()?;
    ensure!(!images.stdout.contains("localhost/tandem/work"), "{images}");
    ensure!(subject_of(world)? == subject, "{images}");
    cancelled_elsewhere(world)
}

fn number(metrics: &Value, metric: &str) -> Result<f64> {
    metrics[metric].as_f64().with_context(|| format!("no {metric}: {metrics}"))
}

/// Within its limit it got no more than that, with more it got all of it, and
/// what it gave back or was taken from it the host had again.
fn grew_with_what_was_given(grown: &Value) -> Result<()> {
    ensure!(grown["killed_for_memory"] == true, "{grown}");
    let of = |metric| number(grown, metric);
    ensure!(of("reached_bytes")? <= of("limit_bytes")?, "{grown}");
    ensure!(of("got_cpus")? > 0.0 && of("got_cpus")? < of("limit_cpus")? * 1.3, "{grown}");
    let reached = of("reached_when_given_bytes")?;
    ensure!(reached >= of("demand_bytes")?, "{grown}");
    ensure!(of("got_when_given_cpus")? > 0.0 && of("allocate_lag")? > 0.0, "{grown}");
    let most = of("memory_host_when_given")?;
    ensure!(most >= of("demand_bytes")? && of("memory_host")? > 0.0, "{grown}");
    ensure!(of("memory_host_taken_back")? < most * 0.8, "{grown}");
    Ok(())
}

fn images(world: &World) -> Result<Vec<Value>> {
    let rows = world.tandem(["images", "--json"])?.json()?;
    Ok(rows.as_array().context("no list of images")?.clone())
}

/// The image that `hello-flask` means.
fn subject_of(world: &World) -> Result<Value> {
    let images = images(world)?;
    let named = |row: &&Value| {
        row["name"].as_str().is_some_and(|name| name.ends_with("hello-flask"))
            && row["tag"] == "latest"
    };
    Ok(images.iter().find(named).context("no hello-flask")?["digest"].clone())
}

/// Names of images that only the experiments `build` and `snapshot` have.
fn rebuilt(world: &World) -> Result<Vec<Value>> {
    let of_build = |row: &Value| row["name"] == "localhost/tandem/rebuilt";
    Ok(images(world)?.into_iter().filter(of_build).collect())
}

/// What a killed run has built, the next one takes away.
fn killed_build(world: &World) -> Result<()> {
    let words = ["experiment", "run", "build", "--lanes", "container", "--trials", "9"];
    let mut running = world.background(words)?;
    poll::until("the first image of the run", LIMIT, || {
        rebuilt(world).ok().filter(|found| !found.is_empty()).map(drop)
    })?;
    running.signal(Signal::SIGKILL)?;
    running.wait(LIMIT)?;
    ensure!(!rebuilt(world)?.is_empty(), "it went with its run");
    Ok(())
}

/// A run that is cancelled while an instance lives in a second home leaves
/// neither; the watch over the machine would find them.
fn cancelled_elsewhere(world: &World) -> Result<()> {
    let scratch = world.home().join("tmp");
    let second = || -> Option<()> {
        let folders = fs::read_dir(&scratch).ok()?.flatten();
        let mut homes = folders.map(|it| it.path().join("elsewhere/instances"));
        homes.find(|it| {
            let mut instances = fs::read_dir(it).into_iter().flatten().flatten();
            instances.any(|it| it.path().join("instance.json").is_file())
        })?;
        Some(())
    };
    let words = ["experiment", "run", "portability", "--lanes", "container", "--trials", "9"];
    let mut running = world.background(words)?;
    poll::until("an instance in a second home", LIMIT, second)?;
    running.signal(Signal::SIGINT)?;
    ensure!(running.wait(LIMIT)? == Some(130), "it was not cancelled");
    ensure!(second().is_none(), "the second home is there still");
    let rows = world.tandem(["result", "ls", "--json"])?.json()?;
    ensure!(rows[0]["stopped"] == "the run was cancelled", "{}", rows[0]);
    let left = world.tandem(["ps", "-a", "--json"])?.json()?;
    let of_run = |row: &Value| row["name"].as_str().is_some_and(|it| it.starts_with("portability"));
    ensure!(!left.as_array().is_some_and(|rows| rows.iter().any(of_run)), "{left}");
    Ok(())
}

/// Killed after its second trial, resumed, and looked at by the guide.
fn killed(world: &World) -> Result<()> {
    let empty = world.tandem(["guide"])?.code_is(2)?;
    empty.is_one_sentence(&["nothing to reckon with", "experiment run density"])?;
    let words = ["experiment", "run", "size", "--lanes", "container", "--trials", "12"];
    let expected = "forty <megabytes>";
    let mut running = world.background([&words[..], &["--predict", expected]].concat())?;
    let id = poll::until("its second trial", LIMIT, || begun(world).ok().flatten())?;
    let early = world.tandem(["experiment", "resume", &id])?.code_is(2)?;
    early.is_one_sentence(&["still runs"])?;
    running.signal(Signal::SIGKILL)?;
    running.wait(LIMIT)?;
    let file = "resumed.json";
    let mut running = world.background(["experiment", "resume", &id[..8], "--json", file])?;
    hold_still(world, &running, &id)?;
    ensure!(running.wait(LIMIT)? == Some(0), "it could not be resumed");
    let document: Value = serde_json::from_str(&fs::read_to_string(world.scratch().join(file))?)?;
    validate_result(&document)?;
    ensure!(document["id"] == id.as_str(), "{}", document["id"]);
    for said in ["resumed after", "Tandem itself was held still for"] {
        ensure!(document["warnings"].to_string().contains(said), "{}", document["warnings"]);
    }
    let trials = document["trials"].as_array().context("no trials")?;
    let counted = trials.iter().filter(|it| it["warmup"] == false && it["outcome"] == "measured");
    ensure!(counted.count() == 12, "{trials:?}");
    world
        .tandem(["experiment", "resume", &id])?
        .code_is(2)?
        .is_one_sentence(&["has its result"])?;

    explained(world, &document, expected)?;
    let guide = world.tandem(["guide", "--class", "12", "--json"])?.ok()?.json()?;
    let lane = &guide["lanes"][0];
    ensure!(lane["lane"] == "container" && lane["fits"].as_u64() > Some(0), "{guide}");
    ensure!(lane["class"]["count"] == 12 && lane["binding"].is_string(), "{guide}");
    ensure!(guide["results"][0]["id"] == id.as_str(), "{guide}");
    ensure!(guide["advice"].to_string().contains("share this machine's kernel"), "{guide}");
    Ok(())
}

/// Holds a laboratory still for a moment, as Ctrl-Z does: what it then timed
/// came later than it was, and it must say so. More than once, for a moment
/// may lie between two trials.
fn hold_still(world: &World, running: &Background, id: &str) -> Result<()> {
    let trials = || -> Option<u64> {
        let rows = world.tandem(["result", "ls", "--json"]).ok()?.json().ok()?;
        rows.as_array()?.iter().find(|row| row["id"] == id)?["trials"].as_u64()
    };
    let before = trials().context("it is not listed")?;
    poll::until("a trial after the resumption", LIMIT, || {
        trials().filter(|count| *count > before).map(drop)
    })?;
    for _ in 0..3 {
        running.signal(Signal::SIGSTOP)?;
        std::thread::sleep(Duration::from_millis(700));
        running.signal(Signal::SIGCONT)?;
        std::thread::sleep(Duration::from_millis(150));
    }
    Ok(())
}

/// The run of `size` that is going on, once it has measured twice. Other cases'
/// results may be in the home.
pub(super) fn begun(world: &World) -> Result<Option<String>> {
    let rows = world.tandem(["result", "ls", "--json"])?.json()?;
    let all = rows.as_array().context("no list")?;
    let open = |row: &&Value| row["experiment"] == "size" && row["finished_at"].is_null();
    let found = all.iter().find(open).filter(|row| row["trials"].as_u64() >= Some(2));
    Ok(found.and_then(|row| row["id"].as_str()).map(str::to_owned))
}

/// What was expected stands in the result, and what was made of it too.
fn explained(world: &World, document: &Value, expected: &str) -> Result<()> {
    ensure!(document["predictions"][0]["expected"] == expected, "{}", document["predictions"]);
    let id = document["id"].as_str().context("an id")?;
    let why = "layers are shared";
    world.tandem(["result", "explain", id, why])?.ok()?;
    let stored = world.tandem(["result", "export", id, "--format", "json", "-o", "-"])?.json()?;
    validate_result(&stored)?;
    ensure!(stored["predictions"][0]["explanation"] == why, "{}", stored["predictions"]);
    let page = world.tandem(["result", "export", id, "--format", "html", "-o", "-"])?.ok()?;
    ensure!(page.stdout.contains("forty &lt;megabytes&gt;"), "the report lacks the prediction");
    let long = "a".repeat(2001);
    let refused = world.tandem(["result", "explain", id, &long])?.code_is(2)?;
    refused.is_one_sentence(&["2001 characters", "keeps 2000"])?;

    // The recorded results come in once, and say what they are.
    let recorded = world.tandem(["result", "import", "--recorded"])?.ok()?;
    ensure!(recorded.stdout.lines().count() >= 12, "{recorded}");
    ensure!(world.tandem(["result", "import", "--recorded"])?.ok()?.stdout.is_empty());
    let rows: Value = world.tandem(["result", "ls", "--json"])?.json()?;
    let marked = |row: &&Value| row["origin"] == "recorded";
    let count = rows.as_array().map_or(0, |rows| rows.iter().filter(marked).count());
    ensure!(count == recorded.stdout.lines().count(), "{rows}");
    // Each of them has a picture, whatever it is about.
    for row in rows.as_array().context("no list")?.iter().filter(marked) {
        let id = row["id"].as_str().context("an id")?;
        let picture = world.tandem(["result", "export", id, "--format", "svg", "-o", "-"])?.ok()?;
        ensure!(picture.stdout.starts_with("<svg"), "{row}\n{picture:.200}");
    }
    Ok(())
}

fn snapshots(world: &World) -> Result<()> {
    let document = measure(world, "snapshot", &["--lanes", "container,vm", "--trials", "1"])?;
    let (container, vm) = (found(&document, "container")?, found(&document, "vm/micro")?);
    // A container's comes back where CRIU works, and says so.
    ensure!(
        container["survives.disk"] == true
            && container["survives.memory"] == container["with_memory"],
        "{container}"
    );
    ensure!(vm["survives.disk"] == true && vm["survives.memory"] == true, "{vm}");
    // Files and memory leave their home; no other way brings memory back.
    ensure!(container["survives.disk_elsewhere"] == true, "{container}");
    ensure!(container["survives.memory_elsewhere"] == false, "{container}");
    // An image has its files, a volume's copy what was in the volume alone.
    for (metric, yes) in [
        ("disk_from_commit", true),
        ("memory_from_commit", false),
        ("connection_from_commit", false),
        ("volume_from_copy", true),
        ("disk_from_copy", false),
        ("memory_from_copy", false),
    ] {
        ensure!(container[format!("survives.{metric}")] == yes, "{metric}: {container}");
    }
    ensure!(rebuilt(world)?.is_empty(), "{:?}", rebuilt(world)?);
    for (metric, yes) in
        [("disk_elsewhere", true), ("memory_elsewhere", true), ("memory_from_files", false)]
    {
        ensure!(vm[format!("survives.{metric}")] == yes, "{metric}: {vm}");
    }
    // Who is killed hangs up, however well it is remembered.
    for lane in [&container, &vm] {
        ensure!(lane["survives.connection"] == false, "{lane}");
    }
    // The article's claim falls where a container's memory comes back too.
    let outcome = if container["with_memory"] == true { "refuted" } else { "supported" };
    ensure!(document["verdicts"][0]["outcome"] == outcome, "{}", document["verdicts"]);
    // A machine gets more when somebody allocates it, and gives back when it is
    // taken: of what its app has freed the host has nothing by itself.
    let once = ["--lanes", "vm", "--trials", "1", "--memory", "192m"];
    let document = measure(world, "elasticity", &once)?;
    let grown = found(&document, "vm/micro")?;
    grew_with_what_was_given(grown)?;
    let freed = number(grown, "memory_host_freed")?;
    ensure!(freed > number(grown, "memory_host_taken_back")? * 1.25, "{grown}");
    Ok(())
}

fn wrong(world: &World) -> Result<()> {
    let listed: Value =
        serde_json::from_str(&world.tandem(["experiment", "ls", "--json"])?.ok()?.stdout)?;
    ensure!(listed.as_array().is_some_and(|all| all.len() == 12), "{listed}");
    for (arguments, word) in [
        (["experiment", "run", "nonsense"], "no experiment `nonsense`"),
        (["experiment", "run", "densty"], "did you mean `density`?"),
        (["experiment", "describe", "snapshots"], "did you mean `snapshot`?"),
        (["result", "show", "ffff"], "no result"),
        (["result", "import", "nowhere"], "nowhere: No such file or directory (os error 2); check"),
        (["import", "--disk", "nowhere"], "nowhere: No such file or directory (os error 2); check"),
        (["cp", "nowhere", "app:/"], "nowhere: No such file or directory (os error 2); check"),
    ] {
        let output = world.tandem(arguments)?;
        ensure!(output.code != Some(0) && output.stderr.contains(word), "{output}");
        ensure!(output.stderr.trim().lines().count() == 1, "{output}");
    }
    let run = |words: &[&str]| world.tandem([&["experiment", "run", "startup"], words].concat());
    let lane = run(&["--lanes", "contaner"])?.code_is(2)?;
    lane.is_one_sentence(&["`contaner` is not a lane", "did you mean container?"])?;
    let subject = run(&["--subject", "helo-flask"])?.code_is(125)?;
    subject.is_one_sentence(&["helo-flask", "did you mean `hello-flask`?"])?;
    run(&["--trials", "0"])?.code_is(2)?.is_one_sentence(&["--trials", "from 1 to 1000"])?;
    Ok(())
}
