//! What was typed wrongly, as one sentence: what, why, what to type instead.
//!
//! clap knows all of that, but says it on four lines, with a usage and a tip.
//! Help that was asked for, or that a bare `tandem image` gets, stays clap's.

use std::{
    error::Error as _,
    ffi::OsString,
    num::{ParseFloatError, ParseIntError},
};

use clap::{
    Command, CommandFactory as _, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{dockers, grammar::Cli, output};

/// Longer usages are for the help.
const SHORT: usize = 80;

/// Says what is wrong with the words and gives the exit code.
pub(crate) fn report(error: &Error, words: &[OsString]) -> u8 {
    use ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    if let DisplayHelp | DisplayVersion | DisplayHelpOnMissingArgumentOrSubcommand = error.kind() {
        let _ = error.print();
    } else {
        output::complain(&output::plain(&sentence(error, words)));
    }
    u8::try_from(error.exit_code()).unwrap_or(2)
}

fn sentence(error: &Error, words: &[OsString]) -> String {
    let command = named(words);
    let help = format!("see `{command} --help`");
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let wrong = text(ContextKind::InvalidArg);
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    match (error.kind(), wrong) {
        (ErrorKind::UnknownArgument, Some(word)) if word.starts_with('-') => {
            let next =
                match (dockers::instead_of_option(&command, word), text(ContextKind::SuggestedArg))
                {
                    (Some(instead), _) => instead.to_owned(),
                    (None, Some(near)) => format!("did you mean `{near}`?"),
                    (None, None) => help,
                };
            format!("`{command}` has no option `{}`: {next}", short(word))
        }
        (ErrorKind::UnknownArgument, Some(word)) => {
            format!("`{command}` takes no further word `{}`: {help}", short(word))
        }
        (ErrorKind::InvalidSubcommand, _) => {
            let word = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            // The likeliest is the last.
            let near = strings(error, ContextKind::SuggestedSubcommand).pop();
            let next = match (dockers::instead_of_command(&command, word), near) {
                (Some(instead), _) => instead.to_owned(),
                (None, Some(near)) => format!("did you mean `{near}`?"),
                (None, None) => help,
            };
            format!("`{command}` has no command `{}`: {next}", short(word))
        }
        (ErrorKind::MissingSubcommand, _) => {
            format!("`{command}` wants a command to carry out: {help}")
        }
        (ErrorKind::MissingRequiredArgument, _) => {
            let missing = strings(error, ContextKind::InvalidArg).join(" and ").replace("...", "");
            let next = usage(error).map_or(help, |usage| format!("write `{usage}`"));
            format!("`{command}` wants {missing}: {next}")
        }
        (ErrorKind::InvalidValue, Some(option)) => {
            let valid = strings(error, ContextKind::ValidValue);
            let what = match value {
                "" => format!("`{}` wants a value", name(option)),
                value => format!("`{}` is no value of `{}`", short(value), name(option)),
            };
            match valid.as_slice() {
                [] => format!("{what}: write `{option}`, or {help}"),
                valid => format!("{what}: write {}", one_of(valid)),
            }
        }
        (ErrorKind::ValueValidation, Some(option)) => {
            format!("`{}`: {}", name(option), reason(error, value))
        }
        (ErrorKind::ArgumentConflict, Some(option)) => match conflicts(error) {
            others if others.iter().any(|other| *other != option) => {
                let others: Vec<&str> = others.into_iter().map(name).collect();
                let (option, others) = (name(option), one_of(&others));
                format!("`{option}` and {others} exclude each other: leave one of them out")
            }
            _ => format!("`{}` is given twice: leave one of them out", name(option)),
        },
        _ => {
            let told = error.render().to_string();
            let line = told.lines().next().unwrap_or_default();
            format!("{}: {help}", line.strip_prefix("error: ").unwrap_or(line))
        }
    }
}

/// The command that the words name, as far as they name one.
fn named(words: &[OsString]) -> String {
    let mut command: &Command = &Cli::command();
    let mut path = vec![command.get_name()];
    let mut words = words.iter().filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        if word == "--home" {
            words.next();
        } else if !word.starts_with('-') {
            let Some(next) = command.find_subcommand(word) else { break };
            path.push(next.get_name());
            command = next;
        }
    }
    path.join(" ")
}

/// Why a value is none, as who read it says.
fn reason(error: &Error, value: &str) -> String {
    let value = short(value);
    let Some(source) = error.source() else { return format!("`{value}` cannot be read") };
    if source.is::<ParseIntError>() {
        return format!("`{value}` is not a whole number that fits here: write one, e.g. 10");
    }
    if source.is::<ParseFloatError>() {
        return format!("`{value}` is not a number: write one, e.g. 1.5");
    }
    let told = source.to_string();
    match told.split_once(" is not in ").and_then(|(_, range)| range.split_once("..")) {
        Some((least, "")) => format!("`{value}` is too small: write a number from {least}"),
        Some((least, most)) => {
            let most = most.trim_start_matches('=');
            format!("`{value}` is out of range: write a number from {least} to {most}")
        }
        None => told,
    }
}

/// How the command is written, when that is short.
fn usage(error: &Error) -> Option<String> {
    let ContextValue::StyledStr(usage) = error.get(ContextKind::Usage)? else { return None };
    let usage = usage.to_string();
    let usage = usage.trim().strip_prefix("Usage: ")?;
    (usage.len() <= SHORT && !usage.contains('\n')).then(|| usage.to_owned())
}

