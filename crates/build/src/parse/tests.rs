use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Dockerfile {
    parse("Dockerfile", text).unwrap()
}

fn refused(text: &str) -> String {
    parse("Dockerfile", text).unwrap_err().to_string()
}

fn last(text: &str) -> Kind {
    parsed(&format!("FROM scratch\n{text}")).instructions.pop().unwrap().kind
}

fn texts(words: &[Word]) -> Vec<&str> {
    words.iter().map(|word| word.text.as_str()).collect()
}

#[test]
fn the_article_is_read() {
    let file = parsed(
        "FROM python:3.7.2-slim\n\nCOPY . /app\nWORKDIR /app\n\nRUN pip install pipenv\nRUN pipenv install flask\n\n\nENTRYPOINT [\"pipenv\", \"run\", \"python\", \"app.py\"]\n",
    );
    let lines: Vec<u32> = file.instructions.iter().map(|it| it.span.start.line).collect();
    assert_eq!(lines, [1, 3, 4, 6, 7, 10]);
    let Kind::Entrypoint(CommandLine::Exec(args)) = &file.instructions[5].kind else { panic!() };
    assert_eq!(args, &["pipenv", "run", "python", "app.py"]);
}

#[test]
fn messages_name_place_problem_and_mend() {
    for (text, message) in [
        ("FROM a\n\n  RUNN x", "Dockerfile:3:3: unknown instruction `RUNN`: did you mean RUN?"),
        (
            "FROM a\nINSTALL",
            "Dockerfile:2:1: unknown instruction `INSTALL`: expected an instruction such as FROM, RUN, COPY or CMD",
        ),
        (
            "RUN x",
            "Dockerfile:1:1: no build stage has begun: expected FROM before this instruction (only ARG may stand before it)",
        ),
        ("FROM a as", "Dockerfile:1:8: unexpected `as`: expected FROM IMAGE or FROM IMAGE AS NAME"),
        (
            "FROM a\nCOPY \\\n --chwn=1 a b",
            "Dockerfile:3:2: COPY has no flag `--chwn`: did you mean --chown?",
        ),
        (
            "FROM a\nCOPY a",
            "Dockerfile:2:6: COPY needs a source and a destination: expected COPY SOURCE… DESTINATION",
        ),
        (
            "FROM a\nCOPY a b c",
            "Dockerfile:2:10: several sources need a folder to go to: expected a destination that ends with `/`, e.g. c/",
        ),
        (
            "FROM a\nENV A=1 \"b",
            "Dockerfile:2:9: this \" has no end: expected a second \" on the line",
        ),
        (
            "FROM a\nENV A=1 b",
            "Dockerfile:2:9: `b` has no `=`: expected ENV KEY=VALUE; quote values that have spaces",
        ),
        ("FROM a\nENV A", "Dockerfile:2:5: ENV lacks a value for `A`: expected A=VALUE"),
        (
            "FROM a\nWORKDIR",
            "Dockerfile:2:8: WORKDIR lacks its argument: expected a path, e.g. WORKDIR /app",
        ),
        (
            "FROM a\nCMD [\"a\", 1]",
            "Dockerfile:2:5: `1` is not a string: expected CMD [\"…\", \"…\"]",
        ),
        (
            "FROM a\nRUN <<EOF\nx",
            "Dockerfile:2:5: the here-document has no end: expected a line `EOF`",
        ),
        (
            "FROM a\nHEALTHCHECK --interval=5 CMD x",
            "Dockerfile:2:24: `5` is not a time: expected e.g. 30s, 1m30s or 500ms",
        ),
        (
            "# only a comment\n",
            "Dockerfile:1:1: the Dockerfile has no FROM: expected e.g. FROM python:3.12-slim",
        ),
    ] {
        assert_eq!(refused(text), message);
    }
}

#[test]
fn pairs_keep_their_quotes_and_both_forms_work() {
    let Kind::Env(pairs) = last("ENV A=1 B=\"x y\" C=x\\ y D='a\"b'") else { panic!() };
    let got: Vec<_> = pairs.iter().map(|(k, v)| (k.text.as_str(), v.text.as_str())).collect();
    assert_eq!(got, [("A", "1"), ("B", "\"x y\""), ("C", "x\\ y"), ("D", "'a\"b'")]);
    let Kind::Env(pairs) = last("ENV ONE TWO= THREE=world") else { panic!() };
    assert_eq!((pairs[0].0.text.as_str(), pairs[0].1.text.as_str()), ("ONE", "TWO= THREE=world"));
    assert_eq!(pairs[0].1.span.start, Position { line: 2, column: 9 });
}

#[test]
fn transfers_know_flags_json_and_documents() {
    let Kind::Copy(copy) = last("COPY --from=build --chown=\"a:b\" [\"x y\", \"/z/\"]") else {
        panic!()
    };
    assert_eq!(texts(&copy.sources), ["x y"]);
    assert_eq!(copy.destination.text, "/z/");
    assert_eq!(copy.chown.unwrap().text, "a:b");
    let Kind::Copy(copy) = last("COPY <<a <<-'b' /dir/\nA $X\na\n\tB\n\tb\n") else { panic!() };
    let documents: Vec<_> =
        copy.documents.iter().map(|d| (d.name.as_str(), d.content.as_str(), d.expand)).collect();
    assert_eq!(documents, [("a", "A $X\n", true), ("b", "B\n", false)]);
    assert!(copy.sources.is_empty());
}

