use std::{fs, time::Duration};

use tandem_model::ErrorCode;

use super::Bench;
use crate::{BuildError, BuildOptions, DockerfileSource};

#[tokio::test]
async fn a_failing_run_says_where_what_and_its_last_words() {
    let bench = Bench::new();
    let error = bench.refused("FROM scratch\n\nRUN fail 7").await;
    assert_eq!(error.code(), ErrorCode::BuildFailed);
    assert_eq!(
        error.to_string(),
        "Dockerfile:3: `RUN fail 7` ended with code 7; its last output:\n  before\n  something broke"
    );
    assert!(bench.left_over().is_empty());
    assert!(bench.store.resolve(&"test".parse().unwrap()).is_err());
}

#[tokio::test]
async fn a_dropped_build_leaves_nothing() {
    let bench = Bench::new();
    bench.file("big", &"x".repeat(1 << 20));
    let options = bench.options("FROM scratch\nCOPY big /\nRUN hang");
    let dropped = tokio::time::timeout(Duration::from_secs(5), async {
        let build = bench.try_build(&options);
        tokio::pin!(build);
        loop {
            tokio::select! {
                _ = &mut build => unreachable!("the step hangs"),
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
            if bench.runs() == 1 {
                break;
            }
        }
    });
    dropped.await.unwrap();
    assert!(bench.left_over().is_empty(), "{:?}", bench.left_over());
}

#[tokio::test]
async fn an_unknown_base_names_the_way_out() {
    let bench = Bench::new();
    let error = bench.refused("\nFROM localhost/nowhere/python:3").await;
    assert_eq!(error.code(), ErrorCode::UnknownBase);
    assert_eq!(
        error.to_string(),
        "Dockerfile:2: the base image localhost/nowhere/python:3 is not here and cannot be fetched: names under localhost/ are never fetched. Next: make a base from Debian packages with `tandem image bootstrap python` and build with --build-context localhost/nowhere/python:3=docker-image://localhost/tandem/python:3.11-bookworm"
    );
}

#[tokio::test]
async fn what_is_missing_is_said() {
    let bench = Bench::new();
    bench.file("secret.key", "x").file(".dockerignore", "*.key\n");
    for (text, code, message) in [
        (
            "FROM scratch\nCOPY app.py /",
            ErrorCode::NotFound,
            "`app.py` is not in the build context",
        ),
        ("FROM scratch\nCOPY secret.key /", ErrorCode::NotFound, ".dockerignore leaves it out"),
        (
            "FROM scratch\nCOPY --chown=app secret.key /",
            ErrorCode::Usage,
            "the image has no user `app`",
        ),
        ("FROM scratch\nEXPOSE http", ErrorCode::Syntax, "Dockerfile:2:8: `http` is not a port"),
        ("FROM scratch\nENV A=${B", ErrorCode::Syntax, "Dockerfile:2:7: `${B` has no end"),
        ("FROM Bad", ErrorCode::Syntax, "Dockerfile:1: `FROM Bad`: `Bad` names no image"),
        ("FROM scratch\nSTOPSIGNAL SIGFOO", ErrorCode::Syntax, "is not a signal"),
    ] {
        let error = bench.refused(text).await;
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
    let options = BuildOptions { dockerfile: DockerfileSource::InContext, ..bench.options("") };
    let error = bench.try_build(&options).await.unwrap_err();
    assert!(matches!(error, BuildError::NoDockerfile { .. }), "{error}");
    bench.file("Dockerfile", "FROM scratch\nCOPY secret.key /\n");
    bench.file("Dockerfile.dockerignore", "other");
    bench.try_build(&options).await.unwrap();
    fs::write(bench.context().join("Dockerfile.dockerignore"), "\n[").unwrap();
    let error = bench.try_build(&options).await.unwrap_err();
    assert!(
        error.to_string().starts_with("Dockerfile.dockerignore:2: a `[` has no end"),
        "{error}"
    );
    let options = BuildOptions { context: bench.context().join("none"), ..options };
    assert!(matches!(bench.try_build(&options).await.unwrap_err(), BuildError::NoContext { .. }));
}

#[test]
fn a_build_may_move_between_threads() {
    fn movable(_: impl Send) {}
    let bench = Bench::new();
    let options = bench.options("FROM scratch");
    let mut ignore = |_| ();
    movable(crate::build(&bench.store, &bench.home, &bench.runner, &options, &mut ignore));
}