fn strings(error: &Error, kind: ContextKind) -> Vec<&str> {
    match error.get(kind) {
        Some(ContextValue::Strings(list)) => list.iter().map(String::as_str).collect(),
        Some(ContextValue::String(one)) => vec![one],
        _ => Vec::new(),
    }
}

fn conflicts(error: &Error) -> Vec<&str> {
    strings(error, ContextKind::PriorArg)
}

/// `--publish <PORT>` without what stands behind.
fn name(option: &str) -> &str {
    option.split([' ', '=', '[']).next().filter(|name| !name.is_empty()).unwrap_or(option)
}

/// `a`, `b` or `c`.
fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} or {last}", first.join(", ")),
        None => String::new(),
    }
}

/// A word of anybody's, for the middle of a sentence.
fn short(word: &str) -> String {
    let mut shown: String = word.chars().take(60).collect();
    if shown.len() < word.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn told(words: &[&str]) -> String {
        let typed: Vec<OsString> = words.iter().map(OsString::from).collect();
        let all = std::iter::once(OsString::from("tandem")).chain(typed.clone());
        let Err(error) = Cli::try_parse_from(all) else { panic!("{words:?} can be typed") };
        assert_eq!(error.exit_code(), 2, "{words:?}");
        sentence(&error, &typed)
    }

    #[test]
    fn a_sentence_says_what_why_and_what_next() {
        for (line, expected) in [
            ("fly", "`tandem` has no command `fly`: see `tandem --help`"),
            ("stat", "`tandem` has no command `stat`: did you mean `stats`?"),
            ("image lss", "`tandem image` has no command `lss`: did you mean `ls`?"),
            ("--home x", "`tandem` wants a command to carry out: see `tandem --help`"),
            (
                "run",
                "`tandem run` wants <IMAGE>: write `tandem run [OPTIONS] <IMAGE> [COMMAND]...`",
            ),
            ("cp a", "`tandem cp` wants <TO>: write `tandem cp <FROM> <TO>`"),
            ("--home x stop -x a", "`tandem stop` has no option `-x`: see `tandem stop --help`"),
            (
                "run --publsh 1 a",
                "`tandem run` has no option `--publsh`: did you mean `--publish`?",
            ),
            (
                "run --gpus all a",
                "`tandem run` has no option `--gpus`: devices of the machine are given to no instance",
            ),
            (
                "search x",
                "`tandem` has no command `search`: look on the registry's own page, and take an image with `tandem pull`",
            ),
            ("ps me", "`tandem ps` takes no further word `me`: see `tandem ps --help`"),
            (
                "run --memory",
                "`--memory` wants a value: write `--memory <SIZE>`, or see `tandem run --help`",
            ),
            ("build --progress", "`--progress` wants a value: write `auto`, `plain` or `json`"),
            (
                "build --progress fancy .",
                "`fancy` is no value of `--progress`: write `auto`, `plain` or `json`",
            ),
            (
                "stop -t x a",
                "`--time`: `x` is not a whole number that fits here: write one, e.g. 10",
            ),
            (
                "compare --trials 0",
                "`--trials`: `0` is out of range: write a number from 1 to 1000",
            ),
            ("compare --port 0", "`--port`: `0` is out of range: write a number from 1 to 65535"),
            (
                "ps --quiet --verbose",
                "`--quiet` and `--verbose` exclude each other: leave one of them out",
            ),
            ("run --name a --name b c", "`--name` is given twice: leave one of them out"),
        ] {
            assert_eq!(told(&line.split(' ').collect::<Vec<_>>()), expected, "{line}");
        }
        let size = told(&["run", "-m", "lots", "a"]);
        assert!(size.starts_with("`--memory`: `lots` is not a size: write "), "{size}");
    }

    #[test]
    fn every_command_says_it_in_one_line() {
        let mut seen = 0;
        each(&Cli::command(), &mut Vec::new(), &mut seen);
        assert!(seen > 250, "{seen}");
    }

    /// An option that is not there, and every option without its value.
    fn each(command: &Command, path: &mut Vec<String>, seen: &mut u32) {
        let mut check = |word: &str, what: &str| {
            let words: Vec<&str> = path.iter().map(String::as_str).chain([word]).collect();
            let told = told(&words);
            assert!(told.contains(what) && told.contains(": "), "{words:?}: {told}");
            assert!(!told.contains('\n') && told.len() < 240, "{words:?}: {told}");
            assert!(!told.to_lowercase().contains("usage"), "{words:?}: {told}");
            *seen += 1;
        };
        check("--there-is-none", "has no option `--there-is-none`");
        for option in command.get_arguments().filter(|it| it.get_action().takes_values()) {
            if let Some(long) = option.get_long().filter(|_| needs_value(option)) {
                let long = format!("--{long}");
                check(&long, &format!("`{long}` wants a value"));
            }
        }
        for inner in command.get_subcommands().filter(|it| it.get_name() != "help") {
            path.push(inner.get_name().to_owned());
            each(inner, path, seen);
            path.pop();
        }
    }

    fn needs_value(option: &clap::Arg) -> bool {
        option.get_num_args().is_none_or(|range| range.min_values() > 0)
    }

    #[test]
    fn a_word_of_anybodys_is_short() {
        let told = told(&["run", &format!("--{}", "é".repeat(5000))]);
        assert!(told.chars().count() < 160, "{told}");
    }
}
