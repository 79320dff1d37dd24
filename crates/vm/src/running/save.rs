//! Saving a machine that is up: its disk, and its memory where asked.
//!
//! ```text
//! guest   ─ runs ─┬─ rests ─────────────────────┬─ runs ─▶
//!                 hold             go on        │
//! memory          └ written while it runs ┐ rest│
//! disk                                    └ new layer
//!                                         │ still │
//! ```
//!
//! The memory is written page by page to places of its own while the guest
//! runs on; pages that it changes meanwhile are written again. Only the last of
//! them, the devices and the change to a new disk layer happen while it stands
//! still. An older QEMU writes a stream, what changed at its end until that is
//! twice the memory, and holds an emulated machine still for all of it.

use std::{
    path::Path,
    pin::Pin,
    time::{Duration, Instant},
};

use tandem_backend::BackendError;
use tandem_model::Accelerator;

use super::{RunningVm, failed};
use crate::{
    disk::Chain,
    machine::node_name,
    qmp::{Form, QmpError},
    snapshot::{MEMORY, Saved, Taken},
};

/// How long the memory may be written while the guest runs; one that changes
/// it faster than that is held still for the rest.
const LIVE_LIMIT: Duration = Duration::from_secs(15);

/// How often QEMU is asked how far it is.
const INTERVAL: Duration = Duration::from_millis(3);

impl RunningVm {
    /// Saves into the folder `to`.
    pub(super) async fn save(
        &self,
        to: &Path,
        memory: bool,
        given_up: Pin<&mut dyn Future<Output = ()>>,
    ) -> Result<Taken, BackendError> {
        let runs = self.qmp.is_running().await.map_err(failed)?;
        if memory {
            // Without one nobody would bring the guest's time and name right.
            self.agent()?;
            self.is_whole()?;
        }
        if memory && !runs && !self.at_rest.get() {
            let why = "it was paused while its guest gave no answer";
            return Err(BackendError::engine("saving the machine's memory", why));
        }
        if runs {
            match self.quiesce().await {
                // The disk alone is then as good as after a loss of power.
                Err(e) if memory => return Err(e),
                _ => {}
            }
        }
        let chain = Chain::load(&self.dir)?;
        let saved = match chain.grow(&self.dir) {
            Ok(grown) => {
                let saved = if memory {
                    self.save_all(to, &chain, &grown, runs, given_up).await
                } else {
                    let begin = Instant::now();
                    let done = self.change_layer(&chain, &grown).await;
                    done.map(|()| begin).map_err(failed)
                };
                if saved.is_err() {
                    // What was written of the memory may be what fills the disk,
                    // on which the list of layers is to be written again.
                    if memory {
                        let _ = std::fs::write(to.join(MEMORY), "");
                    }
                    self.take_back(&chain, &grown).await;
                }
                saved
            }
            Err(e) => Err(e),
        };
        let mut saved = saved.map(|since| since.elapsed());
        if runs {
            // Whatever came: the guest runs on.
            let begin = Instant::now();
            let resumed = self.qmp.cont().await.map_err(failed);
            saved = saved.map(|still| still + begin.elapsed());
            if let Some(agent) = &self.agent {
                let _ = agent.resume(false).await;
            }
            if saved.is_ok() {
                resumed?;
            }
        }
        let still = saved?;
        let memory = if memory {
            on_the_disk(&to.join(MEMORY))?;
            Some(self.state.borrow().clone())
        } else {
            None
        };
        Ok(Taken {
            saved: Saved { chain, memory },
            pause_ns: runs.then(|| u64::try_from(still.as_nanos()).unwrap_or(u64::MAX)),
        })
    }

    /// Saves the devices of a machine whose memory is a file already, and
    /// leaves it standing still.
    pub(super) async fn freeze(&self, to: &Path) -> Result<Saved, BackendError> {
        self.quiesce().await?;
        let saving = async {
            self.qmp.stop().await?;
            self.qmp.save_to(to, Form::DevicesOnly).await?;
            self.qmp.reach("pre-switchover").await?;
            self.qmp.switch_over().await?;
            self.qmp.reach("completed").await
        };
        let saved = saving.await;
        self.qmp.close_state().await;
        saved.map_err(|e| reason(to, e))?;
        Ok(Saved { chain: Chain::load(&self.dir)?, memory: Some(self.state.borrow().clone()) })
    }

