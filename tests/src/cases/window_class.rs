//! The Results page and the teacher's view in the real window.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    window::{ENDING, SOON, case, open, says},
    window_results::{exported, fits, resumed},
};
use crate::{
    Case, World,
    desktop::{Desktop, Look},
};

pub(super) const CASES: &[Case] = &[
    case("window::results_stand_side_by_side", beside),
    case("window::a_teacher_sees_the_class_and_packs_a_bundle", teacher),
];

/// Two runs of lanes that need no machine; their ids, the later one first.
pub(super) fn two_runs(world: &World) -> Result<[String; 2]> {
    let run = |seed: &str| -> Result<String> {
        let arguments = ["compare", "hello-flask", "--lanes", "container,process", "--trials", "4"];
        let more = ["--seed", seed, "--json", "-"];
        let made = world.tandem(arguments.iter().chain(&more))?.ok()?.json()?;
        made["id"].as_str().map(str::to_owned).context("the result has no id")
    };
    let first = run("1")?;
    Ok([run("2")?, first])
}

fn beside(world: &World) -> Result<()> {
    let [b, a] = two_runs(world)?;
    let told = world.tandem(["result", "compare", &a, &b, "--json"])?.ok()?.json()?;
    let row = told["rows"].as_array().and_then(|rows| rows.first()).context("no rows")?;
    ensure!(row["metric"] == "first_response", "{row}");
    let ratio = row["cells"][1]["against"]["ratio"].as_f64().context("no ratio")?;
    let text = world.tandem(["result", "compare", &a, &b])?.ok()?.stdout;
    ensure!(text.contains("time to the first answer") && text.contains("×"), "{text}");
    let twice = world.tandem(["result", "compare", &a, &a])?.code_is(2)?;
    twice.is_one_sentence(&["named twice"])?;

    let desktop = open(world, Look::Light)?;
    desktop.click("nav-results")?;
    desktop.click(&format!("result-pick-{a}"))?;
    desktop.click(&format!("result-pick-{b}"))?;
    desktop.click("results-compare")?;
    desktop.wait("beside-table", SOON)?;
    let command = desktop.text("cli-equivalent")?;
    ensure!(command == format!("tandem result compare {a} {b}"), "{command}");
    let shown = desktop.text("beside-table")?;
    let digits: String = format!("{ratio:.2}").chars().take(4).collect();
    ensure!(shown.contains(&digits), "{ratio} is not in {shown}");
    desktop.wait("beside-chart-container", SOON)?;
    desktop.screenshot("beside-light")?;
    desktop.click("beside-base-1")?;
    desktop.until("the other way round", SOON, async |page| {
        let script = "return document.querySelector('[data-testid=cli-equivalent]').innerText";
        let text = page.execute(script, Vec::new()).await?;
        Ok((text == format!("tandem result compare {b} {a}")).then_some(()))
    })?;
    desktop.click("beside-back")?;

    // Every raw trial of one of them.
    desktop.script(&format!(
        "document.querySelector('[data-testid=result-row-{a}] button').click()"
    ))?;
    desktop.wait("result-raw", SOON)?;
    desktop.script("document.querySelector('[data-testid=result-raw]').open = true")?;
    let rows = "return document.querySelectorAll('[data-testid=result-trials] tbody tr').length";
    let stored = world.tandem(["result", "show", &a, "--json"])?.ok()?.json()?;
    let trials = stored["trials"].as_array().map(Vec::len);
    ensure!(desktop.script(rows)?.as_u64() == trials.map(|it| it as u64), "not every trial");
    exported(world, &desktop, &a)?;
    explain(world, &desktop, &a)?;
    desktop.click("result-back")?;
    resumed(world, &desktop)?;
    fits(world, &desktop)?;
    desktop.close(ENDING)
}

