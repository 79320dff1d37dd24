use std::{cell::Cell, io, process::Stdio, rc::Rc, time::Duration};

use jiff::Timestamp;
use tandem_model::{CheckResult, ExecSpec, Health, HealthCheck, HealthStatus};
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe,
    process::{Child, Command},
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{Executor, family::kill_family};

/// Bytes of a check's output that are kept.
const OUTPUT: usize = 4096;

/// How long output may come after a check has ended.
const LAST_OUTPUT: Duration = Duration::from_millis(200);

/// How long a killed check may take to end.
const END: Duration = Duration::from_secs(5);

/// The health checks of a running app. Dropping the value ends them.
pub(super) struct HealthChecks {
    results: mpsc::Receiver<Checked>,
    hold: Rc<Hold>,
    task: JoinHandle<()>,
}

/// Whether an app is held still, and how often it was.
#[derive(Default)]
struct Hold {
    paused: Cell<bool>,
    times: Cell<u64>,
}

/// A result, and whether a failure counts.
pub(super) struct Checked {
    pub(super) result: CheckResult,
    pub(super) counts: bool,
}

impl Drop for HealthChecks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl HealthChecks {
    /// Begins to check, the first time after an interval.
    pub(super) fn begin(executor: Executor, check: HealthCheck) -> Self {
        let (sender, results) = mpsc::channel(1);
        let hold = Rc::new(Hold::default());
        let held = hold.clone();
        let task = tokio::task::spawn_local(async move {
            let begin = Instant::now();
            let starting = || begin.elapsed() < Duration::from_millis(check.start_period_ms);
            let mut succeeded = false;
            loop {
                let quick = !succeeded && starting();
                let interval = if quick { check.start_interval_ms } else { check.interval_ms };
                sleep(Duration::from_millis(interval)).await;
                if held.paused.get() {
                    continue;
                }
                let counts = succeeded || !starting();
                let before = held.times.get();
                let result = run(&executor, &check).await;
                // Held still with the app, or refused for it, it tells nothing.
                if held.times.get() != before {
                    continue;
                }
                succeeded |= result.exit_code == Some(0);
                if sender.send(Checked { result, counts }).await.is_err() {
                    return;
                }
            }
        });
        Self { results, hold, task }
    }

    /// The next result. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Checked {
        match self.results.recv().await {
            Some(result) => result,
            None => std::future::pending().await,
        }
    }

    /// An app that is held still is not checked.
    pub(super) fn pause(&self, paused: bool) {
        self.hold.paused.set(paused);
        self.hold.times.set(self.hold.times.get() + u64::from(paused));
    }
}

/// Waits for the next result when there are checks.
pub(super) async fn next(checks: &mut Option<HealthChecks>) -> Checked {
    match checks {
        Some(checks) => checks.next().await,
        None => std::future::pending().await,
    }
}

/// Draws the conclusion of one more check (Docker's rules).
pub(super) fn judge(health: &mut Health, check: &HealthCheck, checked: Checked) {
    if checked.result.exit_code == Some(0) {
        health.failing = 0;
        health.status = HealthStatus::Healthy;
    } else if checked.counts {
        health.failing = health.failing.saturating_add(1);
        if health.failing >= check.retries.max(1) {
            health.status = HealthStatus::Unhealthy;
        }
    }
    health.log.push(checked.result);
    let surplus = health.log.len().saturating_sub(Health::KEPT);
    health.log.drain(..surplus);
}

async fn run(executor: &Executor, check: &HealthCheck) -> CheckResult {
    let started_at = Timestamp::now();
    let (exit_code, output) = match execute(executor, check).await {
        Ok(done) => done,
        Err(e) => (None, format!("the check cannot be started: {e}")),
    };
    CheckResult { started_at, finished_at: Timestamp::now(), exit_code, output }
}

async fn execute(executor: &Executor, check: &HealthCheck) -> io::Result<(Option<i32>, String)> {
    let spec = ExecSpec { args: check.command.clone(), ..ExecSpec::default() };
    let mut command = executor(&spec).map_err(io::Error::other)?;
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut command = Command::from(command);
    let mut child = command.kill_on_drop(true).spawn()?;
    // Its end of the pipe must not stay open here.
    drop(command);
    let mut source = pipe::Receiver::from_owned_fd(reader.into())?;
    let mut output = Vec::new();
    let limit = Instant::now() + Duration::from_millis(check.timeout_ms);
    let ended = tokio::select! {
        ended = timeout_at(limit, child.wait()) => ended,
        // The output may be over before the check is.
        () = collect(&mut source, &mut output) => timeout_at(limit, child.wait()).await,
    };
    let code = match ended {
        Ok(status) => {
            let _ = timeout(LAST_OUTPUT, collect(&mut source, &mut output)).await;
            Some(status?.code().unwrap_or(137))
        }
        Err(_) => {
            end(&mut child).await;
            None
        }
    };
    let mut text = String::from_utf8_lossy(&output).into_owned();
    if code.is_none() {
        let time =
            tandem_model::format::format_duration(check.timeout_ms.saturating_mul(1_000_000));
        text = format!("the check took longer than {time} and was killed\n{text}");
    }
    Ok((code, text))
}

