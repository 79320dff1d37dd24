//! The instructions that change the configuration and no file.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{document::Healthcheck, state::State};
use crate::{
    BuildError, expand,
    parse::{self, Argument, CommandLine, Dockerfile, Kind, SyntaxError, Word},
    plan::{expanded, refused},
};

/// What the instructions need besides the stage.
pub(super) struct Scope<'a> {
    pub(super) dockerfile: &'a Dockerfile,
    pub(super) build_args: &'a BTreeMap<String, String>,
    /// Arguments before the first FROM.
    pub(super) globals: &'a BTreeMap<String, String>,
}

impl Scope<'_> {
    /// A word with the stage's variables replaced.
    pub(super) fn expand(&self, state: &State, word: &Word) -> Result<String, SyntaxError> {
        expanded(self.dockerfile, word, &|name| state.value(name))
    }

    fn words(&self, state: &State, word: &Word) -> Result<Vec<String>, SyntaxError> {
        let lookup = |name: &str| state.value(name);
        expand::expand_words(&word.text, self.dockerfile.escape, &lookup).map_err(|e| SyntaxError {
            file: self.dockerfile.file.clone(),
            span: word.span,
            message: e.message,
        })
    }

    /// Carries the instruction out and returns its line for the history;
    /// nothing for ONBUILD, which Docker leaves no line of.
    pub(super) fn apply(
        &self,
        state: &mut State,
        kind: &Kind,
    ) -> Result<Option<String>, BuildError> {
        let line = match kind {
            Kind::Arg(arguments) => self.arguments(state, arguments)?,
            Kind::Env(pairs) => {
                let pairs = self.pairs(state, pairs)?;
                for (key, value) in &pairs {
                    state.set_variable(key, value);
                }
                format!("ENV {}", joined(&pairs))
            }
            Kind::Label(pairs) => {
                let pairs = self.pairs(state, pairs)?;
                let labels = state.document.config.labels.get_or_insert_default();
                labels.extend(pairs.iter().cloned());
                format!("LABEL {}", joined(&pairs))
            }
            Kind::Cmd(command) => {
                let args = in_form(state, command);
                let line = format!("CMD {}", quoted(&args));
                state.document.config.cmd = Some(args);
                state.own_cmd = true;
                line
            }
            Kind::Entrypoint(command) => {
                let args = in_form(state, command);
                let line = format!("ENTRYPOINT {}", quoted(&args));
                state.document.config.entrypoint = Some(args);
                // A base image's CMD was meant for its own ENTRYPOINT.
                if !state.own_cmd {
                    state.document.config.cmd = None;
                }
                line
            }
            Kind::User(word) => {
                let user = self.expand(state, word)?;
                let line = format!("USER {user}");
                state.document.config.user = Some(user);
                line
            }
            Kind::Expose(words) => self.expose(state, words)?,
            Kind::Volume(words) => {
                let paths: Vec<String> =
                    words.iter().map(|word| self.expand(state, word)).collect::<Result<_, _>>()?;
                let volumes = state.document.config.volumes.get_or_insert_default();
                volumes.extend(paths.iter().map(|path| (path.clone(), json!({}))));
                format!("VOLUME [{}]", paths.join(" "))
            }
            Kind::StopSignal(word) => {
                let signal = self.expand(state, word)?;
                if !is_signal(&signal) {
                    return Err(refused(
                        self.dockerfile,
                        word,
                        format!(
                            "`{signal}` is not a signal: expected a name such as SIGTERM or a number from 1 to 64"
                        ),
                    ));
                }
                let line = format!("STOPSIGNAL {signal}");
                state.document.config.stop_signal = Some(signal);
                line
            }
            Kind::Shell(args) => {
                state.document.config.shell = Some(args.clone());
                format!("SHELL [{}]", args.join(" "))
            }
            Kind::Healthcheck(check) => {
                let check = healthcheck(check);
                let line = format!("HEALTHCHECK {}", quoted(&check.test));
                state.document.config.healthcheck = Some(check);
                line
            }
            Kind::Onbuild(trigger) => {
                state.document.config.on_build.get_or_insert_default().push(trigger.clone());
                return Ok(None);
            }
            Kind::Maintainer(name) => {
                state.document.author = Some(name.clone());
                format!("MAINTAINER {name}")
            }
            Kind::From(_) | Kind::Copy(_) | Kind::Add(_) | Kind::Run(_) | Kind::Workdir(_) => {
                return Ok(None);
            }
        };
        Ok(Some(line))
    }

    /// All pairs see the variables as they were before the instruction.
    fn pairs(
        &self,
        state: &State,
        pairs: &[(Word, Word)],
    ) -> Result<Vec<(String, String)>, SyntaxError> {
        pairs
            .iter()
            .map(|(key, value)| Ok((self.expand(state, key)?, self.expand(state, value)?)))
            .collect()
    }

    fn arguments(&self, state: &mut State, arguments: &[Argument]) -> Result<String, SyntaxError> {
        let mut shown = Vec::new();
        for argument in arguments {
            let name = self.expand(state, &argument.name)?;
            let value = match (self.build_args.get(&name), &argument.default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => Some(self.expand(state, default)?),
                (None, None) => self.globals.get(&name).cloned(),
            };
            shown.push(value.as_ref().map_or_else(|| name.clone(), |it| format!("{name}={it}")));
            state.declare(&name, value);
        }
        Ok(format!("ARG {}", shown.join(" ")))
    }

    fn expose(&self, state: &mut State, words: &[Word]) -> Result<String, BuildError> {
        let mut ports = Vec::new();
        for word in words {
            for text in self.words(state, word)? {
                let range = port_range(&text).ok_or_else(|| {
                    refused(
                        self.dockerfile,
                        word,
                        format!("`{text}` is not a port: expected e.g. 8080, 53/udp or 8000-8010"),
                    )
                })?;
                ports.extend(range);
            }
        }
        let exposed = state.document.config.exposed_ports.get_or_insert_default();
        exposed
            .extend(ports.iter().map(|port| (port.clone(), Value::Object(serde_json::Map::new()))));
        Ok(format!("EXPOSE {}", ports.join(" ")))
    }
}

