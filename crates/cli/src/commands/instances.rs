use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use tandem_app::{AppError, InstanceRow, InstanceSize, PruneFilter};
use tandem_model::{
    BackendKind, Digest, HealthStatus, InstanceState, Resources, format::format_bytes,
};

use super::Context;
use crate::{
    format::views,
    grammar::Ps,
    output::{age, ago, json, line, raw, table},
    prompt::confirmed,
};

pub(super) fn list(context: &Context, wanted: &Ps) -> anyhow::Result<u8> {
    let last = if wanted.latest { Some(1) } else { wanted.last };
    let instances = context.app.instances_where(wanted.all, &wanted.filter, last)?;
    let asked = wanted.size || wanted.format.as_ref().is_some_and(|it| it.mentions("Size"));
    let ids: Vec<String> = instances.iter().map(|instance| instance.id.clone()).collect();
    let sizes = if asked { context.app.instance_sizes(&ids)? } else { BTreeMap::new() };
    if wanted.json.json {
        let weighed = |instance| Weighed { instance, size: sizes.get(&instance.id) };
        if wanted.size {
            json(&instances.iter().map(weighed).collect::<Vec<_>>())?;
        } else {
            json(&instances)?;
        }
        return Ok(0);
    }
    if context.quiet {
        for instance in &instances {
            line(&instance.id);
        }
        return Ok(0);
    }
    let letters = if wanted.no_trunc { usize::MAX } else { COMMAND };
    if let Some(template) = &wanted.format {
        let view = |instance: &InstanceRow| {
            let record = context.app.inspect(&instance.id).ok();
            let command = views::command(&instance.command, letters);
            let mut view = views::instance(instance, record.as_ref(), &command, &status(instance));
            if asked {
                view["Size"] = size(sizes.get(&instance.id)).into();
            }
            view
        };
        let views: Vec<_> = instances.iter().map(view).collect();
        if views.is_empty() {
            // A name that is none is told whether something runs or not.
            let mut view = views::instance(&example(), None, "", "");
            view["Size"] = "".into();
            template.check(&view)?;
        }
        raw(&template.shown(&views)?);
        return Ok(0);
    }
    let mut headings =
        vec!["ID", "NAME", "BACKEND", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS"];
    headings.extend(wanted.size.then_some("SIZE"));
    let row = |instance: InstanceRow| {
        let taken = wanted.size.then(|| size(sizes.get(&instance.id)));
        let mut row = row(instance, letters);
        row.extend(taken);
        row
    };
    table(&headings, &instances.into_iter().map(row).collect::<Vec<_>>());
    Ok(0)
}

/// What an instance takes on the disk; nothing where that is another engine's.
fn size(size: Option<&InstanceSize>) -> String {
    size.map_or_else(
        || "-".to_owned(),
        |size| {
            let [own, all] = [size.own_bytes, size.virtual_bytes].map(format_bytes);
            format!("{own} (virtual {all})")
        },
    )
}

pub(super) async fn prune(
    context: &Context,
    filter: &[PruneFilter],
    force: bool,
) -> anyhow::Result<u8> {
    if !confirmed("Remove all instances that do not run?", force).await? {
        return Ok(0);
    }
    let pruned = context.app.prune_instances(filter).await?;
    pruned.instances.iter().for_each(|name| line(name));
    context.say(&format!("{} given back", format_bytes(pruned.freed_bytes)));
    Ok(0)
}

/// An instance with what it takes on the disk.
#[derive(Serialize)]
struct Weighed<'a> {
    #[serde(flatten)]
    instance: &'a InstanceRow,
    size: Option<&'a InstanceSize>,
}

/// An instance that there could be.
fn example() -> InstanceRow {
    InstanceRow {
        id: String::new(),
        name: String::new(),
        backend: BackendKind::Container,
        profile: None,
        image: String::new(),
        digest: Digest::from_sha256(&[0; 32]),
        command: Vec::new(),
        state: InstanceState::Created,
        ports: Vec::new(),
        url: None,
        created_at: jiff::Timestamp::UNIX_EPOCH,
        started_at: None,
        finished_at: None,
        pid: None,
        exit_code: None,
        out_of_memory: false,
        accelerator: None,
        resources: Resources::default(),
        health: None,
        restarts: 0,
    }
}