/// Why it came out so is typed, kept and shown as text; recordings come in
/// with one click and say what they are.
fn explain(world: &World, desktop: &Desktop, id: &str) -> Result<()> {
    let why = "<b>It has a kernel to boot</b>";
    desktop.fill("result-explanation", why)?;
    desktop.click("result-explain")?;
    let kept = || -> Result<Option<()>> {
        let stored = world.tandem(["result", "show", id, "--json"])?.ok()?.json()?;
        Ok((stored["predictions"][0]["explanation"] == why).then_some(()))
    };
    crate::poll::until("the explanation in the result", SOON, || kept().ok().flatten())?;
    desktop.click("result-back")?;
    desktop.click("results-recorded")?;
    let count = "return [...document.querySelectorAll('[data-testid=results-list] tbody tr')]
        .filter((row) => row.innerText.includes('recorded')).length";
    desktop.until("the recorded results", SOON, async |page| {
        let found = page.execute(count, Vec::new()).await?;
        Ok((found.as_u64() >= Some(12)).then_some(()))
    })?;
    desktop.script(
        "[...document.querySelectorAll('[data-testid=results-list] tbody tr')]
        .find((row) => row.innerText.includes('recorded')).querySelector('button').click()",
    )?;
    desktop.wait("result-raw", SOON)?;
    desktop.screenshot("recorded-light")
}

/// What students hand in: three machines, and what does not count.
fn hand_in(world: &World, result: &Value) -> Result<()> {
    let folder = world.scratch().join("handed-in");
    fs::create_dir(&folder)?;
    for number in 1..=3 {
        let mut one = result.clone();
        one["id"] = format!("student-{number}").into();
        one["machine"]["fingerprint"] = format!("machine-{number}").into();
        one["machine"]["cpu"] = format!("Processor {number}").into();
        fs::write(folder.join(format!("student{number}.json")), one.to_string())?;
    }
    fs::write(folder.join("broken.json"), "{")?;
    let mut future = result.clone();
    future["schema"] = "tandem.result/9".into();
    fs::write(folder.join("future.json"), future.to_string())?;
    fs::copy(folder.join("student1.json"), folder.join("again.json"))?;
    fs::write(world.scratch().join("late.json"), {
        let mut late = result.clone();
        late["id"] = "student-late".into();
        late["machine"]["fingerprint"] = "machine-late".into();
        late.to_string()
    })?;
    Ok(())
}

fn teacher(world: &World) -> Result<()> {
    let [id, _] = two_runs(world)?;
    let result = world.tandem(["result", "show", &id, "--json"])?.ok()?.json()?;
    hand_in(world, &result)?;
    let text = world.tandem(["result", "class", "handed-in"])?.ok()?;
    ensure!(text.stdout.contains("on 3 machines"), "{text}");
    ensure!(text.stderr.contains("broken.json") && text.stderr.contains("count twice"), "{text}");

    let desktop = open(world, Look::Light)?;
    desktop.click("nav-lessons")?;
    desktop.click("lessons-class")?;
    let folder = world.scratch().join("handed-in").display().to_string();
    desktop.fill("class-paths", &folder)?;
    desktop.click("class-look")?;
    says(&desktop, "class-group", "3 machines")?;
    let refused = desktop.text("class-refused")?;
    ensure!(refused.contains("broken.json") && refused.contains("count twice"), "{refused}");
    ensure!(refused.contains("future.json") && refused.contains("tandem.result/9"), "{refused}");
    let command = desktop.text("cli-equivalent")?;
    ensure!(command == format!("tandem result class {folder}"), "{command}");
    desktop.wait("class-chart-class", SOON)?;
    desktop.screenshot("class-light")?;
    written(world, &desktop)?;
    // A file that came late is chosen in the window.
    desktop.send("class-files", &world.scratch().join("late.json").display().to_string())?;
    says(&desktop, "class-group", "4 machines")?;
    present(&desktop)?;
    bundle(world, &desktop)?;

    // The lesson itself, for the class to look at.
    desktop.click("lesson-card-hello-flask")?;
    desktop.click("lesson-present")?;
    desktop.wait("stage", SOON)?;
    press(&desktop, "ArrowRight")?;
    at(&desktop, "1")?;
    desktop.screenshot("stage-lesson-light")?;
    press(&desktop, "Escape")?;
    gone(&desktop, "stage")?;
    let sheet = world.tandem(["lesson", "worksheet", "hello-flask", "-o", "-"])?.ok()?.stdout;
    ensure!(sheet.contains("@media print") && !sheet.contains("☒"), "{sheet}");
    let answers = ["lesson", "export", "hello-flask", "--answers", "-o", "-"];
    ensure!(world.tandem(answers)?.ok()?.stdout.contains("☒"), "no answer is ticked");
    desktop.close(ENDING)
}