    /// Returns since when the machine stands still.
    async fn save_all(
        &self,
        to: &Path,
        chain: &Chain,
        grown: &Chain,
        runs: bool,
        mut given_up: Pin<&mut dyn Future<Output = ()>>,
    ) -> Result<Instant, BackendError> {
        let file = to.join(MEMORY);
        let steps = async {
            let still = unless(given_up.as_mut(), &file, async {
                let (held, holds) = (Instant::now(), runs && !self.saves_live());
                if holds {
                    self.qmp.stop().await?;
                }
                self.qmp.save_to(&file, Form::Whole).await?;
                let last = self.until_still(runs && !holds).await?;
                Ok(if holds { held } else { last })
            });
            let still = still.await?;
            // Whole or not at all: a descriptor of the layer below that was not
            // taken back would keep QEMU's lock on it, and the next `cont` fail.
            self.change_layer(chain, grown).await.map_err(|e| reason(&file, e))?;
            let end = unless(given_up, &file, async {
                self.qmp.switch_over().await?;
                self.qmp.reach("completed").await
            });
            end.await?;
            Ok(still)
        };
        let saved = steps.await;
        if saved.is_err() {
            self.give_up().await;
        }
        self.qmp.close_state().await;
        saved
    }

    /// QEMU waits for every emulated processor before it saves memory, for one
    /// that was taken away too (`tcg_log_global_after_sync`, seen in 10.0): for
    /// ever, and cannot be told to give up.
    fn is_whole(&self) -> Result<(), BackendError> {
        let is_emulated = self.state.borrow().accelerator == Accelerator::Tcg;
        if !self.lost_one.get() || !is_emulated {
            return Ok(());
        }
        Err(BackendError::Unavailable {
            what: "a snapshot of this machine's memory".to_owned(),
            why: "a processor was taken from it while it ran, and QEMU's software emulation would wait for that one for ever".to_owned(),
            fix: "keep its disk alone, without --memory, or restart it first".to_owned(),
        })
    }

    /// Whether the guest may run while its memory is saved. What an emulated
    /// processor writes meanwhile escapes an older QEMU, whose state would be of
    /// no moment at all (mended in 9.0). Memory that has come while it ran is not
    /// saved so under emulation: QEMU 10.0 ends itself over it (an assertion in
    /// `tlb_reset_dirty_range_all`), and other versions were not tried.
    fn saves_live(&self) -> bool {
        let state = self.state.borrow();
        let has_come = state.shape().plugged > 0;
        state.accelerator == Accelerator::Kvm || (self.qmp.maps_memory() && !has_come)
    }

    /// Waits until the guest stands still with all but the last of its memory
    /// written; returns the latest moment at which it still ran.
    async fn until_still(&self, runs: bool) -> Result<Instant, QmpError> {
        let begin = Instant::now();
        let mut last = begin;
        let mut stopped = !runs;
        loop {
            let migration = self.qmp.migration().await?;
            if migration.status == "pre-switchover" {
                return Ok(last);
            }
            if !stopped {
                last = Instant::now();
                let is_long = !self.qmp.maps_memory() && migration.repeats();
                if begin.elapsed() > LIVE_LIMIT || is_long {
                    self.qmp.stop().await?;
                    stopped = true;
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn change_layer(&self, chain: &Chain, grown: &Chain) -> Result<(), QmpError> {
        let [below, above] = [chain, grown].map(|it| self.dir.join(it.top()));
        self.qmp.put_layer(&below, &above).await
    }

    async fn give_up(&self) {
        let _ = self.qmp.cancel_saving().await;
        // Until then the processors do not start again.
        let deadline = Instant::now() + LIVE_LIMIT;
        while self.qmp.migration().await.is_ok_and(|it| it.is_at_work())
            && Instant::now() < deadline
        {
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Takes the new layer away again, if QEMU does not write to it.
    async fn take_back(&self, chain: &Chain, grown: &Chain) {
        let name = node_name(Path::new(grown.top()));
        let nodes = self.qmp.execute("query-named-block-nodes", None).await;
        let is_used = nodes.ok().and_then(|nodes| {
            let nodes = nodes.as_array()?;
            Some(nodes.iter().any(|node| node["node-name"] == name.as_str()))
        });
        if is_used == Some(false) {
            let _ = grown.shrink_to(chain, &self.dir);
        }
    }
}

/// Does a part of saving into a file, unless nobody wants it any more.
async fn unless<T>(
    given_up: Pin<&mut dyn Future<Output = ()>>,
    file: &Path,
    work: impl Future<Output = Result<T, QmpError>>,
) -> Result<T, BackendError> {
    tokio::select! {
        biased;
        done = work => done.map_err(|e| reason(file, e)),
        () = given_up => Err(BackendError::Cancelled),
    }
}

/// Waits until a file has gone to the disk.
fn on_the_disk(file: &Path) -> Result<(), BackendError> {
    let synced = std::fs::File::open(file).and_then(|it| it.sync_all());
    synced.map_err(|e| BackendError::io("write", file, e))
}

fn reason(file: &Path, e: QmpError) -> BackendError {
    match &e {
        QmpError::Refused { reason, .. } if reason.contains("No space left") => {
            BackendError::NoSpace(format!("writing {}", file.display()))
        }
        _ => BackendError::engine("saving the machine's memory", e),
    }
}
