use std::{ops::Deref, sync::atomic::Ordering::Relaxed, time::Instant};

use futures_util::future::BoxFuture;

use super::{
    settings::Scope,
    shared::{Ended, Shared, locked},
    state::State,
};
use crate::{
    BuildError, BuildEvent, OutputStream, StepReport,
    cache::Made,
    parse::{Instruction, Kind, Word},
};

/// One stage while it is built.
pub(super) struct Builder<'a> {
    shared: &'a Shared<'a>,
    /// The stage's number.
    at: usize,
    /// The number of the step that runs.
    pub(super) index: u32,
}

impl<'a> Deref for Builder<'a> {
    type Target = Shared<'a>;

    fn deref(&self) -> &Self::Target {
        self.shared
    }
}

impl<'a> Builder<'a> {
    pub(super) fn new(shared: &'a Shared<'a>, at: usize) -> Self {
        Self { shared, at, index: 0 }
    }

    /// Builds the stage and keeps it. It waits for other stages where it
    /// needs what they made.
    pub(super) async fn stage(mut self) -> Result<(), BuildError> {
        let at = self.at;
        let stage = self.plan.stages[at].clone();
        let mut state = self.base(&stage).await?;
        let triggers = state.document.config.on_build.take().unwrap_or_default();
        let mut steps = Vec::new();
        for trigger in triggers {
            let mut step = crate::parse::parse_trigger(&trigger)?;
            // It happens where the base image is named.
            step.span = stage.from.span;
            steps.push(step);
        }
        self.total.fetch_add(u32::try_from(steps.len()).unwrap_or(u32::MAX), Relaxed);
        steps.extend(stage.steps);
        for step in &steps {
            // The time of another stage is no part of this step's.
            for source in self.plan.taken_from(at, step) {
                self.finished(source).await?;
            }
            let started = self.begin(&stage.name, step);
            let ended = self.step(at, &mut state, step).await?;
            self.finish(step, started, &ended);
        }
        self.done[at].send_replace(Some(state));
        Ok(())
    }

    /// Builds a stage that the plan left out: only the triggers of a base image
    /// can name one.
    pub(super) fn late(&self, at: usize) -> BoxFuture<'_, Result<(), BuildError>> {
        Box::pin(async move {
            let made = self.late[at].get_or_try_init(|| {
                let steps = 1 + self.plan.stages[at].steps.len();
                self.total.fetch_add(u32::try_from(steps).unwrap_or(u32::MAX), Relaxed);
                Box::pin(Builder::new(self.shared, at).stage())
            });
            made.await?;
            Ok(())
        })
    }

    async fn step(
        &mut self,
        stage: usize,
        state: &mut State,
        instruction: &Instruction,
    ) -> Result<Ended, BuildError> {
        match &instruction.kind {
            Kind::Copy(transfer) => {
                self.transfer(stage, state, instruction, transfer, "COPY").await
            }
            Kind::Add(transfer) => self.transfer(stage, state, instruction, transfer, "ADD").await,
            Kind::Run(run) => self.run(stage, state, instruction, run).await,
            Kind::Workdir(path) => self.workdir(state, instruction, path).await,
            _ => self.settings(state, instruction),
        }
    }

    /// An instruction that changes no file. It is cached all the same, for
    /// its time: an unchanged build gives the same image.
    fn settings(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
    ) -> Result<Ended, BuildError> {
        let before = state.document.config.clone();
        let scope = Scope {
            dockerfile: &self.dockerfile,
            build_args: &self.options.build_args,
            globals: &self.plan.globals,
        };
        let Some(line) = scope.apply(state, &instruction.kind)? else {
            return Ok(Ended { cached: false, bytes: 0 });
        };
        let key = self.key(&("settings", &state.chain, &before, &line))?;
        let (made, cached) = match self.remembered(&key) {
            Some(made) => (made, true),
            None => (Made { created: self.now(), layer: None }, false),
        };
        if !cached {
            self.remember(&key, &made)?;
        }
        state.adopt(&made, None, line);
        Ok(Ended { cached, bytes: 0 })
    }

    /// Replaces variables in a word of an instruction.
    pub(super) fn expand(&self, state: &State, word: &Word) -> Result<String, BuildError> {
        let scope = Scope {
            dockerfile: &self.dockerfile,
            build_args: &self.options.build_args,
            globals: &self.plan.globals,
        };
        Ok(scope.expand(state, word)?)
    }

    pub(super) fn begin(&mut self, stage: &str, instruction: &Instruction) -> Instant {
        self.index = self.started.fetch_add(1, Relaxed) + 1;
        self.event(BuildEvent::StepStarted {
            index: self.index,
            total: self.total.load(Relaxed),
            stage: stage.to_owned(),
            instruction: instruction.text.clone(),
            line: instruction.span.start.line,
        });
        Instant::now()
    }

    pub(super) fn finish(&self, instruction: &Instruction, started: Instant, ended: &Ended) {
        let elapsed_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let index = self.index;
        self.event(if ended.cached {
            BuildEvent::StepCached { index }
        } else {
            BuildEvent::StepFinished { index, elapsed_ns, bytes: ended.bytes }
        });
        let report = StepReport {
            instruction: instruction.text.clone(),
            line: instruction.span.start.line,
            cached: ended.cached,
            elapsed_ns,
            bytes: ended.bytes,
        };
        locked(&self.steps).push((self.at, report));
    }

    /// A line about what Tandem does.
    pub(super) fn progress(&self, line: String) {
        let index = self.index;
        self.event(BuildEvent::Output { index, stream: OutputStream::Progress, line });
    }
}