/// Letters of a command that a terminal has room for.
const COMMAND: usize = 30;

fn row(instance: InstanceRow, letters: usize) -> Vec<String> {
    let mut backend = instance.backend.to_string();
    for detail in
        instance.profile.iter().cloned().chain(instance.accelerator.map(|a| a.to_string()))
    {
        backend.push('/');
        backend.push_str(&detail);
    }
    let command = views::command(&instance.command, letters);
    let status = status(&instance);
    vec![
        instance.id,
        instance.name,
        backend,
        instance.image,
        command,
        ago(instance.created_at),
        status,
        instance.ports.join(", "),
    ]
}

/// Where an instance stands and since when.
fn status(instance: &InstanceRow) -> String {
    let status = match instance.state {
        InstanceState::Created => "created".to_owned(),
        InstanceState::Starting => "starting".to_owned(),
        InstanceState::Running => {
            let health = match instance.health {
                None => "",
                Some(HealthStatus::Starting) => " (health: starting)",
                Some(HealthStatus::Healthy) => " (healthy)",
                Some(HealthStatus::Unhealthy) => " (unhealthy)",
            };
            format!("running for {}{health}", instance.started_at.map(age).unwrap_or_default())
        }
        InstanceState::Paused => "paused".to_owned(),
        InstanceState::Restarting => format!(
            "restarting ({}{}) {}",
            instance.exit_code.unwrap_or_default(),
            if instance.out_of_memory { ", out of memory" } else { "" },
            instance.finished_at.map(ago).unwrap_or_default()
        ),
        InstanceState::Exited => format!(
            "exited ({}{}) {}",
            instance.exit_code.unwrap_or_default(),
            if instance.out_of_memory { ", out of memory" } else { "" },
            instance.finished_at.map(ago).unwrap_or_default()
        ),
    };
    status.trim_end().to_owned()
}

/// One request for each of several instances: what fails for one is told, and
/// the others have theirs.
#[derive(Default)]
pub(super) struct Each {
    failed: Option<anyhow::Error>,
}

impl Each {
    /// Tells the name when it was done; of several errors the last is kept for
    /// the end, and the others are told at once.
    pub(super) fn note<T>(&mut self, instance: &str, result: Result<T, AppError>) {
        match result {
            Ok(_) => line(instance),
            Err(error) => self.fail(error.into()),
        }
    }

    /// Keeps an error for the end, and tells the one before.
    pub(super) fn fail(&mut self, error: anyhow::Error) {
        if let Some(earlier) = self.failed.replace(error) {
            crate::output::complain(&earlier.to_string());
        }
    }

    /// The exit code.
    pub(super) fn end(self) -> anyhow::Result<u8> {
        self.failed.map_or(Ok(0), Err)
    }
}

pub(super) async fn start(context: &Context, instances: &[String]) -> anyhow::Result<u8> {
    let mut each = Each::default();
    for instance in instances {
        let started = context.app.start(instance).await;
        if let Ok(record) = &started {
            super::run::warn(context, &record.runtime.warnings);
        }
        each.note(instance, started);
    }
    each.end()
}

pub(super) async fn stop(
    context: &Context,
    time: Option<u32>,
    signal: Option<&str>,
    instances: &[String],
) -> anyhow::Result<u8> {
    let grace = time.map(|seconds| Duration::from_secs(u64::from(seconds)));
    let mut each = Each::default();
    for instance in instances {
        each.note(instance, context.app.stop_with(instance, grace, signal).await);
    }
    each.end()
}

pub(super) async fn wait(context: &Context, instances: &[String]) -> anyhow::Result<u8> {
    let mut last = 0;
    let mut each = Each::default();
    for instance in instances {
        match context.app.wait(instance).await {
            Ok(exit) => {
                last = exit.map_or(125, |exit| exit.code);
                line(&last.to_string());
            }
            Err(error) => each.fail(error.into()),
        }
    }
    each.end()?;
    Ok(u8::try_from(last & 0xff).unwrap_or(125))
}

pub(super) async fn remove(
    context: &Context,
    force: bool,
    volumes: bool,
    instances: &[String],
) -> anyhow::Result<u8> {
    let mut each = Each::default();
    for instance in instances {
        each.note(instance, context.app.remove(instance, force, volumes).await);
    }
    each.end()
}
