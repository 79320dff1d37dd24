use std::fmt::Write as _;

use tandem_model::did_you_mean;

use super::{
    From, Instruction, Kind, Run, RunNetwork, SyntaxError, Warning, command, flags, healthcheck,
    heredoc,
    logical::{Lines, LogicalLine},
    mount, pairs,
    rest::Rest,
    transfer,
};

/// Every instruction of Docker's reference.
const NAMES: [&str; 18] = [
    "FROM",
    "ARG",
    "ENV",
    "LABEL",
    "COPY",
    "ADD",
    "RUN",
    "CMD",
    "ENTRYPOINT",
    "WORKDIR",
    "USER",
    "EXPOSE",
    "VOLUME",
    "STOPSIGNAL",
    "SHELL",
    "HEALTHCHECK",
    "ONBUILD",
    "MAINTAINER",
];

/// Reads one instruction; here-documents are taken from the lines after it.
pub(crate) fn instruction(
    file: &str,
    line: &LogicalLine,
    lines: &mut Lines<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Instruction, SyntaxError> {
    let length = line.text.find(char::is_whitespace).unwrap_or(line.text.len());
    let written = &line.text[..length];
    let Some(name) = NAMES.into_iter().find(|name| name.eq_ignore_ascii_case(written)) else {
        let hint = match did_you_mean(written, &NAMES) {
            hint if hint.is_empty() => {
                ": expected an instruction such as FROM, RUN, COPY or CMD".to_owned()
            }
            hint => hint,
        };
        return Err(SyntaxError {
            file: file.to_owned(),
            span: line.span(0..length),
            message: format!("unknown instruction `{written}`{hint}"),
        });
    };
    let rest = Rest::new(file, line, lines.escape, name, length);
    let kind = match name {
        "FROM" => Kind::From(from(rest)?),
        "ARG" => Kind::Arg(pairs::arguments(&rest)?),
        "ENV" => Kind::Env(pairs::pairs(&rest)?),
        "LABEL" => Kind::Label(pairs::pairs(&rest)?),
        "COPY" => Kind::Copy(transfer::transfer(rest, lines)?),
        "ADD" => Kind::Add(transfer::transfer(rest, lines)?),
        "RUN" => Kind::Run(run(rest, lines, warnings)?),
        "CMD" => Kind::Cmd(command::command_line(&rest, warnings)?),
        "ENTRYPOINT" => Kind::Entrypoint(command::command_line(&rest, warnings)?),
        "WORKDIR" => Kind::Workdir(rest.one("a path, e.g. WORKDIR /app")?),
        "USER" => Kind::User(rest.one("a user, e.g. USER app or USER 1000:1000")?),
        "EXPOSE" => {
            rest.some("a port, e.g. EXPOSE 8080 or EXPOSE 53/udp")?;
            Kind::Expose(rest.words())
        }
        "VOLUME" => {
            rest.some("a path, e.g. VOLUME /data")?;
            Kind::Volume(volumes(&rest)?)
        }
        "STOPSIGNAL" => Kind::StopSignal(rest.one("a signal, e.g. STOPSIGNAL SIGTERM")?),
        "SHELL" => Kind::Shell(command::shell(&rest)?),
        "HEALTHCHECK" => Kind::Healthcheck(healthcheck::healthcheck(rest, warnings)?),
        "ONBUILD" => Kind::Onbuild(onbuild(&rest, lines)?),
        _ => Kind::Maintainer(rest.one("a name")?.text),
    };
    Ok(Instruction { span: line.span(0..line.text.len()), text: line.text.clone(), kind })
}

fn from(mut rest: Rest<'_>) -> Result<From, SyntaxError> {
    let mut flags = flags::take(&mut rest, &["platform"])?;
    let platform = flags::value(&rest, &mut flags, "platform")?;
    rest.some("an image, e.g. FROM python:3.12-slim")?;
    let mut words = rest.words();
    if words.len() == 3 && words[1].text.eq_ignore_ascii_case("as") {
        let name = words.remove(2);
        let lower = name.text.to_lowercase();
        let fits = lower.starts_with(|c: char| c.is_ascii_lowercase())
            && lower.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !fits {
            return Err(rest.error_at(
                name.span,
                format!("`{}` cannot name a stage: expected a letter, then letters, digits, `-`, `_`, `.`", name.text),
            ));
        }
        return Ok(From { image: words.swap_remove(0), platform, name: Some(lower) });
    }
    if words.len() != 1 {
        return Err(rest.error_at(
            words[1].span,
            format!("unexpected `{}`: expected FROM IMAGE or FROM IMAGE AS NAME", words[1].text),
        ));
    }
    Ok(From { image: words.swap_remove(0), platform, name: None })
}

fn run(
    mut rest: Rest<'_>,
    lines: &mut Lines<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Run, SyntaxError> {
    let mut flags = flags::take(&mut rest, &["mount", "network", "security", "device"])?;
    let network = flags::value(&rest, &mut flags, "network")?;
    let mounts = flags::all(&mut flags, "mount")
        .iter()
        .map(|flag| mount::mount(&rest, flag))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(word) = flags::value(&rest, &mut flags, "security")?
        && word.text != "sandbox"
    {
        return Err(rest.error_at(
            word.span,
            format!(
                "Tandem builds in a sandbox only, not `{}`, since a Dockerfile may come from anybody: leave --security out, and do what needs privileges in a container of the image",
                word.text
            ),
        ));
    }
    if let Some(word) = flags::value(&rest, &mut flags, "device")? {
        return Err(rest.error_at(
            word.span,
            format!(
                "a step gets no device of this machine (`{}`), so that an image does not depend on where it is built: leave --device out",
                word.text
            ),
        ));
    }
    flags::refuse_rest(&rest, &flags)?;
    let network = match network {
        None => RunNetwork::Default,
        Some(word) => match word.text.as_str() {
            "none" => RunNetwork::None,
            "default" => RunNetwork::Default,
            "host" => RunNetwork::Host,
            other => {
                return Err(rest.error_at(
                    word.span,
                    format!("`{other}` is not a network: expected default, host or none"),
                ));
            }
        },
    };
    rest.some("a command, e.g. RUN pip install flask")?;
    let documents = heredoc::take(&rest, lines)?;
    let mut script = None;
    let command = match documents.as_slice() {
        [] => command::command_line(&rest, warnings)?,
        // The document alone is the script, or a program of its own.
        [only] if heredoc::is_marker(rest.text()) => {
            if only.content.starts_with("#!") {
                script = Some(only.content.clone());
            }
            super::CommandLine::Shell(only.content.clone())
        }
        // The shell reads its documents itself.
        several => {
            let mut text = rest.text().to_owned();
            for document in several {
                text.push('\n');
                text.push_str(&document.content);
                text.push_str(&document.name);
            }
            super::CommandLine::Shell(text)
        }
    };
    Ok(Run { command, network, mounts, script })
}

fn volumes(rest: &Rest<'_>) -> Result<Vec<super::Word>, SyntaxError> {
    let span = rest.line.span(rest.offset()..rest.line.text.len());
    let words: Vec<_> = match command::exec_form(rest)? {
        Some(texts) => texts.into_iter().map(|text| super::Word { text, span }).collect(),
        None => rest.words(),
    };
    if words.is_empty() || words.iter().any(|word| word.text.trim().is_empty()) {
        return Err(rest.refuse("a volume's path is empty: expected e.g. VOLUME /data"));
    }
    Ok(words)
}

fn onbuild(rest: &Rest<'_>, lines: &mut Lines<'_>) -> Result<String, SyntaxError> {
    let mut word = rest.one("an instruction, e.g. ONBUILD RUN make")?;
    let name = word.text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    if ["ONBUILD", "FROM", "MAINTAINER"].contains(&name.as_str()) {
        return Err(rest.error_at(word.span, format!("{name} cannot be an ONBUILD trigger")));
    }
    // Here-documents belong to the trigger, which carries them along.
    if ["ADD", "COPY", "RUN"].contains(&name.as_str()) {
        for document in heredoc::take(rest, lines)? {
            let _ = write!(word.text, "\n{}{}", document.content, document.name);
        }
    }
    // The trigger must be sound where it is written, not where it is used.
    parse_trigger(rest, &word.text)?;
    Ok(word.text)
}

fn parse_trigger(rest: &Rest<'_>, text: &str) -> Result<(), SyntaxError> {
    let mut lines = Lines::new(text);
    lines.escape = rest.escape;
    if let Some(line) = lines.logical() {
        instruction("ONBUILD", &line, &mut lines, &mut Vec::new())
            .map_err(|e| rest.refuse(e.message))?;
    }
    Ok(())
}
