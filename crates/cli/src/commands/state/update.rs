use tandem_app::{AppError, UpdateHow, UpdateReport};
use tandem_model::{
    Resources, RestartPolicy,
    format::{format_bytes, format_duration},
};

use crate::{
    commands::Context,
    grammar::Update,
    output::{json, line},
};

pub(super) async fn run(context: &Context, wanted: &Update) -> anyhow::Result<u8> {
    let Some(wishes) = wanted.wishes() else {
        let text = "nothing to change: give --memory, --cpus, --pids-limit or --restart";
        return Err(AppError::Usage(text.to_owned()).into());
    };
    let mut reports = Vec::new();
    for instance in &wanted.instances {
        let report = context.app.update(instance, wishes, wanted.mode.into()).await?;
        if !wanted.json.json {
            line(&sentence(&report));
        }
        reports.push(report);
    }
    if wanted.json.json {
        json(&reports)?;
    }
    Ok(0)
}

fn sentence(report: &UpdateReport) -> String {
    let how = match report.how {
        UpdateHow::Hot => "hot, while it ran",
        UpdateHow::Cold => "cold, with a restart",
        UpdateHow::NextStart => "for its next start",
    };
    let elapsed = format_duration(report.elapsed_ns);
    let downtime = match (report.how, report.downtime_ns) {
        (UpdateHow::NextStart, _) => String::new(),
        (_, Some(0)) => ", no downtime".to_owned(),
        (_, Some(ns)) => format!(", downtime {}", format_duration(ns)),
        (_, None) => ", downtime not over: the app does not answer any more".to_owned(),
    };
    let guest = report.guest.map(|guest| {
        let memory = format_bytes(guest.memory_bytes);
        let processors = if guest.cpus == 1 { "processor" } else { "processors" };
        format!("; the guest has {} {processors} and {memory}", guest.cpus)
    });
    let returned = report.returned_bytes.filter(|bytes| *bytes != 0).map(|bytes| {
        let amount = format_bytes(bytes.unsigned_abs());
        if bytes > 0 {
            format!("; the host got {amount} back")
        } else {
            format!("; it took {amount} more of the host")
        }
    });
    let [guest, returned] = [guest, returned].map(Option::unwrap_or_default);
    let changes = changes(report);
    format!("{}: {how} in {elapsed}{downtime}: {changes}{guest}{returned}", report.name)
}

fn policy_text(policy: RestartPolicy) -> String {
    match policy {
        RestartPolicy::No => "no".to_owned(),
        RestartPolicy::Always => "always".to_owned(),
        RestartPolicy::UnlessStopped => "unless-stopped".to_owned(),
        RestartPolicy::OnFailure { most: None } => "on-failure".to_owned(),
        RestartPolicy::OnFailure { most: Some(most) } => format!("on-failure:{most}"),
    }
}

fn changes(report: &UpdateReport) -> String {
    let Resources { memory_bytes, milli_cpus, pids } = report.before;
    let after = report.after;
    let memory = |it: Option<u64>| it.map_or_else(|| "no limit".to_owned(), format_bytes);
    let number = |it: Option<f64>| it.map_or_else(|| "no limit".to_owned(), |n| n.to_string());
    let cpus = |it: Option<u32>| number(it.map(|milli| f64::from(milli) / 1000.0));
    let pids_of = |it: Option<u32>| number(it.map(f64::from));
    let rows = [
        ("memory", memory(memory_bytes), memory(after.memory_bytes)),
        ("cpus", cpus(milli_cpus), cpus(after.milli_cpus)),
        ("pids", pids_of(pids), pids_of(after.pids)),
    ];
    let changed = rows.into_iter().filter(|(_, before, after)| before != after);
    let mut told: Vec<_> =
        changed.map(|(name, before, after)| format!("{name} {before} -> {after}")).collect();
    told.extend(report.restart.map(|policy| format!("restart {}", policy_text(policy))));
    if told.is_empty() { "as it was".to_owned() } else { told.join(", ") }
}
