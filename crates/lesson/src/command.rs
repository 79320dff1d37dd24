use std::{path::Component, path::Path, str::FromStr};

/// A command of `tandem` that a lesson may offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What stands after `tandem`.
    pub arguments: Vec<String>,
}

/// What a verb may be given.
struct Allowed {
    verb: &'static [&'static str],
    /// Options without a value.
    flags: &'static [&'static str],
    /// Options with one.
    values: &'static [&'static str],
    /// Everything after this many words belongs to a program inside an
    /// instance.
    inside_after: Option<usize>,
}

const fn verb(
    verb: &'static [&'static str],
    flags: &'static [&'static str],
    values: &'static [&'static str],
) -> Allowed {
    Allowed { verb, flags, values, inside_after: None }
}

/// What a beginner could type without harm: no folder of the host's, no more
/// privileges, no other machine's network, no file outside the lesson's
/// folder.
const ALLOWED: &[Allowed] = &[
    verb(&["sample", "copy"], &[], &[]),
    verb(&["sample", "ls"], &[], &[]),
    verb(&["build"], &["--no-cache"], &["-t", "--tag", "--build-arg"]),
    Allowed {
        verb: &["run"],
        flags: &["-d", "--detach", "--rm"],
        values: &[
            "--name",
            "-p",
            "--publish",
            "-e",
            "--env",
            "-m",
            "--memory",
            "--cpus",
            "--backend",
            "-v",
            "--volume",
            "--max-memory",
            "--max-cpus",
            "--template",
        ],
        inside_after: Some(1),
    },
    Allowed { verb: &["exec"], flags: &[], values: &[], inside_after: Some(1) },
    verb(&["start"], &[], &[]),
    verb(&["stop"], &[], &[]),
    verb(&["restart"], &[], &[]),
    verb(&["pause"], &[], &[]),
    verb(&["unpause"], &[], &[]),
    verb(&["rm"], &["-f", "--force", "-v", "--volumes"], &[]),
    verb(&["ps"], &["-a", "--all"], &[]),
    verb(&["images"], &[], &[]),
    verb(&["image", "ls"], &[], &[]),
    verb(&["image", "tree"], &[], &[]),
    verb(&["image", "history"], &[], &[]),
    verb(&["image", "bootstrap"], &[], &[]),
    verb(&["pull"], &[], &[]),
    verb(&["logs"], &[], &["--tail"]),
    verb(&["stats"], &["--no-stream"], &[]),
    verb(&["top"], &[], &[]),
    verb(&["port"], &[], &[]),
    verb(&["diff"], &[], &[]),
    verb(&["inspect"], &[], &[]),
    verb(&["update"], &[], &["-m", "--memory", "--cpus", "--mode"]),
    verb(&["snapshot", "create"], &["--memory"], &[]),
    verb(&["snapshot", "restore"], &[], &["--as"]),
    verb(&["snapshot", "ls"], &[], &[]),
    verb(&["snapshot", "tree"], &[], &[]),
    verb(&["volume", "create"], &[], &[]),
    verb(&["volume", "ls"], &[], &[]),
    verb(&["volume", "rm"], &[], &[]),
    verb(&["compare"], &[], &["--trials", "--lanes"]),
    verb(&["experiment", "run"], &[], EXPERIMENT),
    verb(&["experiment", "ls"], &[], &[]),
    verb(&["experiment", "describe"], &[], &[]),
    verb(&["result", "ls"], &[], &[]),
    verb(&["doctor"], &[], &[]),
];

const EXPERIMENT: &[&str] =
    &["--subject", "--lanes", "--trials", "--warmup", "--instances", "--time-limit", "--cache"];

/// Verbs whose words may be paths, which have to stay in the lesson's folder.
const WITH_PATHS: &[&str] = &["sample", "build", "compare", "experiment"];