/// `8080/tcp` and so on for each port of `[[IP:]HOST:]FROM[-TO][/PROTOCOL]`;
/// of a mapping only the container's side counts, as in Docker.
fn port_range(text: &str) -> Option<Vec<String>> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let numbers = numbers.rsplit(':').next().unwrap_or(numbers);
    let protocol = protocol.to_ascii_lowercase();
    let (from, to) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let (from, to): (u16, u16) = (from.parse().ok()?, to.parse().ok()?);
    let known = ["tcp", "udp", "sctp"].contains(&protocol.as_str());
    (known && from > 0 && from <= to)
        .then(|| (from..=to).map(|port| format!("{port}/{protocol}")).collect())
}

fn in_form(state: &State, command: &CommandLine) -> Vec<String> {
    match command {
        CommandLine::Exec(args) => args.clone(),
        CommandLine::Shell(text) => state.document.config.in_shell(text),
    }
}

fn healthcheck(check: &parse::Healthcheck) -> Healthcheck {
    let test = match &check.command {
        None => vec!["NONE".to_owned()],
        Some(CommandLine::Exec(args)) => [&["CMD".to_owned()], args.as_slice()].concat(),
        Some(CommandLine::Shell(text)) => vec!["CMD-SHELL".to_owned(), text.clone()],
    };
    Healthcheck {
        test,
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        start_interval: check.start_interval,
        retries: check.retries.into(),
    }
}

fn joined(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

/// A list of strings as Go's `%q` prints it, which is how Docker writes it
/// into the history.
fn quoted(args: &[String]) -> String {
    let args: Vec<String> = args.iter().map(|arg| format!("{arg:?}")).collect();
    format!("[{}]", args.join(" "))
}

/// Names without `SIG` (signal(7), the Linux ones), besides the real-time ones.
const SIGNALS: [&str; 34] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<u8>() {
        return (1..=64).contains(&number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    SIGNALS.contains(&name) || name.starts_with("RTMIN") || name.starts_with("RTMAX")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_ranges_and_protocols() {
        assert_eq!(port_range("8080").unwrap(), ["8080/tcp"]);
        assert_eq!(port_range("53/UDP").unwrap(), ["53/udp"]);
        assert_eq!(port_range("127.0.0.1:80:81").unwrap(), ["81/tcp"]);
        assert_eq!(port_range("1-3/tcp").unwrap(), ["1/tcp", "2/tcp", "3/tcp"]);
        for bad in ["", "x", "0", "3-1", "70000", "80/http", "80:"] {
            assert_eq!(port_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn signals_have_names_and_numbers() {
        assert!(["SIGTERM", "term", "9", "SIGRTMIN+3"].iter().all(|it| is_signal(it)));
        assert!(["", "0", "65", "SIGNAL"].iter().all(|it| !is_signal(it)));
    }
}
