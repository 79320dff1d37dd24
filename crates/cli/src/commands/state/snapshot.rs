use tandem_app::SnapshotRow;
use tandem_model::format::{format_bytes, format_duration};

use crate::{
    commands::Context,
    grammar::Snapshot,
    output::{ago, json, line, table},
    signals::unless_interrupted,
};

pub(super) async fn run(context: &Context, command: Snapshot) -> anyhow::Result<u8> {
    match command {
        Snapshot::Create { memory, json: wanted, instance, name } => {
            let taking = Box::pin(context.app.snapshot(&instance, &name, memory));
            let Some(taken) = unless_interrupted(taking).await else { return Ok(130) };
            let taken = taken?;
            if wanted.json {
                json(&taken)?;
                return Ok(0);
            }
            line(&taken.name);
            if let Some(pause) = taken.pause_ns {
                let seen = taken.longest_wait_ns.map(format_duration);
                let seen = seen.map(|it| format!("; its clients waited {it} at most"));
                context.say(&format!(
                    "tandem: {instance} stood still for {}{}",
                    format_duration(pause),
                    seen.unwrap_or_default()
                ));
            }
        }
        Snapshot::Ls { json: wanted, instance } => {
            let rows = context.app.snapshots(&instance)?;
            if wanted.json {
                json(&rows)?;
            } else {
                list(&rows);
            }
        }
        Snapshot::Restore { into, without_memory, json: wanted, instance, name } => {
            let restoring =
                Box::pin(context.app.restore(&instance, &name, into.as_deref(), !without_memory));
            let Some(restored) = unless_interrupted(restoring).await else { return Ok(130) };
            let restored = restored?;
            if wanted.json {
                json(&restored)?;
                return Ok(0);
            }
            line(&restored.instance);
            if into.is_some() {
                let name = &restored.instance;
                let on =
                    if restored.memory { ", and it goes on from the saved memory" } else { "" };
                context.say(&format!(
                    "tandem: start it with `tandem start {name}`{on}; its ports get free numbers on the host"
                ));
            }
        }
        Snapshot::Rm { instance, name } => {
            context.app.remove_snapshot(&instance, &name)?;
            line(&name);
        }
        Snapshot::Tree { instance } => {
            let rows = context.app.snapshots(&instance)?;
            let roots: Vec<_> = rows.iter().filter(|row| row.parent.is_none()).collect();
            for root in roots {
                branch(&rows, root, "", "");
            }
        }
    }
    Ok(0)
}

fn list(rows: &[SnapshotRow]) {
    let cells = |row: &SnapshotRow| {
        vec![
            row.name.clone(),
            ago(row.created_at),
            row.parent.clone().unwrap_or_else(|| "–".to_owned()),
            format_bytes(row.size_bytes),
            format_bytes(row.unique_bytes),
            if row.memory { "yes" } else { "no" }.to_owned(),
            row.volumes.join(", "),
        ]
    };
    let headings = ["NAME", "CREATED", "PARENT", "SIZE", "UNIQUE", "MEMORY", "VOLUMES"];
    table(&headings, &rows.iter().map(cells).collect::<Vec<_>>());
}

fn branch(rows: &[SnapshotRow], row: &SnapshotRow, stem: &str, below: &str) {
    let here = if row.current { "  <- the instance" } else { "" };
    line(&format!(
        "{stem}{}  {}{} ({} of its own), {}{here}",
        row.name,
        if row.memory { "with memory, " } else { "" },
        format_bytes(row.size_bytes),
        format_bytes(row.unique_bytes),
        ago(row.created_at)
    ));
    let children: Vec<_> = rows.iter().filter(|it| it.parent.as_ref() == Some(&row.name)).collect();
    for (at, child) in children.iter().enumerate() {
        let last = at + 1 == children.len();
        let (stem, more) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        branch(rows, child, &format!("{below}{stem}"), &format!("{below}{more}"));
    }
}