/// The class as one file, in each format as the command writes it.
fn written(world: &World, desktop: &Desktop) -> Result<()> {
    for (format, ending) in [("html", "html"), ("markdown", "md"), ("csv", "csv")] {
        let [file, same] = ["window", "command"].map(|by| {
            let path = world.scratch().join(format!("class-by-{by}.{ending}"));
            path.display().to_string()
        });
        desktop.script(&format!(
            "const list = document.querySelector('[data-testid=class-format]');
             list.value = '{format}'; list.dispatchEvent(new Event('change', {{ bubbles: true }}));"
        ))?;
        desktop.fill("class-file", &file)?;
        let command = desktop.text("cli-equivalent")?;
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        ensure!(words.contains(&ending) && words.contains(&file.as_str()), "{command}");
        desktop.click("class-export")?;
        says(desktop, "class-written", &file)?;
        let replaced: Vec<&str> =
            words.iter().map(|word| if *word == file { same.as_str() } else { word }).collect();
        world.tandem(&replaced)?.ok()?;
        let [made, wanted] = [fs::read(&file)?, fs::read(&same)?];
        ensure!(made == wanted && !made.is_empty(), "{file} is not what `{command}` writes");
        // A file that is there is not written over.
        desktop.fill("class-file", &file)?;
        desktop.click("class-export")?;
        says(desktop, "error-banner", "choose another name")?;
        ensure!(fs::read(&file)? == made, "{file} was written over");
    }
    // What is to be written no longer stands in the command.
    desktop.fill("class-file", " ")?;
    desktop.screenshot("class-export-light")
}

/// The charts alone, moved by the keyboard.
fn present(desktop: &Desktop) -> Result<()> {
    desktop.click("class-present")?;
    desktop.wait("stage-chart", SOON)?;
    press(desktop, "ArrowRight")?;
    at(desktop, "1")?;
    desktop.screenshot("stage-class-light")?;
    press(desktop, "ArrowLeft")?;
    at(desktop, "0")?;
    desktop.click("stage-close")?;
    gone(desktop, "stage")
}

fn bundle(world: &World, desktop: &Desktop) -> Result<()> {
    let file = world.scratch().join("class.tandem");
    desktop.fill("bundle-file", &file.display().to_string())?;
    desktop.fill("bundle-images", "hello-flask")?;
    desktop.click("bundle-here")?;
    desktop.click("bundle-create")?;
    says(desktop, "bundle-report", "Written to")?;
    ensure!(file.is_file(), "there is no bundle");
    desktop.script("document.querySelector('[data-testid=bundles]').scrollIntoView()")?;
    desktop.screenshot("bundle-light")?;
    // A file that is there is not written over.
    desktop.click("bundle-create")?;
    says(desktop, "error-banner", "is there already: choose another name")?;
    desktop.fill("bundle-from", &file.display().to_string())?;
    desktop.click("bundle-open")?;
    says(desktop, "bundle-report", "was here")?;
    a_found_one(world, desktop, &file)
}

/// What lies among the downloads is offered, and opened by one click.
fn a_found_one(world: &World, desktop: &Desktop, file: &Path) -> Result<()> {
    let downloads = world.scratch().join("user/Downloads");
    fs::create_dir_all(&downloads)?;
    fs::rename(file, downloads.join("class.tandem"))?;
    desktop.click("nav-lab")?;
    desktop.click("nav-lessons")?;
    desktop.click("class-back")?;
    says(desktop, "found-bundles", "Downloads/class.tandem")?;
    desktop.screenshot("bundle-found-light")?;
    desktop.click("found-bundle-0")?;
    says(desktop, "bundle-report", "Downloads/class.tandem")
}

/// A key for the page, as the person's keyboard gives it.
fn press(desktop: &Desktop, key: &str) -> Result<()> {
    let code = match key {
        "ArrowRight" => "\u{e014}",
        "ArrowLeft" => "\u{e012}",
        _ => "\u{e00c}",
    };
    desktop.send("stage-slide", code)
}

fn at(desktop: &Desktop, number: &str) -> Result<()> {
    desktop.until(&format!("slide {number}"), SOON, async |page| {
        let script = "return document.querySelector('[data-testid=stage]')?.dataset.at ?? ''";
        Ok((page.execute(script, Vec::new()).await? == number).then_some(()))
    })
}

fn gone(desktop: &Desktop, id: &str) -> Result<()> {
    desktop.until(&format!("the end of {id}"), SOON, async |page| {
        let script = format!("return !document.querySelector('[data-testid={id}]')");
        Ok((page.execute(&script, Vec::new()).await? == true).then_some(()))
    })
}
