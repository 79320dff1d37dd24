use tandem_backend::StepSource;

use super::{Bench, bench::files};
use crate::{BuildOptions, DockerfileSource, Secret};

#[tokio::test]
async fn binds_show_files_and_decide_what_the_step_makes() {
    let bench = Bench::new();
    bench.file("data/a", "1").file("single", "s");
    let text = "FROM scratch AS tools\nRUN write /tool t\nFROM scratch\nRUN --mount=target=/in,source=data --mount=target=/one,source=single --mount=from=tools,target=/tools,rw write /out x";
    bench.build(text).await;
    let ran = bench.runner.ran.lock().unwrap().last().unwrap().clone();
    let [data, one, tools] = ran.mounts.as_slice() else { panic!("{:?}", ran.mounts) };
    assert_eq!((data.target.as_str(), data.read_only), ("/in", true));
    assert_eq!((tools.target.as_str(), tools.read_only), ("/tools", false));
    let path = |source: &StepSource| match source {
        StepSource::Layers { path, .. } => path.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!([path(&data.source), path(&one.source), path(&tools.source)], ["/", "/single", "/"]);
    // The same again is remembered; another content is not.
    let runs = bench.runs();
    bench.build(text).await;
    assert_eq!(bench.runs(), runs);
    bench.file("data/a", "2");
    bench.build(text).await;
    assert_eq!(bench.runs(), runs + 1);
}

#[tokio::test]
async fn caches_and_secrets_decide_nothing() {
    let bench = Bench::new();
    let text = "FROM scratch\nRUN --mount=type=cache,target=/c --mount=type=secret,id=key --mount=type=secret,id=other --mount=type=secret,id=key,env=KEY --mount=type=tmpfs,target=t,size=1m write /out x";
    let with = |secret: &str| BuildOptions {
        secrets: [("key".to_owned(), Secret(secret.into()))].into(),
        ..bench.options(text)
    };
    bench.try_build(&with("one")).await.unwrap();
    let ran = bench.runner.ran.lock().unwrap().last().unwrap().clone();
    let targets: Vec<_> = ran.mounts.iter().map(|mount| mount.target.as_str()).collect();
    assert_eq!(targets, ["/c", "/run/secrets/key", "/t"]);
    assert!(ran.env.contains(&"KEY=one".to_owned()));
    assert!(!format!("{ran:?}").contains("[111"), "a secret is shown");
    let StepSource::Path(cache) = &ran.mounts[0].source else { panic!() };
    assert!(cache.starts_with(bench.home.cache()) && cache.is_dir());
    assert_eq!(ran.mounts[2].source, StepSource::Tmpfs { size: Some(1 << 20) });
    let runs = bench.runs();
    bench.try_build(&with("two")).await.unwrap();
    assert_eq!(bench.runs(), runs, "another secret is no reason to run a step again");
}

#[tokio::test]
async fn an_agent_is_shown_and_not_given() {
    let bench = Bench::new();
    let socket = bench.home.root().join("agent.sock");
    let agents = [("default".to_owned(), socket.clone())].into();
    let text = "FROM scratch\nRUN --mount=type=ssh write /out x";
    bench.try_build(&BuildOptions { agents, ..bench.options(text) }).await.unwrap();
    let ran = bench.runner.ran.lock().unwrap().last().unwrap().clone();
    // Its mode and its owner are the person's: a socket can be connected to
    // on what is mounted read-only too.
    assert_eq!(ran.mounts[0].source, StepSource::Path(socket));
    assert!(ran.mounts[0].read_only, "{:?}", ran.mounts);
}

#[tokio::test]
async fn what_is_missing_or_forbidden_is_said() {
    let bench = Bench::new();
    for (flag, part) in [
        ("type=secret,id=k,required", "build with --secret id=k"),
        ("type=ssh,required", "build with --ssh default"),
        ("type=tmpfs,target=/", "nothing can be mounted on /"),
        ("type=tmpfs,target=/proc/x", "nothing can be mounted on /proc/x"),
        ("type=tmpfs,target=/t,size=much", "is not a size"),
        ("type=cache,target=/t,mode=999", "is not a mode"),
        ("target=/t,source=none", "is not in the build context"),
        ("from=7,target=/t", "there is no stage 7"),
    ] {
        let text = format!("FROM scratch\nRUN --mount={flag} true");
        let message = bench.refused(&text).await.to_string();
        assert!(message.contains(part), "{flag}: {message}");
    }
}

#[tokio::test]
async fn a_document_with_its_own_interpreter_is_a_program() {
    let bench = Bench::new();
    bench.build("FROM scratch\nRUN <<EOF\n#!/bin/python3\nprint(1)\nEOF\n").await;
    let ran = bench.runner.ran.lock().unwrap().last().unwrap().clone();
    assert_eq!(ran.args, [ran.mounts[0].target.as_str()]);
    let StepSource::Path(path) = &ran.mounts[0].source else { panic!() };
    assert!(path.ends_with("script"));
}

#[tokio::test]
async fn copies_can_leave_out_keep_parents_and_link() {
    let bench = Bench::new();
    bench.file("src/deep/a.txt", "a").file("src/deep/b.md", "b").file("src/c.md", "c");
    let built = bench
        .build("FROM scratch\nCOPY --exclude=**/*.md src /x/\nCOPY --parents src/./deep/a.txt src/c.md /p/")
        .await;
    assert_eq!(
        bench.files(&built),
        files(&[
            ("p", "755 /"),
            ("p/deep", "755 /"),
            ("p/deep/a.txt", "644 a"),
            ("p/src", "755 /"),
            ("p/src/c.md", "644 c"),
            ("x", "755 /"),
            ("x/deep", "755 /"),
            ("x/deep/a.txt", "644 a"),
        ])
    );
    // A link of the image is followed by a plain copy only.
    bench.file("l/keep", "");
    std::os::unix::fs::symlink("real", bench.context().join("l/to")).unwrap();
    let text = |flag: &str| format!("FROM scratch\nCOPY l /\nCOPY {flag} src/c.md /to/");
    let built = bench.build(&text("")).await;
    assert!(bench.files(&built).iter().any(|(path, _)| path == "real/c.md"));
    let built = bench.build(&text("--link")).await;
    assert!(bench.files(&built).iter().any(|(path, _)| path == "to/c.md"));
}

#[tokio::test]
async fn a_dockerfile_in_the_context_leads_nowhere_else() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("Dockerfile"), "canary of the host").unwrap();
    let link = bench.context().join("Dockerfile");
    std::os::unix::fs::symlink(outside.path().join("Dockerfile"), &link).unwrap();
    let options = BuildOptions { dockerfile: DockerfileSource::default(), ..bench.options("") };
    let message = bench.try_build(&options).await.unwrap_err().to_string();
    assert!(message.contains("there is no Dockerfile") && !message.contains("canary"), "{message}");
}
