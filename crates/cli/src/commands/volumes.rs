use super::{Context, inspect, instances::Each, run::labels};
use crate::{
    format::views,
    grammar::{Filtered, Kind, Volume},
    output::{ago, json, line, raw, table},
};

pub(super) async fn run(context: &Context, command: Volume) -> anyhow::Result<u8> {
    match command {
        Volume::Create { label, name, .. } => {
            line(&context.app.create_volume(name, labels(&label)?)?);
        }
        Volume::Ls(Filtered { filter, listing: wanted }) => {
            let volumes = context.app.volumes_where(&filter)?;
            if wanted.json.json {
                json(&volumes)?;
                return Ok(0);
            }
            if context.quiet {
                for one in &volumes {
                    line(&one.name);
                }
                return Ok(0);
            }
            if let Some(template) = &wanted.format {
                raw(&template.text(&volumes, views::volume)?);
                return Ok(0);
            }
            let rows: Vec<_> = volumes
                .into_iter()
                .map(|one| vec![one.name, ago(one.created_at), one.instances.join(", ")])
                .collect();
            table(&["NAME", "CREATED", "INSTANCES"], &rows);
        }
        Volume::Inspect { format, names } => {
            return inspect::of_kind(context, Kind::Volume, format.as_ref(), &names).await;
        }
        Volume::Rm { force, names } => {
            let mut each = Each::default();
            for name in names {
                each.note(&name, context.app.remove_volume(&name, force));
            }
            return each.end();
        }
        Volume::Prune { all, filter, .. } => {
            for name in context.app.prune_volumes(all, &filter)? {
                line(&name);
            }
        }
    }
    Ok(0)
}
