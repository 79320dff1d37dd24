use tandem_model::format::format_duration;

use crate::{
    commands::Context,
    grammar::Json,
    output::{json, plain, table},
};

pub(super) async fn run(context: &Context, instance: &str, wanted: Json) -> anyhow::Result<u8> {
    let rows = context.app.top(instance).await?;
    if wanted.json {
        json(&rows)?;
        return Ok(0);
    }
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| {
            vec![
                row.user,
                row.pid.to_string(),
                row.inside.to_string(),
                row.parent.to_string(),
                row.state.to_string(),
                format_duration(row.cpu_ns),
                plain(&row.command),
            ]
        })
        .collect();
    table(&["USER", "PID", "INSIDE", "PARENT", "STATE", "TIME", "COMMAND"], &rows);
    Ok(0)
}
