use std::time::Duration;

use tandem_app::InstanceRow;
use tandem_model::{HealthStatus, InstanceState};

use super::Context;
use crate::{
    grammar::Json,
    output::{ago, json, line, plain, table},
};

pub(super) fn list(context: &Context, all: bool, wanted: Json) -> anyhow::Result<u8> {
    let instances = context.app.instances(all)?;
    if wanted.json {
        json(&instances)?;
        return Ok(0);
    }
    let rows: Vec<_> = instances.into_iter().map(row).collect();
    table(&["ID", "NAME", "BACKEND", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS"], &rows);
    Ok(0)
}

fn row(instance: InstanceRow) -> Vec<String> {
    let mut backend = instance.backend.to_string();
    for detail in
        instance.profile.iter().cloned().chain(instance.accelerator.map(|a| a.to_string()))
    {
        backend.push('/');
        backend.push_str(&detail);
    }
    let command: String = plain(&instance.command.join(" ")).chars().take(30).collect();
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
            format!("running, since {}{health}", instance.started_at.map(ago).unwrap_or_default())
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
    vec![
        instance.id,
        instance.name,
        backend,
        instance.image,
        command,
        ago(instance.created_at),
        status.trim_end().to_owned(),
        instance.ports.join(", "),
    ]
}

pub(super) async fn start(context: &Context, instances: &[String]) -> anyhow::Result<u8> {
    for instance in instances {
        context.app.start(instance).await?;
        line(instance);
    }
    Ok(0)
}

pub(super) async fn stop(
    context: &Context,
    time: Option<u32>,
    instances: &[String],
) -> anyhow::Result<u8> {
    let grace = time.map(|seconds| Duration::from_secs(u64::from(seconds)));
    for instance in instances {
        context.app.stop(instance, grace).await?;
        line(instance);
    }
    Ok(0)
}

pub(super) async fn wait(context: &Context, instances: &[String]) -> anyhow::Result<u8> {
    let mut last = 0;
    for instance in instances {
        let exit = context.app.wait(instance).await?;
        last = exit.map_or(125, |exit| exit.code);
        line(&last.to_string());
    }
    Ok(u8::try_from(last & 0xff).unwrap_or(125))
}

pub(super) async fn remove(
    context: &Context,
    force: bool,
    volumes: bool,
    instances: &[String],
) -> anyhow::Result<u8> {
    for instance in instances {
        context.app.remove(instance, force, volumes).await?;
        line(instance);
    }
    Ok(0)
}
