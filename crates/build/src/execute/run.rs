use std::collections::VecDeque;

use tandem_backend::{StepMount, StepSource, StepSpec, Stream};
use tandem_model::ErrorCode;

use super::{builder::Builder, document::DEFAULT_PATH, shared::Ended, state::State};
use crate::{
    BuildError, BuildEvent, OutputStream,
    network::PROXY_VARIABLES,
    parse::{CommandLine, Instruction, Run, RunNetwork},
};

/// Where such a program is while it runs.
const SCRIPT: &str = "/run/tandem/script";

/// Lines of a failed step that its error repeats.
const LAST_LINES: usize = 20;

impl Builder<'_> {
    /// RUN: a command in a container over the layers so far.
    pub(super) async fn run(
        &self,
        stage: usize,
        state: &mut State,
        instruction: &Instruction,
        run: &Run,
    ) -> Result<Ended, BuildError> {
        let mounts = self.plan_mounts(stage, state, instruction, &run.mounts).await?;
        let config = &state.document.config;
        let args = match (&run.command, &run.script) {
            (_, Some(_)) => vec![SCRIPT.to_owned()],
            (CommandLine::Exec(args), _) => args.clone(),
            (CommandLine::Shell(text), _) => config.in_shell(text),
        };
        let arguments = state.visible_arguments();
        let line = history_line(&arguments, &args);
        let mut env = config.env.clone().unwrap_or_default();
        if config.variable("PATH").is_none() {
            env.push(format!("PATH={DEFAULT_PATH}"));
        }
        env.retain(|pair| !arguments.iter().any(|(name, _)| pair.split('=').next() == Some(name)));
        env.extend(arguments.iter().map(|(name, value)| format!("{name}={value}")));
        let (folder, user) = (config.folder().to_owned(), config.user.clone().unwrap_or_default());
        let isolated = match (run.network, self.options.network) {
            (RunNetwork::Default, whole) => whole == RunNetwork::None,
            (own, _) => own == RunNetwork::None,
        };
        let facts = ("run", &state.chain, &args, &env, &folder, &user, isolated);
        let key = self.key(&(facts, &mounts.facts, &run.script))?;
        let _turn = self.turn(&key).await;
        if let Some(made) = self.remembered(&key) {
            return Ok(self.recall(state, &made, line));
        }
        self.check_machine(state, instruction)?;
        // How this machine reaches the network is no part of what is built.
        let known = |name: &str| env.iter().any(|pair| pair.split('=').next() == Some(name));
        let proxies: Vec<String> = self
            .proxies
            .iter()
            .filter(|(name, _)| !known(name))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        env.extend(proxies);
        env.extend(mounts.env.iter().cloned());
        let (mut mounts, locks) = self.prepare_mounts(mounts).await?;
        if let Some(text) = &run.script {
            mounts.push(self.script(text)?);
        }
        let room = self.room()?;
        let mut lower = state.dirs.clone();
        if lower.is_empty() {
            // An overlay needs something beneath.
            let empty = self.scratch.path().join("empty");
            std::fs::create_dir_all(&empty).map_err(BuildError::io("make the folder", &empty))?;
            lower.push(empty);
        }
        let step = StepSpec {
            lower,
            upper: room.upper.clone(),
            work: room.work.clone(),
            args,
            env,
            cwd: folder,
            user,
            ca_bundle: self.certificates.clone(),
            host_network: !isolated,
            mounts,
        };
        self.execute(&step, instruction).await?;
        drop(locks);
        self.commit(state, room, &key, line).await
    }

    /// Refuses what would end in an "exec format error".
    fn check_machine(&self, state: &State, instruction: &Instruction) -> Result<(), BuildError> {
        let document = &state.document;
        let Some(reason) = self.runner.refusal(&document.architecture) else { return Ok(()) };
        let (platform, here) = (document.platform(), tandem_image::Platform::default());
        Err(self.stuck(instruction, ErrorCode::Unavailable, format!(
            "this stage is for {platform}, whose programs do not run on this machine ({here}): {reason}; until then only COPY, ADD and settings work in it"
        )))
    }

    /// A here-document that is a program of its own.
    fn script(&self, text: &str) -> Result<StepMount, BuildError> {
        let path = self.folder("script")?.join("script");
        std::fs::write(&path, text).map_err(BuildError::io("write", &path))?;
        let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        std::fs::set_permissions(&path, mode).map_err(BuildError::io("set the mode of", &path))?;
        let source = StepSource::Path(path);
        Ok(StepMount { target: SCRIPT.to_owned(), read_only: true, source })
    }

    async fn execute(&self, step: &StepSpec, instruction: &Instruction) -> Result<(), BuildError> {
        let mut last: VecDeque<String> = VecDeque::with_capacity(LAST_LINES);
        let index = self.index;
        let mut output = |stream: Stream, text: &str| {
            let line = text.trim_end_matches(['\r', '\n']).to_owned();
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(line.clone());
            let stream = match stream {
                Stream::Stdout => OutputStream::Stdout,
                Stream::Stderr => OutputStream::Stderr,
            };
            self.event(BuildEvent::Output { index, stream, line });
        };
        let ended = self.runner.run_step(step, &mut output).await;
        let (place, instruction) = (self.place(instruction), instruction.text.clone());
        match ended {
            Ok(0) => Ok(()),
            Ok(code) => {
                Err(BuildError::StepFailed { place, instruction, code, output: last.into() })
            }
            Err(source) => Err(BuildError::Runner { place, instruction, source }),
        }
    }
}

/// `RUN |N ARG=value… command`, as Docker writes it. Proxy settings may hold
/// passwords and are left out even when they were declared.
fn history_line(arguments: &[(String, String)], args: &[String]) -> String {
    let shown: Vec<String> = arguments
        .iter()
        .filter(|(name, _)| !PROXY_VARIABLES.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if shown.is_empty() {
        return format!("RUN {}", args.join(" "));
    }
    format!("RUN |{} {} {}", shown.len(), shown.join(" "), args.join(" "))
}
