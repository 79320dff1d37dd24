//! Commands that look at or change what an instance is.

mod commit;
mod copy;
mod snapshot;
mod top;
mod update;
mod usage;

use tandem_app::DiskWishes;
use tandem_model::{PortMaps, Resources};

use super::Context;
use crate::{
    grammar::{Import, State},
    output::line,
    signals::unless_interrupted,
};

pub(super) async fn run(context: &Context, command: State) -> anyhow::Result<u8> {
    match command {
        State::Export { disk: Some(format), output, instance } => {
            let exporting = Box::pin(context.app.export_disk(&instance, format, &output));
            let Some(exported) = unless_interrupted(exporting).await else { return Ok(130) };
            exported?;
            Ok(0)
        }
        State::Export { output, instance, .. } => {
            let left = context.app.memory_left_behind(&instance)?;
            let exporting = Box::pin(context.app.export_instance(&instance, &output));
            let Some(exported) = unless_interrupted(exporting).await else { return Ok(130) };
            exported?;
            if !left.is_empty() {
                context.say(&format!(
                    "tandem: the memory of {} stays here: elsewhere nobody could tell what its processes may do",
                    left.join(", ")
                ));
            }
            Ok(0)
        }
        State::Import(wanted) if wanted.disk => import_disk(context, wanted).await,
        State::Import(Import { name, file, .. }) => {
            let importing = Box::pin(context.app.import_instance(&file, name.as_deref()));
            let Some(made) = unless_interrupted(importing).await else { return Ok(130) };
            let made = made?;
            for network in context.app.missing_networks(&made) {
                context.say(&format!(
                    "tandem: `{}` was on the network `{network}`, which is not here: make it with `tandem network create {network}` before the start",
                    made.spec.name
                ));
            }
            line(made.id.as_str());
            Ok(0)
        }
        State::Cp(wanted) => copy::run(context, wanted).await,
        State::Diff { json, instance } => commit::diff(context, &instance, json),
        State::Commit(wanted) => commit::run(context, wanted).await,
        State::Snapshot(command) => snapshot::run(context, command).await,
        State::Update(wanted) => update::run(context, &wanted).await,
        State::Stats { no_stream, listing, instances } => {
            usage::run(context, &instances, &listing, no_stream).await
        }
        State::Top { json, instance } => top::run(context, &instance, json).await,
    }
}

async fn import_disk(context: &Context, wanted: Import) -> anyhow::Result<u8> {
    let wishes = DiskWishes {
        file: wanted.file,
        format: wanted.format,
        name: wanted.name,
        resources: Resources { memory_bytes: wanted.memory, milli_cpus: wanted.cpus, pids: None },
        ports: wanted.publish.into_iter().flat_map(|PortMaps(maps)| maps).collect(),
        accelerator: wanted.accelerator,
    };
    let importing = Box::pin(context.app.import_disk(wishes));
    let Some(made) = unless_interrupted(importing).await else { return Ok(130) };
    line(made?.id.as_str());
    Ok(0)
}
