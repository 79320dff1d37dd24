use std::{
    process::ExitCode,
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::{Need, World, shared_home};

/// The home a case begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// An empty folder.
    Empty,
    /// The home that all such cases share: the Python base is bootstrapped and
    /// `hello-flask` is built in it. No instance may stay in it.
    Built,
}

/// One end-to-end test.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Unique, `area::what`.
    pub name: &'static str,
    /// What the machine must have.
    pub needs: &'static [Need],
    /// The home it begins with.
    pub start: Start,
    /// The test; a panic or an error fails it.
    pub run: fn(&World) -> Result<()>,
}

/// How long each case took: a run has a limit, and is shortened where it is long.
static TIMES: Mutex<Vec<(Duration, &str)>> = Mutex::new(Vec::new());

/// Runs the cases that the arguments select, tells which took longest, removes
/// what they shared, and returns the exit code of the run.
pub fn run_cases(arguments: &Arguments, cases: Vec<Case>) -> ExitCode {
    let trials = cases.into_iter().map(trial).collect();
    let conclusion = libtest_mimic::run(arguments, trials);
    for line in slowest(12) {
        eprintln!("{line}");
    }
    if let Err(error) = shared_home::remove() {
        eprintln!("the shared home could not be removed: {error:#}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn trial(case: Case) -> Trial {
    Trial::ignorable_test(case.name, move || {
        if let Some(reason) = case.needs.iter().find_map(|need| need.missing()) {
            return Ok(Completion::ignored_with(reason));
        }
        let begin = Instant::now();
        let outcome = World::new(case.start).and_then(|world| {
            // A panic must not skip the clean-up, nor hide what was left.
            let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (case.run)(&world)));
            let result = run.unwrap_or_else(|panic| Err(anyhow::anyhow!("{}", text_of(&*panic))));
            world.end(result)
        });
        if let Ok(mut times) = TIMES.lock() {
            times.push((begin.elapsed(), case.name));
        }
        match outcome {
            Ok(()) => Ok(Completion::Completed),
            Err(error) => Err(Failed::from(format!("{error:#}"))),
        }
    })
}

/// The cases that took longest, a line each.
fn slowest(count: usize) -> Vec<String> {
    let mut times = TIMES.lock().map(|times| times.clone()).unwrap_or_default();
    times.sort_unstable_by(|a, b| b.cmp(a));
    let line = |(time, name): &(Duration, &str)| format!("{:>6.1} s  {name}", time.as_secs_f64());
    times.iter().take(count).map(line).collect()
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("the case panicked")
}