impl FromStr for Command {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let words = shlex::split(line).ok_or("a quotation mark is not closed")?;
        let Some((program, arguments)) = words.split_first() else {
            return Err("there is no command".to_owned());
        };
        if program != "tandem" {
            return Err(format!("`{program}` is not run by lessons: expected a tandem command"));
        }
        let is = |allowed: &&Allowed| {
            arguments.len() >= allowed.verb.len()
                && arguments.iter().zip(allowed.verb).all(|(word, verb)| word == verb)
        };
        let Some(allowed) = ALLOWED.iter().find(is) else {
            let verb = arguments.first().map_or("", String::as_str);
            return Err(format!("`tandem {verb}` is not run by lessons"));
        };
        check(allowed, &arguments[allowed.verb.len()..])?;
        Ok(Self { arguments: arguments.to_vec() })
    }
}

fn check(allowed: &Allowed, words: &[String]) -> Result<(), String> {
    let mut positional = 0;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if !word.starts_with('-') || word == "-" {
            positional += 1;
            if word == "-" || WITH_PATHS.contains(&allowed.verb[0]) && !is_inside(word) {
                return Err(format!("`{word}` is outside the lesson's folder"));
            }
            if allowed.inside_after == Some(positional) {
                return Ok(());
            }
            continue;
        }
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        if allowed.flags.contains(&name) && attached.is_none() {
            continue;
        }
        if !allowed.values.contains(&name) {
            return Err(format!("the option `{name}` is not given by lessons"));
        }
        let value = attached.or_else(|| words.next().cloned());
        let value = value.ok_or_else(|| format!("the option `{name}` lacks its value"))?;
        if ["-v", "--volume"].contains(&name) && !is_named_volume(&value) {
            return Err(format!("`{value}` is no volume of Tandem's: expected NAME:PATH"));
        }
        if ["-p", "--publish"].contains(&name) && value.matches(':').count() > 1 {
            return Err(format!(
                "`{value}` names an address: lessons publish on this machine only"
            ));
        }
        if name == "--subject" && !is_inside(&value) {
            return Err(format!("`{value}` is outside the lesson's folder"));
        }
    }
    Ok(())
}

/// Whether a path stays in the folder that it begins at.
pub(crate) fn is_inside(path: &str) -> bool {
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    !path.is_empty() && !path.starts_with('~') && Path::new(path).components().all(plain)
}

fn is_named_volume(value: &str) -> bool {
    let Some((name, path)) = value.split_once(':') else { return false };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    name.bytes().all(plain)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && path.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginners_commands_are_taken() {
        for line in [
            "tandem sample copy hello-flask hello-flask",
            "tandem build -t hello-flask --build-arg BASE=localhost/tandem/python hello-flask",
            "tandem run -d --name web -p 8080:8080 hello-flask",
            "tandem run --rm -v data:/data box sh -c 'echo --privileged > /data/x'",
            "tandem exec web cat /etc/hostname",
            "tandem experiment run startup --lanes=container,vm --trials 3",
            "tandem snapshot create --memory web before",
        ] {
            assert!(line.parse::<Command>().is_ok(), "{line}: {:?}", line.parse::<Command>());
        }
    }

    #[test]
    fn what_could_do_harm_is_refused() {
        for line in [
            "",
            "rm -rf /",
            "tandem",
            "tandem system prune",
            "tandem image rm hello-flask",
            "tandem run -v /:/host box",
            "tandem run -v ../x:/x box",
            "tandem run -v/:/host box",
            "tandem run -v d/x:/x box",
            "tandem run -v data:x box",
            "tandem build ''",
            "tandem build ~",
            "tandem compare /etc",
            "tandem run --volume=/:/host box",
            "tandem run --privileged box",
            "tandem run --network host box",
            "tandem run -p 0.0.0.0:80:80 box",
            "tandem run --home /x box",
            "tandem --home /x ps",
            "tandem build /etc",
            "tandem build -",
            "tandem build ../..",
            "tandem build -f /etc/passwd .",
            "tandem build -o /x .",
            "tandem sample copy hello-flask ~/x",
            "tandem experiment run startup --subject /etc",
            "tandem experiment run startup --report x",
            "tandem logs --tail",
            "tandem ps 'x",
        ] {
            assert!(line.parse::<Command>().is_err(), "{line}");
        }
    }
}
