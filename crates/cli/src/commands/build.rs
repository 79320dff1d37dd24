mod log;
mod output;
mod screen;
mod secrets;

use std::{fs, io::Read as _, path::Path};

use anyhow::Context as _;
use tandem_app::{AppError, StreamedContext};
use tandem_build::{BuildContext, BuildEvent, BuildOptions, DockerfileSource, parse::RunNetwork};

use log::Log;
use output::Output;

use super::{Context, run::labels};
use crate::{
    grammar::{Build, BuildNetwork},
    output::line,
    signals::cancel_on_interrupt,
};

pub(super) async fn run(context: &Context, build: Build) -> anyhow::Result<u8> {
    let progress = build.progress;
    let iidfile = build.iidfile.clone();
    let output = build.output.as_deref().map(output::parse).transpose()?;
    let (unnamed, first) = (build.tags.is_empty(), build.tags.first().cloned());
    // Standard input, unpacked; kept until the build has ended.
    let stream = match build.context.to_str() {
        Some("-") => Some(context.app.stream_context(std::io::stdin().lock())?),
        _ => None,
    };
    let request = request(build, stream.as_ref())?;
    let mut log = Log::new(context, progress);
    let mut show = |event: BuildEvent| log.write(&event);
    let cancel = cancel_on_interrupt();
    let built = context.app.build(&request, &mut show, &cancel).await;
    // Nothing is drawn after it, nor over an error.
    drop(log);
    let built = built?;
    drop(stream);
    let digest = built.image.digest.to_string();
    if let Some(file) = iidfile {
        fs::write(&file, &digest).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let to_stdout = output.as_ref().is_some_and(Output::is_stdout);
    if let Some(output) = output {
        output::write(context, &built.image, first.as_deref(), output).await?;
        if unnamed {
            // It was wanted as files, and nobody could call it by a name.
            context.app.remove_image(&built.image.reference.to_string(), false)?;
        }
    }
    if !to_stdout {
        line(&digest);
    }
    Ok(0)
}

fn request(build: Build, stream: Option<&StreamedContext>) -> anyhow::Result<BuildOptions> {
    let folder = stream.map_or(build.context, StreamedContext::folder);
    let mut request = BuildOptions { context: folder, ..BuildOptions::default() };
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
    request.secrets = secrets::secrets(&build.secrets)?;
    request.agents = secrets::agents(&build.agents)?;
    request.network = match build.network {
        BuildNetwork::Default => RunNetwork::Default,
        BuildNetwork::Host => RunNetwork::Host,
        BuildNetwork::None => RunNetwork::None,
    };
    let platform = build.platform.as_deref().map(tandem_build::parse_platform).transpose();
    request.platform = platform.map_err(AppError::Usage)?;
    request.labels.extend(labels(&build.label)?);
    request.target = build.target;
    request.no_cache = build.no_cache;
    request.pull = build.pull;
    request.corporate_network = !build.no_host_network_settings;
    request.dockerfile = match (build.file, stream) {
        (Some(file), Some(_)) if file == Path::new("-") => {
            let message = "standard input cannot be both the Dockerfile and the context";
            return Err(AppError::Usage(message.to_owned()).into());
        }
        (Some(file), None) if file == Path::new("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("cannot read the Dockerfile")?;
            DockerfileSource::Text(text)
        }
        (Some(file), None) => DockerfileSource::Path(file),
        // Of the archive, and nothing else of this machine.
        (Some(file), Some(_)) => DockerfileSource::Within(file),
        (None, Some(StreamedContext { dockerfile: Some(text), .. })) => {
            DockerfileSource::Text(text.clone())
        }
        (None, _) => DockerfileSource::InContext,
    };
    Ok(request)
}
