//! Many commands at once, and many cycles of one supervisor.

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::unistd::Pid;

use super::{archive::build_tools, container::row, faults::is_sound};
use crate::{Case, Need, Output, Start, World, poll};

const BOX: &[Need] = &[Need::Root, Need::Program("busybox")];

pub(super) const CASES: &[Case] = &[
    case("faults::thirty_two_commands_at_once", crowd),
    case("faults::fifty_cycles_leak_no_file_descriptor", cycles),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: BOX, start: Start::Empty, run }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

const LIMIT: Duration = Duration::from_mins(4);

fn crowd(world: &World) -> Result<()> {
    build_tools(world)?;
    for number in 0..4 {
        let text = format!(
            "FROM box:1\nCOPY own /own\nRUN [\"/bin/busybox\", \"sleep\", \"0.0{number}\"]\n"
        );
        world.write(&format!("own{number}/Dockerfile"), &text)?;
        world.write(&format!("own{number}/own"), &format!("{number}"))?;
    }
    world.tandem(words("save -o box.tar box:1"))?.ok()?;
    world.tandem(words("run -d --name shared --network none box:1 sleep 600"))?.ok()?;
    let commands: Vec<String> = (0..4)
        .flat_map(|n| {
            [
                format!("run --rm --name short{n} box:1 echo {n}"),
                format!("run -d --name long{n} -p :80 -v data:/data box:1 sleep 600"),
                format!("build -t same own{n}"),
                format!("build -t own{n} own{n}"),
                "load -i box.tar".to_owned(),
                format!("commit shared committed{n}"),
                "exec shared true".to_owned(),
                "system check".to_owned(),
            ]
        })
        .collect();
    ensure!(commands.len() == 32);
    let outputs: Vec<Result<Output>> = thread::scope(|scope| {
        let started: Vec<_> = commands
            .iter()
            .map(|text| scope.spawn(|| world.tandem_within(LIMIT, words(text))))
            .collect();
        started
            .into_iter()
            .map(|it| it.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a thread panicked"))))
            .collect()
    });
    for (text, output) in commands.iter().zip(outputs) {
        let output = output?;
        // What lies in the store while others write may belong to nobody yet.
        if text == "system check" {
            let bad = output.stdout.lines().find(|line| !line.contains("no image needs it"));
            ensure!(bad.is_none(), "{output}");
        } else {
            output.ok()?;
        }
    }
    let rows = world.tandem(["ps", "--json"])?.ok()?.json()?;
    ensure!(rows.as_array().is_some_and(|rows| rows.len() == 5), "{rows}");
    let images = world.tandem(["images", "--json"])?.ok()?.json()?;
    ensure!(images.as_array().is_some_and(|rows| rows.len() == 10), "{images}");
    let own = world.tandem(words("run --rm --network none own3 cat /own"))?.ok()?;
    ensure!(own.line() == "3", "{own}");
    world.tandem(words("rm -f shared long0 long1 long2 long3"))?.ok()?;
    is_sound(world, world.home())
}

fn descriptors(pid: u64) -> Result<Vec<String>> {
    let folder = PathBuf::from(format!("/proc/{pid}/fd"));
    let entries = fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .map(|target| target.display().to_string())
        .collect();
    names.sort();
    Ok(names)
}

fn cycles(world: &World) -> Result<()> {
    build_tools(world)?;
    let run = "run -d --name it -p :80 --restart always --health-cmd true --health-interval 100ms \
               box:1 sh -c";
    let app = "echo begun; exec sleep 600";
    world.tandem([words(run), vec![app.to_owned()]].concat())?.ok()?;
    let record = world.tandem(["inspect", "it"])?.ok()?.json()?;
    let runtime = &record[0]["runtime"];
    let supervisor = runtime["supervisor"]["pid"].as_u64().or(runtime["supervisor"].as_u64());
    let supervisor = supervisor.context("no supervisor")?;
    world.write("file", "text")?;
    let cycle = |number: usize| -> Result<()> {
        for text in [
            "exec it true",
            "exec it no-such-program",
            "logs --tail 1 it",
            "top it",
            "cp file it:/file",
            "pause it",
            "unpause it",
            "update --memory 100m it",
        ] {
            let output = world.tandem(words(text))?;
            ensure!(output.code == Some(0) || text.contains("no-such"), "{output}");
        }
        // Now and then another life, another snapshot, and somebody who
        // looks on and is gone.
        if number.is_multiple_of(16) {
            let mut looking = world.background(words("attach --no-stdin it"))?;
            thread::sleep(Duration::from_millis(50));
            looking.signal(nix::sys::signal::Signal::SIGKILL)?;
            looking.wait(LIMIT)?;
            world.tandem(words("snapshot create it one"))?.ok()?;
            world.tandem(words("snapshot rm it one"))?.ok()?;
            let before = row(world, "it")?["pid"].clone();
            let pid = i32::try_from(before.as_i64().context("no process")?)?;
            nix::sys::signal::kill(Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)?;
            poll::until("another life", LIMIT, || {
                let row = row(world, "it").ok()?;
                (row["state"] == "running" && row["pid"] != before).then_some(())
            })?;
        }
        Ok(())
    };
    // The first cycle opens what stays open.
    cycle(0)?;
    let settled = || {
        // What a moment opens (a health check, a connection that ends) closes.
        let begin = Instant::now();
        let mut least = descriptors(supervisor)?;
        while begin.elapsed() < Duration::from_secs(3) {
            thread::sleep(Duration::from_millis(50));
            let now = descriptors(supervisor)?;
            if now.len() < least.len() {
                least = now;
            }
        }
        anyhow::Ok(least)
    };
    let before = settled()?;
    for number in 1..=50 {
        cycle(number).with_context(|| format!("cycle {number}"))?;
    }
    let after = settled()?;
    ensure!(after.len() <= before.len(), "before: {before:#?}\nafter: {after:#?}");
    world.tandem(words("rm -f it"))?.ok()?;
    is_sound(world, world.home())
}
