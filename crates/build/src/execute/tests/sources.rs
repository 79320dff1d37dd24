use super::{Bench, bench::files};
use crate::{BuildContext, BuildEvent, BuildOptions, Substitution};

fn contexts(texts: &[&str]) -> Vec<BuildContext> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_named_context_stands_in_for_the_base_and_says_so() {
    let bench = Bench::new();
    bench
        .base("localhost/tandem/python:3.11-bookworm", "FROM scratch\nRUN write /python 3.11")
        .await;
    let text = "ARG BASE=python:3.12-slim\nFROM ${BASE}\nRUN write /app x";
    let build_contexts = contexts(&[
        "docker.io/library/python:3.12-slim=docker-image://localhost/tandem/python:3.11-bookworm",
    ]);
    let options = BuildOptions { build_contexts, ..bench.options(text) };
    let built = bench.try_build(&options).await.unwrap();
    assert_eq!(bench.files(&built), files(&[("app", "644 x"), ("python", "644 3.11")]));
    let expected = Substitution {
        from: "python:3.12-slim".into(),
        to: "localhost/tandem/python:3.11-bookworm".into(),
    };
    assert_eq!(built.substitutions, std::slice::from_ref(&expected));
    let events = bench.events.lock().unwrap();
    assert!(events.contains(&BuildEvent::Substituted(expected)));
    assert_eq!(events.last(), Some(&BuildEvent::Done { digest: built.image.digest.clone() }));
}

#[tokio::test]
async fn a_context_that_cannot_be_read_is_named_with_what_next() {
    let bench = Bench::new();
    bench.file("file", "");
    let file = bench.context().join("file");
    for place in ["/none".to_owned(), file.display().to_string()] {
        let build_contexts = contexts(&[&format!("extra={place}")]);
        let text = "FROM scratch\nCOPY --from=extra / /";
        let options = BuildOptions { build_contexts, ..bench.options(text) };
        let error = bench.try_build(&options).await.unwrap_err().to_string();
        let begin = format!("cannot open the build context {place}: ");
        assert!(error.contains(&begin) && error.ends_with("that you may read"), "{error}");
    }
}

#[tokio::test]
async fn folders_images_and_stages_can_be_named() {
    let bench = Bench::new();
    bench.base("other", "FROM scratch\nRUN write /from-image i").await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "F").unwrap();
    let text = "FROM nowhere AS tools\nRUN write /never x\nFROM scratch\nCOPY --from=extra f /\nCOPY --from=other /from-image /\nCOPY --from=tools / /tools/";
    let extra = format!("extra={}", folder.path().display());
    let build_contexts = contexts(&[&extra, "tools=docker-image://other"]);
    let options = BuildOptions { build_contexts, ..bench.options(text) };
    let built = bench.try_build(&options).await.unwrap();
    assert_eq!(
        bench.files(&built),
        files(&[
            ("f", "644 F"),
            ("from-image", "644 i"),
            ("tools", "755 /"),
            ("tools/from-image", "644 i")
        ])
    );
    assert_eq!(built.substitutions.len(), 2);
    assert_eq!(bench.runs(), 1);
}

#[tokio::test]
async fn a_stage_begins_with_a_folder_or_is_one() {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "F").unwrap();
    std::fs::write(folder.path().join("left-out"), "-").unwrap();
    std::fs::write(folder.path().join(".dockerignore"), "left-out\n.dockerignore\n").unwrap();
    let text =
        "FROM nowhere AS one\nRUN write /never x\nFROM two\nRUN write /g G\nCOPY --from=one f /h";
    let place = folder.path().display();
    let build_contexts = contexts(&[&format!("one={place}"), &format!("two={place}")]);
    let options = BuildOptions { build_contexts, ..bench.options(text) };
    let built = bench.try_build(&options).await.unwrap();
    assert_eq!(bench.files(&built), files(&[("f", "644 F"), ("g", "644 G"), ("h", "644 F")]));
    assert_eq!(built.substitutions.len(), 2);
}

#[tokio::test]
async fn only_the_target_is_built_and_tags_are_given() {
    let bench = Bench::new();
    let text = "FROM scratch AS one\nRUN write /one 1\nFROM nowhere AS two\nRUN write /two 2";
    let options = BuildOptions {
        target: Some("one".into()),
        tags: vec!["a:1".parse().unwrap(), "b".parse().unwrap()],
        labels: [("k".to_owned(), "v".to_owned())].into(),
        ..bench.options(text)
    };
    let built = bench.try_build(&options).await.unwrap();
    for name in ["a:1", "b:latest"] {
        let image = bench.store.resolve(&name.parse().unwrap()).unwrap();
        assert_eq!(image.digest, built.image.digest);
    }
    let config = bench.store.config_document(&built.image).unwrap();
    assert_eq!(config["config"]["Labels"]["k"], "v");
    let options = BuildOptions { tags: Vec::new(), ..options };
    let nameless = bench.try_build(&options).await.unwrap();
    assert!(nameless.image.reference.to_string().starts_with("localhost/tandem/build:"));
    let total = bench.events.lock().unwrap().iter().find_map(|event| match event {
        BuildEvent::StepStarted { total, .. } => Some(*total),
        _ => None,
    });
    assert_eq!(total, Some(2));
}