#[test]
fn commands_have_two_forms_and_a_broken_array_is_warned_of() {
    assert_eq!(
        last("RUN echo \\\n  # note\n  hi"),
        Kind::Run(Run {
            command: CommandLine::Shell("echo   hi".into()),
            network: RunNetwork::Default,
            mounts: Vec::new(),
            script: None
        })
    );
    let file = parsed("FROM a\nCMD ['python', 'app.py']");
    assert!(matches!(&file.instructions[1].kind, Kind::Cmd(CommandLine::Shell(_))));
    assert!(file.warnings[0].message.contains("not a JSON array"));
    let Kind::Run(run) = last("RUN <<EOF\na\nb\nEOF\n") else { panic!() };
    assert_eq!(run.command, CommandLine::Shell("a\nb\n".into()));
    let Kind::Run(run) = last("RUN cat <<EOF > /x\na\nEOF\n") else { panic!() };
    assert_eq!(run.command, CommandLine::Shell("cat <<EOF > /x\na\nEOF".into()));
    // White space before the name, as a shell takes it.
    let Kind::Run(run) = last("RUN << 'EOF'\na\nEOF\n") else { panic!() };
    assert_eq!(run.command, CommandLine::Shell("a\n".into()));
    let Kind::Run(run) = last("RUN cat 0<<  EOF > /x\na\nEOF\n") else { panic!() };
    assert_eq!(run.command, CommandLine::Shell("cat 0<<  EOF > /x\na\nEOF".into()));
    let Kind::Copy(copy) = last("COPY << a b /dir/\nx\na\n") else { panic!() };
    assert_eq!((copy.documents[0].name.as_str(), copy.sources[0].text.as_str()), ("a", "b"));
    let Kind::Run(run) = last("RUN echo $((1 << 2)) a << \n") else { panic!() };
    assert_eq!(run.command, CommandLine::Shell("echo $((1 << 2)) a <<".into()));
}

#[test]
fn mounts_of_steps_are_read() {
    let Kind::Run(run) = last(
        "RUN --mount=type=cache,target=/c,sharing=locked,mode=0700 --mount=from=a,src=/x,dst=/y,rw --mount=type=secret,id=k,required true",
    ) else {
        panic!()
    };
    let [cache, bind, secret] = run.mounts.as_slice() else { panic!("{:?}", run.mounts) };
    assert_eq!((cache.kind, cache.sharing), (MountKind::Cache, Sharing::Locked));
    assert_eq!(cache.mode.as_ref().unwrap().text, "0700");
    assert_eq!((bind.kind, bind.writable), (MountKind::Bind, Some(true)));
    assert_eq!(bind.target.as_ref().unwrap().text, "/y");
    assert!(secret.required && secret.id.as_ref().unwrap().text == "k");
    for (text, part) in [
        ("RUN --mount=type=cahe,target=/c x", "did you mean cache?"),
        ("RUN --mount=type=cache x", "needs a place"),
        ("RUN --mount=type=tmpfs,target=/t,id=x y", "has no `id`"),
        ("RUN --mount=type=cache,target=/c,sharing=no x", "way of sharing"),
        ("RUN --mount=type=secret x", "needs a name"),
        ("RUN --mount=type=bind,target=/t,bind-propagation=shared x", "has no `bind-propagation`"),
        ("RUN --mount x", "lacks its value"),
        ("RUN --security=insecure x", "sandbox only"),
        (
            "RUN --device=vendor.com/class=name x",
            "no device of this machine (`vendor.com/class=name`)",
        ),
        ("COPY --link=maybe a b", "--link=true"),
        ("ADD --checksum=sha256:00 a b", "goes with a URL only"),
    ] {
        let message = refused(&format!("FROM a\n{text}"));
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn the_escape_directive_changes_continuations() {
    let file = parsed("# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nRUN a `\n b\\");
    assert_eq!(file.escape, '`');
    assert_eq!(file.instructions[1].text, "RUN a  b\\");
    assert!(refused("# escape=x\nFROM a").contains("cannot be the escape character"));
    // After any other line it is a comment.
    assert_eq!(parsed("\n# escape=`\nFROM a").escape, '\\');
}

#[test]
fn healthchecks_are_read() {
    let Kind::Healthcheck(check) =
        last("HEALTHCHECK --interval=5s --retries=2 CMD [\"curl\", \"x\"]")
    else {
        panic!()
    };
    assert_eq!((check.interval, check.retries), (5_000_000_000, 2));
    assert!(matches!(check.command, Some(CommandLine::Exec(_))));
    let Kind::Healthcheck(none) = last("HEALTHCHECK NONE") else { panic!() };
    assert_eq!(none.command, None);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*(\\n\\PC*){0,4}") {
        let _ = parse("Dockerfile", &text);
    }

    #[test]
    fn instruction_like_text_neither_panics_nor_loses_its_place(
        lines in prop::collection::vec(
            "(FROM|RUN|COPY|ADD|ENV|ARG|LABEL|HEALTHCHECK|ONBUILD|VOLUME|EXPOSE)? ?(--[a-z]{1,6}(=[a-z\"'$]{0,3})?)? ?[\\[\\]a-z\"'\\\\$<=üEOF -]{0,12}\\\\?",
            1..6,
        ),
    ) {
        let text = format!("FROM a\n{}", lines.join("\n"));
        let count = u32::try_from(text.lines().count()).unwrap();
        match parse("Dockerfile", &text) {
            Ok(file) => for instruction in file.instructions {
                prop_assert!(instruction.span.start <= instruction.span.end);
                prop_assert!(instruction.span.end.line <= count);
            },
            Err(error) => prop_assert!((1..=count).contains(&error.span.start.line), "{error}"),
        }
    }
}
