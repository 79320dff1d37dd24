//! Prober and sampler, each on a thread of its own, so that neither waits for
//! the other nor for whoever listens to the run, and so that what they cost
//! can be told.

mod available;
mod calm;
mod clocks;
mod prober;
mod pulse;
mod sampler;

pub(crate) use available::MachineMemory;
pub use available::available_memory;
pub(crate) use calm::wait_for_calm;
pub(crate) use clocks::{Disturbance, Watch};
pub(crate) use prober::{Asked, Prober};
pub(crate) use pulse::Pulse;
pub(crate) use sampler::Sampler;

/// Runs a future on a new thread with a runtime of its own.
fn on_thread<F>(name: &str, work: impl FnOnce() -> F + Send + 'static) -> std::io::Result<()>
where
    F: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || runtime.block_on(async move { work().await }))
        .map(drop)
}
