use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::ErrorKind,
    path::PathBuf,
};

use anyhow::Context as _;
use tandem_app::{AppError, RunOptions, chosen_networks};
use tandem_backend::AttachWishes;
use tandem_model::{
    BackendKind, InstanceOptions, InstanceRecord, MountSource, MountSpec, Phase, PortMaps, Profile,
    Resources,
};

use super::{
    Context,
    attach::{self, Joined},
};
use crate::{
    attach::Signals,
    grammar::{PullWhen, Run},
    output::{line, plain, tell},
};

pub(super) async fn run(context: &Context, run: Run) -> anyhow::Result<u8> {
    let (detach, remove, input) = (run.detach, run.rm, run.streams.interactive);
    let (keys, cidfile) = (run.streams.detach_keys.clone(), run.cidfile.clone());
    if input && run.streams.tty && !detach {
        attach::refuse_pipes()?;
    }
    let mut options = options(context, run)?;
    if !detach && remove {
        // If we are killed it ends with us.
        options.owner = tandem_app::own_identity();
    }
    let cidfile = cidfile.map(IdFile::make).transpose()?;
    let mut signals = Signals::take()?;
    let mut progress = |text: &str| context.say(&plain(text));
    let mut phase = |phase: Phase| {
        if context.verbose {
            let spent = tandem_report::format_duration(phase.end.since(phase.start));
            tell(&format!("{}: {spent}", phase.name));
        }
    };
    let launch = async {
        if detach {
            return Ok((context.app.run(options, &mut progress, &mut phase).await?, None));
        }
        let wishes = AttachWishes { input, close: input, hold: true };
        let (record, attached) =
            context.app.run_attached(options, wishes, &mut progress, &mut phase).await?;
        anyhow::Ok((record, Some(attached)))
    };
    let (record, attached) = tokio::select! {
        launched = launch => launched?,
        () = signals.ended() => return Ok(130),
    };
    if let Some(file) = cidfile {
        file.write(&record)?;
    }
    if let Some(reason) = &record.runtime.accelerator_reason {
        context.say(&format!("tandem: {reason}"));
    }
    warn(context, &record.runtime.warnings);
    match attached {
        Some(attached) => {
            let joined = Joined { record, input, keys, proxy: true };
            joined.follow(context, attached, signals).await
        }
        None => {
            line(record.id.as_str());
            Ok(0)
        }
    }
}

/// Says what an instance does without.
pub(super) fn warn(context: &Context, warnings: &[String]) {
    for warning in warnings {
        context.say(&plain(&format!("warning: {warning}")));
    }
}

/// The file that `--cidfile` names. It goes again when nothing was made.
struct IdFile {
    path: PathBuf,
    written: bool,
}

impl IdFile {
    fn make(path: PathBuf) -> anyhow::Result<Self> {
        match File::create_new(&path) {
            Ok(_) => Ok(Self { path, written: false }),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                let path = path.display();
                let text = format!(
                    "the id file {path} is there already: remove it, or give another name with --cidfile"
                );
                Err(AppError::Usage(text).into())
            }
            Err(e) => Err(e).with_context(|| format!("cannot make the id file {}", path.display())),
        }
    }

    fn write(mut self, record: &InstanceRecord) -> anyhow::Result<()> {
        fs::write(&self.path, record.id.as_str())
            .with_context(|| format!("cannot write the id to {}", self.path.display()))?;
        self.written = true;
        Ok(())
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if !self.written {
            let _ = fs::remove_file(&self.path);
        }
    }
}

pub(super) async fn create(context: &Context, run: Run) -> anyhow::Result<u8> {
    let mut progress = |text: &str| context.say(&plain(text));
    let cidfile = run.cidfile.clone().map(IdFile::make).transpose()?;
    let record = context.app.create(options(context, run)?, &mut progress).await?;
    if let Some(file) = cidfile {
        file.write(&record)?;
    }
    line(record.id.as_str());
    Ok(0)
}

fn options(context: &Context, run: Run) -> anyhow::Result<RunOptions> {
    if run.backend != BackendKind::Vm && run.profile.is_some() {
        return Err(AppError::Usage("--profile needs --backend vm".to_owned()).into());
    }
    let (image, command) = (run.image(), run.command());
    let mut env = variables_in(&run.env_file)?;
    env.extend(run.env);
    let (from, shm_bytes) = (run.storage.volumes_from.clone(), run.storage.shm_size);
    let mounts = with_those_of(context, &from, run.storage.mounts()?)?;
    let (network, networks) = chosen_networks(run.network.network)?;
    Ok(RunOptions {
        platform: run.platform,
        pull: match run.pull {
            PullWhen::Always => tandem_app::PullWhen::Always,
            PullWhen::Missing => tandem_app::PullWhen::Missing,
            PullWhen::Never => tandem_app::PullWhen::Never,
        },
        command,
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
            pids: run.pids_limit.and_then(|limit| limit.0),
        },
        stop_signal: run.stop_signal,
        stop_timeout_s: run.stop_timeout,
        remove: run.rm,
        labels: labels(&run.label)?,
        options: InstanceOptions {
            network,
            aliases: run.network.network_alias,
            networks,
            dns: run.network.dns,
            hosts: run.network.add_host,
            shm_bytes,
            security: run.security.security()?,
            ulimits: run.security.ulimit,
            init: run.security.init,
            mounts,
            terminal: run.streams.tty,
            stdin: run.streams.interactive,
            restart: run.supervision.restart,
            log: run.supervision.log(),
            health: None,
            template: run.template == crate::grammar::Template::Auto,
            room: Resources { memory_bytes: run.max_memory, milli_cpus: run.max_cpus, pids: None },
        },
        health: run.supervision.health(),
        ..RunOptions::new(image, run.backend)
    })
}

/// The mounts with the volumes and folders that other instances have; what is
/// mounted at the same place already goes before, and the last instance before
/// those named earlier, as in Docker.
fn with_those_of(
    context: &Context,
    instances: &[String],
    mut mounts: Vec<MountSpec>,
) -> anyhow::Result<Vec<MountSpec>> {
    for text in instances.iter().rev() {
        let (name, read_only) = match text.rsplit_once(':') {
            None => (text.as_str(), false),
            Some((name, "ro")) => (name, true),
            Some((name, "rw")) => (name, false),
            Some(_) => {
                let text = format!(
                    "`{text}` names no instance: write INSTANCE or INSTANCE:ro behind --volumes-from"
                );
                return Err(AppError::Usage(text).into());
            }
        };
        for mut mount in context.app.inspect(name)?.spec.options.mounts {
            if mounts.iter().any(|own| own.target == mount.target) {
                continue;
            }
            match &mut mount.source {
                // It stays with the instance that it was made for.
                MountSource::Volume { anonymous, .. } => *anonymous = false,
                MountSource::Bind { .. } => {}
                MountSource::Tmpfs { .. } => continue,
            }
            mount.read_only |= read_only;
            mounts.push(mount);
        }
    }
    Ok(mounts)
}

/// The variables in files, one a line; empty lines and those that begin with
/// `#` are none.
pub(super) fn variables_in(files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut env = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).map_err(|e| {
            let file = file.display();
            AppError::Usage(format!(
                "cannot read the variables in {file}: {e}; check the path behind --env-file"
            ))
        })?;
        // Editors of another system put a mark first (as Docker leaves it out).
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim_start);
        env.extend(
            lines.filter(|it| !it.is_empty() && !it.starts_with('#')).map(ToOwned::to_owned),
        );
    }
    Ok(env)
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