/// Ends a check that hangs, with everything that it has started.
async fn end(child: &mut Child) {
    if let Some(pid) = child.id() {
        kill_family(pid).await;
    }
    if timeout(END, child.wait()).await.is_err() {
        let _ = child.start_kill();
        let _ = timeout(END, child.wait()).await;
    }
}

/// Reads to the end and keeps the beginning. May be dropped while it waits.
async fn collect(source: &mut pipe::Receiver, kept: &mut Vec<u8>) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = source.read(&mut buffer).await {
        let room = OUTPUT.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&buffer[..room]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(exit_code: Option<i32>, counts: bool) -> Checked {
        let now = Timestamp::now();
        let result =
            CheckResult { started_at: now, finished_at: now, exit_code, output: String::new() };
        Checked { result, counts }
    }

    #[test]
    fn so_many_failures_in_a_row_make_it_unhealthy_and_one_success_well() {
        let check = HealthCheck { retries: 2, ..HealthCheck::default() };
        let mut health = Health { status: HealthStatus::Starting, failing: 0, log: Vec::new() };
        let mut after = |code, counts| {
            judge(&mut health, &check, checked(code, counts));
            (health.status, health.failing, health.log.len())
        };
        assert_eq!(after(Some(1), false), (HealthStatus::Starting, 0, 1));
        assert_eq!(after(Some(1), true), (HealthStatus::Starting, 1, 2));
        assert_eq!(after(None, true), (HealthStatus::Unhealthy, 2, 3));
        assert_eq!(after(Some(0), true), (HealthStatus::Healthy, 0, 4));
        assert_eq!(after(Some(9), true), (HealthStatus::Healthy, 1, 5));
        assert_eq!(after(Some(0), true), (HealthStatus::Healthy, 0, Health::KEPT));
    }

    fn shell(script: &str, timeout_ms: u64) -> HealthCheck {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        HealthCheck { command, timeout_ms, ..HealthCheck::default() }
    }

    fn here() -> Executor {
        Box::new(|spec: &ExecSpec| {
            let mut command = std::process::Command::new(&spec.args[0]);
            command.args(&spec.args[1..]);
            Ok(command)
        })
    }

    #[tokio::test]
    async fn a_check_tells_its_code_and_what_it_wrote() {
        let result = run(&here(), &shell("echo out; echo err >&2; exit 7", 60_000)).await;
        assert_eq!((result.exit_code, result.output.as_str()), (Some(7), "out\nerr\n"));
        let flood = run(&here(), &shell("yes | head -c 100000", 60_000)).await;
        assert_eq!((flood.exit_code, flood.output.len()), (Some(0), OUTPUT));
        let missing = HealthCheck { command: vec!["/no/such".into()], ..shell("", 1000) };
        let result = run(&here(), &missing).await;
        assert!(result.exit_code.is_none() && result.output.contains("cannot be started"));
    }

    #[tokio::test]
    async fn a_check_that_is_held_still_with_the_app_tells_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let begun = dir.path().join("begun");
        let script = format!("echo >> {}; sleep 0.3; exit 1", begun.display());
        let check = HealthCheck { interval_ms: 20, ..shell(&script, 10_000) };
        let work = async {
            let mut checks = HealthChecks::begin(here(), check);
            while !begun.exists() {
                sleep(Duration::from_millis(5)).await;
            }
            // In the middle of the first.
            checks.pause(true);
            checks.pause(false);
            let counted = checks.next().await;
            let runs = std::fs::read_to_string(&begun).unwrap().lines().count();
            assert_eq!((counted.result.exit_code, runs), (Some(1), 2));
        };
        tokio::task::LocalSet::new().run_until(work).await;
    }

    #[tokio::test]
    async fn a_check_that_hangs_is_killed() {
        let result = run(&here(), &shell("echo begun; sleep 1000", 300)).await;
        assert_eq!(result.exit_code, None);
        assert!(result.output.contains("longer than 0.30 s"), "{}", result.output);
        assert!(result.output.ends_with("begun\n"), "{}", result.output);
    }
}
