//! The comparison that runs or ran last, and who watches it.
//!
//! ```text
//! engine ──record()──▶ journal ──pump(), about ten times a second──▶ frame ──▶ page
//! ```
//!
//! Events are kept from the beginning, so a page that is loaded again while a
//! comparison runs sees all of it. Charts are drawn outside the lock, because
//! the engine that records is being measured.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tandem_app::{App, Cancel, ChartView, Charts, ExperimentRequest, Frame, Live, Timed};
use tandem_model::{ErrorCode, Failure, RunEvent};
use tokio::sync::Notify;

/// Time between two frames.
const FRAME: Duration = Duration::from_millis(100);

/// Takes a frame to the page.
type Send = Box<dyn Fn(Frame) + std::marker::Send>;

/// See the module.
#[derive(Default)]
pub(crate) struct Session {
    state: Mutex<State>,
    changed: Notify,
    settled: Notify,
}

#[derive(Default)]
struct State {
    run: Option<Run>,
    send: Option<Send>,
    view: Option<ChartView>,
    /// Events that the page has.
    sent: usize,
    /// The page has nothing of this run yet.
    first: bool,
    /// The charts are older than the events.
    stale: bool,
}

/// A comparison that has begun and is to be carried out.
#[derive(Debug)]
pub(crate) struct Begun {
    cancel: Cancel,
    /// The instances that the last one left running, by id and name.
    kept: Vec<(String, String)>,
}

struct Run {
    request: ExperimentRequest,
    began: Instant,
    events: Vec<Timed>,
    live: Live,
    cancel: Cancel,
    active: bool,
    /// The instances that were left running, by id and name.
    kept: Vec<(String, String)>,
}

impl Session {
    /// Carries out a comparison that has begun, in a task of its own.
    pub(crate) fn carry(self: Arc<Self>, app: Arc<App>, request: ExperimentRequest, begun: Begun) {
        let Begun { cancel, kept } = begun;
        tokio::spawn(async move {
            self.discard(&app, kept).await;
            let mut record = |event| self.record(event);
            let ended = app.experiment(&request, &mut record, &cancel).await;
            self.end(match ended {
                Ok(result) => RunEvent::Finished { result: Box::new(result) },
                Err(e) => RunEvent::Stopped { error: e.to_failure(), cleaned: Vec::new() },
            });
        });
    }

    /// Sends every frame from now on to `send`, from the beginning of the run
    /// that goes on or was the last; returns its request.
    pub(crate) fn watch(&self, send: Send) -> Option<ExperimentRequest> {
        let mut state = self.state();
        (state.send, state.sent, state.first, state.stale) = (Some(send), 0, true, true);
        self.changed.notify_one();
        state.run.as_ref().map(|run| run.request.clone())
    }

    /// The charts as they are now, in a new size or theme.
    pub(crate) fn draw(&self, view: ChartView) -> Charts {
        let (live, now) = {
            let mut state = self.state();
            state.view = Some(view);
            match &state.run {
                Some(run) => (run.live.clone(), run.began.elapsed()),
                None => return Charts::default(),
            }
        };
        live.draw(now, &view)
    }

    /// Asks the run to stop and clean up.
    pub(crate) fn cancel(&self) {
        if let Some(run) = &self.state().run {
            run.cancel.cancel();
        }
    }

    /// Whether a comparison is going on.
    pub(crate) fn is_active(&self) -> bool {
        self.state().run.as_ref().is_some_and(|run| run.active)
    }

    /// Refused while one is going on: two at once disturb each other.
    pub(crate) fn leaves_calm(&self) -> Result<(), Failure> {
        if self.is_active() {
            return Err(Failure::new(
                ErrorCode::Conflict,
                "a comparison is running, and an experiment would disturb it: wait for its end, or cancel it",
            ));
        }
        Ok(())
    }

    /// Resolves when none is going on.
    pub(crate) async fn settled(&self) {
        loop {
            let settled = self.settled.notified();
            if !self.is_active() {
                return;
            }
            settled.await;
        }
    }

