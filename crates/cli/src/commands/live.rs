use std::time::Duration;

use super::{Context, attach, console, exec, instances::Each};
use crate::grammar::Live;

pub(super) async fn run(context: &Context, command: Live) -> anyhow::Result<u8> {
    let app = &context.app;
    let mut each = Each::default();
    match command {
        Live::Exec(wanted) => return exec::run(context, wanted).await,
        Live::Attach(wanted) => return attach::run(context, wanted).await,
        Live::Console(wanted) => return console::run(context, wanted).await,
        Live::Kill { signal, instances } => {
            for instance in &instances {
                each.note(instance, app.kill(instance, &signal).await);
            }
        }
        Live::Restart { time, signal, instances } => {
            let grace = time.map(|seconds| Duration::from_secs(u64::from(seconds)));
            for instance in &instances {
                each.note(instance, app.restart(instance, grace, signal.as_deref()).await);
            }
        }
        Live::Pause { instances } => {
            for instance in &instances {
                each.note(instance, app.pause(instance).await);
            }
        }
        Live::Unpause { instances } => {
            for instance in &instances {
                each.note(instance, app.unpause(instance).await);
            }
        }
    }
    each.end()
}
