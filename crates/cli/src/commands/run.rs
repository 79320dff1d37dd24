use std::{collections::BTreeMap, fs};

use anyhow::Context as _;
use tandem_app::{AppError, LogOptions, RunOptions};
use tandem_model::{
    BackendKind, InstanceOptions, InstanceRecord, Phase, PortMaps, Profile, Resources,
};

use super::{Context, logs};
use crate::{
    grammar::Run,
    output::{line, plain},
    signals::{cancel_on_interrupt, interrupted},
};

pub(super) async fn run(context: &Context, run: Run) -> anyhow::Result<u8> {
    let (detach, remove) = (run.detach, run.rm);
    let mut options = options(run)?;
    if !detach && remove {
        // We remove it ourselves, once its exit code is known; if we are
        // killed before, its supervisor does.
        options.remove = false;
        options.owner = tandem_app::own_identity();
    }
    let cancel = cancel_on_interrupt();
    let mut progress = |text: &str| context.say(&plain(text));
    let mut phase = |phase: Phase| {
        if context.verbose {
            let spent = tandem_report::format_duration(phase.end.since(phase.start));
            eprintln!("{}: {spent}", phase.name);
        }
    };
    let record = tokio::select! {
        record = context.app.run(options, &mut progress, &mut phase) => record?,
        () = cancel.cancelled() => return Ok(130),
    };
    if let Some(reason) = &record.runtime.accelerator_reason {
        context.say(&format!("tandem: {reason}"));
    }
    if detach {
        line(record.id.as_str());
        return Ok(0);
    }
    follow(context, &record, remove).await
}

pub(super) async fn create(context: &Context, run: Run) -> anyhow::Result<u8> {
    let mut progress = |text: &str| context.say(&plain(text));
    let record = context.app.create(options(run)?, &mut progress).await?;
    line(record.id.as_str());
    Ok(0)
}

/// Shows the app's output until it ends. Ctrl-C stops the instance.
async fn follow(context: &Context, record: &InstanceRecord, remove: bool) -> anyhow::Result<u8> {
    let name = record.id.as_str();
    let mut show = |line| logs::print(&line, false);
    let options = LogOptions { follow: true, tail: None };
    tokio::select! {
        result = context.app.logs(name, options, &mut show) => result?,
        () = interrupted() => { context.app.stop(name, None).await?; }
    }
    let exit = context.app.wait(name).await?;
    if remove {
        context.app.remove(name, false, true).await?;
    }
    let Some(exit) = exit else { return Ok(125) };
    if exit.out_of_memory {
        let limit = record.spec.resources.memory_bytes.map(tandem_model::format::format_bytes);
        let limit = limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
        eprintln!(
            "tandem: {} ran out of memory at its limit{limit} and was killed: give more with --memory",
            record.spec.name
        );
    }
    if let Some(error) = exit.error {
        eprintln!("tandem: {error}");
    }
    Ok(u8::try_from(exit.code & 0xff).unwrap_or(125))
}

fn options(run: Run) -> anyhow::Result<RunOptions> {
    if run.backend != BackendKind::Vm && run.profile.is_some() {
        return Err(AppError::Usage("--profile needs --backend vm".to_owned()).into());
    }
    let mut env = Vec::new();
    for file in &run.env_file {
        let text = fs::read_to_string(file)
            .with_context(|| format!("cannot read the variables in {}", file.display()))?;
        let lines = text.lines().map(str::trim_start);
        env.extend(
            lines.filter(|it| !it.is_empty() && !it.starts_with('#')).map(ToOwned::to_owned),
        );
    }
    env.extend(run.env);
    Ok(RunOptions {
        command: run.command,
        entrypoint: run.entrypoint,
        profile: (run.backend == BackendKind::Vm).then(|| run.profile.unwrap_or(Profile::Micro)),
        accelerator: run.accelerator,
        name: run.name,
        env,
        cwd: run.workdir,
        user: run.user,
        hostname: run.hostname,
        ports: run.network.publish.into_iter().flat_map(|PortMaps(maps)| maps).collect(),
        publish_all: run.network.publish_all,
        resources: Resources {
            memory_bytes: run.memory,
            milli_cpus: run.cpus,
            pids: run.pids_limit,
        },
        stop_signal: run.stop_signal,
        stop_timeout_s: run.stop_timeout,
        remove: run.rm,
        labels: labels(&run.label)?,
        options: InstanceOptions {
            network: run.network.network,
            dns: run.network.dns,
            security: run.security.security()?,
            ulimits: run.security.ulimit,
            init: run.security.init,
            mounts: run.storage.mounts()?,
            ..InstanceOptions::default()
        },
        ..RunOptions::new(run.image, run.backend)
    })
}

/// `K=V` texts as a map.
pub(super) fn labels(texts: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let pair = |text: &String| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if key.is_empty() {
            return Err(AppError::Usage(format!("`{text}` is not a label: write KEY=VALUE")).into());
        }
        Ok((key.to_owned(), value.to_owned()))
    };
    texts.iter().map(pair).collect()
}
