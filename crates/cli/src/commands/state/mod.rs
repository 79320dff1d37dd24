//! Commands that look at or change what an instance is.

mod commit;
mod copy;
mod snapshot;
mod top;
mod update;
mod usage;

use super::Context;
use crate::{grammar::State, output::line};

pub(super) async fn run(context: &Context, command: State) -> anyhow::Result<u8> {
    match command {
        State::Export { disk: Some(format), output, instance } => {
            tokio::select! {
                done = context.app.export_disk(&instance, format, &output) => done?,
                () = crate::signals::interrupted() => return Ok(130),
            }
            Ok(0)
        }
        State::Export { output, instance, .. } => {
            context.app.export_instance(&instance, &output).await?;
            Ok(0)
        }
        State::Import { name, file } => {
            line(context.app.import_instance(&file, name.as_deref())?.id.as_str());
            Ok(0)
        }
        State::Cp(wanted) => copy::run(context, wanted).await,
        State::Diff { json, instance } => commit::diff(context, &instance, json),
        State::Commit(wanted) => commit::run(context, wanted).await,
        State::Snapshot(command) => snapshot::run(context, command).await,
        State::Update(wanted) => update::run(context, &wanted).await,
        State::Stats { no_stream, json, instances } => {
            usage::run(context, &instances, json, no_stream).await
        }
        State::Top { json, instance } => top::run(context, &instance, json).await,
    }
}