    /// Sends frames for ever.
    pub(crate) async fn pump(self: Arc<Self>) {
        loop {
            let ticks = self.state().run.as_ref().is_some_and(|run| run.live.is_ticking());
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(FRAME), if ticks => {}
            }
            self.send_frame();
            tokio::time::sleep(FRAME).await;
        }
    }

    /// Begins a comparison in the place of the last one. Only one runs at a
    /// time.
    pub(crate) fn begin(
        &self,
        request: &ExperimentRequest,
        view: ChartView,
    ) -> Result<Begun, Failure> {
        let mut state = self.state();
        if state.run.as_ref().is_some_and(|run| run.active) {
            return Err(Failure::new(
                ErrorCode::Conflict,
                "a comparison is running: wait for its end, or cancel it",
            ));
        }
        let cancel = Cancel::new();
        let run = Run {
            request: request.clone(),
            began: Instant::now(),
            events: Vec::new(),
            live: Live::default(),
            cancel: cancel.clone(),
            active: true,
            kept: Vec::new(),
        };
        let kept = state.run.replace(run).map(|last| last.kept).unwrap_or_default();
        (state.view, state.sent, state.first, state.stale) = (Some(view), 0, true, true);
        self.changed.notify_one();
        Ok(Begun { cancel, kept })
    }

    /// Removes what the last run left: it would take processor and memory
    /// from what is measured now.
    async fn discard(&self, app: &App, kept: Vec<(String, String)>) {
        // One that got another name is somebody's own by now.
        let is_ours = |(id, name): &(String, String)| {
            app.inspect(id).is_ok_and(|record| record.spec.name == *name)
        };
        let kept: Vec<_> = kept.into_iter().filter(is_ours).collect();
        if kept.is_empty() {
            return;
        }
        let names: Vec<_> = kept.iter().map(|(_, name)| name.as_str()).collect();
        let message = format!("stopping {} from the last comparison", names.join(" and "));
        self.record(RunEvent::Preparing { step: "clean".to_owned(), message });
        for (id, _) in &kept {
            // One that a person removed meanwhile is no longer there.
            if let Err(e) = app.remove(id, true, true).await
                && e.code() != ErrorCode::NotFound
            {
                self.record(RunEvent::Warning { message: e.to_string() });
            }
        }
    }

    fn record(&self, event: RunEvent) {
        let mut state = self.state();
        state.stale = true;
        if let Some(run) = &mut state.run {
            let at = run.began.elapsed();
            run.live.apply(at, &event);
            if let RunEvent::Kept { instance, name, .. } = &event {
                run.kept.push((instance.clone(), name.clone()));
            }
            run.events.push(Timed { at_ms: at.as_secs_f64() * 1e3, event });
        }
        self.changed.notify_one();
    }

    /// Records the last event, unless the run has told its end itself.
    fn end(&self, event: RunEvent) {
        let last = |timed: &Timed| {
            matches!(timed.event, RunEvent::Finished { .. } | RunEvent::Stopped { .. })
        };
        let told =
            self.state().run.as_ref().and_then(|run| run.events.last().map(last)).unwrap_or(false);
        if !told {
            self.record(event);
        }
        if let Some(run) = &mut self.state().run {
            run.active = false;
        }
        self.settled.notify_waiters();
    }

    fn send_frame(&self) {
        let mut state = self.state();
        let State { run: Some(run), send: Some(_), view, sent, first, stale } = &mut *state else {
            return;
        };
        let now = run.began.elapsed();
        let events = run.events[*sent..].to_vec();
        *sent = run.events.len();
        let first = std::mem::take(first);
        let redraw = std::mem::take(stale) || run.live.is_ticking();
        let live = (redraw && run.live.has_lanes()).then(|| run.live.clone());
        let view = *view;
        drop(state);

        let charts = live.zip(view).map(|(live, view)| live.draw(now, &view));
        let frame = Frame { first, now_ms: now.as_secs_f64() * 1e3, events, charts };
        if let Some(send) = &self.state().send {
            send(frame);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
