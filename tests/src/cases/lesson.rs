//! Lessons on the command line: real commands, real checks.

use std::fs;

use anyhow::{Result, ensure};

use super::build::BASE;
use crate::{Case, Need, Start, World};

pub(super) const CASES: &[Case] = &[Case {
    name: "lesson::is_done_for_real_and_kept",
    needs: &[Need::Root],
    start: Start::Built,
    run: done,
}];

fn done(world: &World) -> Result<()> {
    let port = world.free_port()?;
    let text = format!(
        "# Mine\n\nA lesson of the case's own.\n\n## Make\n\n```predict\nWhat will it say?\n- this\n- that\n```\n
```run\ntandem sample copy hello-flask app\ntandem build -t lesson-app --build-arg BASE={BASE} app\ntandem run -d --name lesson-app -p {port}:8080 lesson-app\n```\n
```check\nfile app/app.py contains \"Hello flask\"\nimage lesson-app\ninstance lesson-app running\nport {port} answers \"Hello flask\"\n```\n
## End\n\n```run any\ntandem stop nobody-is-called-so\ntandem rm -f lesson-app\n```\n
```check\ninstance lesson-app absent\n```\n"
    );
    let folder = world.home().join("lessons");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("mine.md"), text)?;
    fs::write(folder.join("broken.md"), "# B\n\n## S\n\n```run\nrm -rf /\n```\n")?;

    let early = world.tandem(["lesson", "run", "mine", "--check", "--step", "1"])?.code_is(1)?;
    ensure!(early.stdout.contains("not yet: the image lesson-app is there"), "{early}");
    let run = world.tandem(["lesson", "run", "mine"])?.ok()?;
    ensure!(
        run.stdout.contains("yes: port") && run.stdout.contains("? What will it say?"),
        "{run}"
    );
    // It is there: doing it again copies over nothing.
    let app = folder.join("work/mine/app/app.py");
    fs::write(&app, fs::read_to_string(&app)?.replace("Hello flask", "Hello class"))?;
    let again = world.tandem(["lesson", "run", "mine"])?.code_is(1)?;
    ensure!(again.stdout.contains("app is there already"), "{again}");
    ensure!(again.stdout.contains("Hello class"), "{again}");

    let rows = world.tandem(["lesson", "ls", "--json"])?.ok()?.json()?;
    let row = |id: &str| {
        rows.as_array().and_then(|rows| rows.iter().find(|row| row["id"] == id)).cloned()
    };
    let mine = row("mine").unwrap_or_default();
    // The prediction is for people.
    ensure!(mine["done"] == 4 && mine["tasks"] == 5 && mine["own"] == true, "{mine}");
    let broken = row("broken").unwrap_or_default();
    ensure!(
        broken["problem"].as_str().is_some_and(|it| it.contains("broken, line 6: `rm`")),
        "{broken}"
    );
    ensure!(row("hello-flask").is_some_and(|it| it["problem"].is_null()), "{rows}");
    world.tandem(["lesson", "run", "broken"])?.code_is(125)?.says(&["broken, line 6"])?;
    world
        .tandem(["lesson", "show", "minee"])?
        .code_is(125)?
        .is_one_sentence(&["did you mean mine"])?;

    world.tandem(["lesson", "export", "mine", "-o", "sheet.html"])?.ok()?;
    let sheet = fs::read_to_string(world.scratch().join("sheet.html"))?;
    ensure!(sheet.contains("☐ this") && sheet.contains("the image lesson-app is there"), "{sheet}");
    let german = ["lesson", "export", "hello-flask", "--language", "de", "-o", "-"];
    let german = world.tandem(german)?.ok()?.stdout;
    ensure!(german.contains("lang=\"de\"") && german.contains("Das Dockerfile"), "{german}");
    let other = ["lesson", "export", "hello-flask", "--language", "fr", "-o", "-"];
    world.tandem(other)?.code_is(2)?.says(&["write `en` or `de`"])?;
    world.tandem(["lesson", "reset", "mine"])?.ok()?;
    ensure!(!folder.join("work/mine").exists(), "the folder is there still");
    world.tandem(["image", "rm", "lesson-app"])?.ok()?;
    fs::remove_dir_all(&folder)?;
    Ok(())
}
