use std::time::Duration;

use super::{Context, attach, exec};
use crate::{grammar::Live, output::line};

pub(super) async fn run(context: &Context, command: Live) -> anyhow::Result<u8> {
    let app = &context.app;
    match command {
        Live::Exec(wanted) => return exec::run(context, wanted).await,
        Live::Attach(wanted) => return attach::run(context, wanted).await,
        Live::Kill { signal, instances } => {
            for instance in &instances {
                app.kill(instance, &signal).await?;
                line(instance);
            }
        }
        Live::Restart { time, instances } => {
            let grace = time.map(|seconds| Duration::from_secs(u64::from(seconds)));
            for instance in &instances {
                app.restart(instance, grace).await?;
                line(instance);
            }
        }
        Live::Pause { instances } => {
            for instance in &instances {
                app.pause(instance).await?;
                line(instance);
            }
        }
        Live::Unpause { instances } => {
            for instance in &instances {
                app.unpause(instance).await?;
                line(instance);
            }
        }
    }
    Ok(0)
}
