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
                spent(row.cpu_ns),
                plain(&row.command),
            ]
        })
        .collect();
    table(&["USER", "PID", "INSIDE", "PARENT", "STATE", "TIME", "COMMAND"], &rows);
    Ok(0)
}

/// Processor time as `ps` shows it; the kernel counts in hundredths.
fn spent(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn time_is_hours_minutes_and_seconds() {
        assert_eq!(super::spent(3_723_999_999_999), "01:02:03");
        assert_eq!(super::spent(0), "00:00:00");
    }
}
