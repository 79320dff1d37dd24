//! A long log is read.

use std::{path::PathBuf, rc::Rc, time::Duration};

use anyhow::{Context as _, Result, ensure};

use crate::bench::{
    claim::{Bound, Claim},
    field::Field,
    ground::IMAGE,
    measure::{Contender, Measure, Prepare, Reading, Unit},
    peers::{
        Engine, Running,
        window::{SOON, WINDOW, Window, check},
    },
    stage::Stage,
};

pub(super) const MEASURE: Measure = Measure {
    name: "log",
    title: "frames while a log of 100,000 lines is scrolled from its first line to its last",
    unit: Unit::Time,
    claims: &[Claim::Median { of: FRAME, bound: Bound::AtMost(34e6) }],
    notes: &["Each frame scrolls a 120th of the log; a frame at 60 Hz is 16.7 ms. slowest is the \
         longest of each trial, shown the time from the choice of the instance to the last line."],
    contenders: &[(WINDOW, READING)],
};

const FRAME: &str = "frame";

const READING: Prepare = |name, field: &Field| {
    check(name)?;
    let home = field.ground.home().to_owned();
    Ok(Box::new(Scrolling { home, engine: field.engine("container")? }))
};

const CONTAINER: &str = "bench-log";

/// Writes the lines, of which the last is another one, and stays.
const WRITER: &str = "import time
for number in range(99999):
    print(f'{number:06d} a line as servers write them: GET /index.html 200 0.{number % 997:03d} s')
print('all written', flush=True)
time.sleep(3600)";

/// Hands over how long each frame took while the log was scrolled, in
/// milliseconds.
const SCROLL: &str = "
    const done = arguments[0];
    const box = document.querySelector('[data-testid=instance-log]');
    const frame = () => new Promise(requestAnimationFrame);
    (async () => {
        box.scrollTop = 0;
        await frame(); await frame();
        const frames = [];
        let before = await frame();
        for (let at = 1; at <= 120; at += 1) {
            box.scrollTop = (box.scrollHeight - box.clientHeight) * at / 120;
            const now = await frame();
            frames.push(now - before);
            before = now;
        }
        done(frames);
    })();";

struct Scrolling {
    home: PathBuf,
    engine: Rc<dyn Engine>,
}

impl Contender for Scrolling {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, _: &Stage) -> Result<Vec<Reading>> {
        let words = ["--entrypoint", "python", IMAGE, "-c", WRITER];
        let running = Running::start(&*self.engine, CONTAINER, &words)?;
        crate::poll::until("the log", SOON, || {
            let last = self.engine.call(&["logs", "--tail", "1", CONTAINER]).ok()?;
            last.stdout.contains("all written").then_some(())
        })?;
        let window = Window::open(WINDOW, &self.home)?;
        let readings = read(&window);
        window.close()?;
        running.end()?;
        readings
    }
}

fn read(window: &Window) -> Result<Vec<Reading>> {
    window.desktop.click("nav-workbench")?;
    let row = format!("document.querySelector('[data-testid=instance-row-{CONTAINER}]')");
    window.wait("the instance", &format!("return !!{row}"), SOON)?;
    let choose = format!("
        const done = arguments[0], begin = performance.now();
        {row}.querySelector('[data-testid=instance-choose]').click();
        const look = () => {{
            const text = document.querySelector('[data-testid=instance-log]')?.textContent ?? '';
            if (text.endsWith('all written') || performance.now() - begin > 25000) done([performance.now() - begin]);
            else requestAnimationFrame(look);
        }};
        look();");
    let shown = *window.numbers(&choose)?.first().context("nothing was measured")?;
    ensure!(shown < 25_000.0, "the last line did not come within 25 seconds");
    // The first line must be there too, not only the end.
    let first = "
        const box = document.querySelector('[data-testid=instance-log]');
        box.scrollTop = 0;
        return box.textContent.includes('000000 a line')";
    window.wait("the first line", first, Duration::from_secs(20))?;
    let frames = window.numbers(SCROLL)?;
    ensure!(frames.len() == 120, "{} frames", frames.len());
    let slowest = frames.iter().copied().fold(0.0, f64::max);
    let mut readings = vec![("shown", shown * 1e6), ("slowest", slowest * 1e6)];
    readings.extend(frames.into_iter().map(|ms| (FRAME, ms * 1e6)));
    Ok(readings)
}
