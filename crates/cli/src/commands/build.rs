use std::{fs, io::Read as _, path::Path};

use anyhow::Context as _;
use tandem_app::AppError;
use tandem_build::{BuildContext, BuildEvent, BuildOptions, DockerfileSource};

use super::{Context, run::labels};
use crate::{
    grammar::{Build, Progress},
    output::{line, plain},
    signals::cancel_on_interrupt,
};

pub(super) async fn run(context: &Context, build: Build) -> anyhow::Result<u8> {
    let progress = build.progress;
    let iidfile = build.iidfile.clone();
    let request = request(build)?;
    let mut show = |event: BuildEvent| report(context, progress, &event);
    let built = context.app.build(&request, &mut show, &cancel_on_interrupt()).await?;
    let digest = built.image.digest.to_string();
    if let Some(file) = iidfile {
        fs::write(&file, &digest).with_context(|| format!("cannot write {}", file.display()))?;
    }
    line(&digest);
    Ok(0)
}

fn request(build: Build) -> anyhow::Result<BuildOptions> {
    let mut request = BuildOptions { context: build.context, ..BuildOptions::default() };
    for tag in &build.tags {
        request.tags.push(tag.parse().map_err(AppError::from)?);
    }
    for argument in &build.arguments {
        let (key, value) = match argument.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (argument.as_str(), std::env::var(argument).ok()),
        };
        request.build_args.extend(value.map(|value| (key.to_owned(), value)));
    }
    for text in &build.named_contexts {
        let context = text.parse().map_err(|e| AppError::Usage(format!("{e}")));
        let context: BuildContext = context?;
        request.build_contexts.push(context);
    }
    request.labels.extend(labels(&build.label)?);
    request.target = build.target;
    request.no_cache = build.no_cache;
    request.pull = build.pull;
    request.corporate_network = !build.no_host_network_settings;
    match build.file.as_deref() {
        Some(file) if file == Path::new("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("cannot read the Dockerfile")?;
            request.dockerfile = DockerfileSource::Text(text);
        }
        Some(file) => request.dockerfile = DockerfileSource::Path(file.to_owned()),
        None => {}
    }
    Ok(request)
}

fn report(context: &Context, progress: Progress, event: &BuildEvent) {
    if progress == Progress::Json {
        eprintln!("{}", serde_json::to_string(event).unwrap_or_default());
        return;
    }
    match event {
        BuildEvent::StepStarted { index, total, instruction, .. } => {
            context.say(&format!("[{index}/{total}] {}", plain(instruction)));
        }
        BuildEvent::StepCached { .. } => context.say("      cached"),
        BuildEvent::Output { line, .. } => context.say(&format!("      {}", plain(line))),
        BuildEvent::Substituted(it) => {
            context.say(&format!("tandem: {} stands in for {}", plain(&it.to), plain(&it.from)));
        }
        BuildEvent::Warning { message, .. } => context.say(&format!("warning: {}", plain(message))),
        BuildEvent::StepFinished { elapsed_ns, .. } => {
            context.say(&format!("      done in {}", tandem_report::format_duration(*elapsed_ns)));
        }
        BuildEvent::Done { .. } => {}
    }
}
