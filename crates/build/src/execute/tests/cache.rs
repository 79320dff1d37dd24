use std::{collections::BTreeMap, fs};

use super::Bench;
use crate::{BuildOptions, Built};

const APP: &str = "FROM scratch\nWORKDIR /app\nRUN write /lib installed\nCOPY app.py .\nENV A=1\nRUN write /after $A\nCMD [\"x\"]";

fn cached(built: &Built) -> Vec<u8> {
    built.steps.iter().map(|step| u8::from(step.cached)).collect()
}

#[tokio::test]
async fn an_unchanged_build_runs_nothing_and_gives_the_same_image() {
    let bench = Bench::new();
    bench.file("app.py", "1");
    let first = bench.build(APP).await;
    assert_eq!((cached(&first), bench.runs()), (vec![0, 0, 0, 0, 0, 0, 0], 2));
    let second = bench.build(APP).await;
    assert_eq!((cached(&second), bench.runs()), (vec![0, 1, 1, 1, 1, 1, 1], 2));
    assert_eq!(first.image.digest, second.image.digest);
    // A new time of a file is no change; a new content is, from there on.
    let app = fs::File::open(bench.context().join("app.py")).unwrap();
    app.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(cached(&bench.build(APP).await), [0, 1, 1, 1, 1, 1, 1]);
    bench.file("app.py", "2").file("unrelated", "x");
    let changed = bench.build(APP).await;
    assert_eq!((cached(&changed), bench.runs()), (vec![0, 1, 1, 0, 0, 0, 0], 3));
    assert_eq!(bench.files(&changed)["app/app.py"], "644 2");
}

#[tokio::test]
async fn the_settings_of_the_base_decide_too() {
    let bench = Bench::new();
    let step = |settings: &str| format!("FROM scratch\n{settings}\nRUN write /x 1");
    // With the same files, what a step sees is another each time.
    let seen = ["ENV A=1", "ENV A=2", "ENV B=1", "USER 5", "SHELL [\"/sh\", \"-e\"]"];
    for (at, settings) in seen.iter().enumerate() {
        bench.build(&step(settings)).await;
        assert_eq!(bench.runs(), at + 1, "{settings} has another's result");
    }
    // What it does not see makes no other step, and is this image's own.
    for settings in ["HEALTHCHECK CMD a", "HEALTHCHECK CMD b", "ONBUILD RUN c", "CMD d"] {
        let built = bench.build(&step(settings)).await;
        assert_eq!(bench.runs(), seen.len() + 1, "{settings}");
        let config = bench.store.config_document(&built.image).unwrap()["config"].to_string();
        let word =
            format!("\"{}\"", settings.split_once(' ').unwrap().1.trim_start_matches("CMD "));
        assert!(config.contains(&word), "{settings}: {config}");
    }
}

#[tokio::test]
async fn no_cache_means_every_step() {
    let bench = Bench::new();
    bench.file("app.py", "1");
    let first = bench.build(APP).await;
    let options = BuildOptions { no_cache: true, ..bench.options(APP) };
    let second = bench.try_build(&options).await.unwrap();
    assert_eq!((cached(&second), bench.runs()), (vec![0; 7], 4));
    // What Tandem itself writes is the same layer again.
    assert_eq!(first.image.layers[0], second.image.layers[0]);
}

#[tokio::test]
async fn what_is_to_be_forgotten_moves_nothing() {
    let bench = Bench::new();
    bench.file("app.py", "1");
    let first = bench.build(APP).await;
    let options = BuildOptions { no_cache: true, forget: true, ..bench.options(APP) };
    let cold = bench.try_build(&options).await.unwrap();
    assert_eq!((cached(&cold), bench.runs()), (vec![0; 7], 4));
    let again = bench.build(APP).await;
    assert_eq!((cached(&again), bench.runs()), (vec![0, 1, 1, 1, 1, 1, 1], 4));
    assert_eq!(again.image.digest, first.image.digest);
}

#[tokio::test]
async fn an_entry_counts_only_while_its_layer_is_there() {
    let bench = Bench::new();
    bench.file("app.py", "1");
    let first = bench.build(APP).await;
    let chain = first.image.chain_ids()[1].clone();
    fs::remove_dir_all(bench.store.layer_dir(&chain)).unwrap();
    assert_eq!(cached(&bench.build(APP).await)[..3], [0, 1, 0]);
    // Nor does one that was cut short.
    for folder in fs::read_dir(bench.home.cache().join("build/steps")).unwrap() {
        for entry in fs::read_dir(folder.unwrap().path()).unwrap() {
            fs::write(entry.unwrap().path(), "{").unwrap();
        }
    }
    assert_eq!(cached(&bench.build(APP).await), [0; 7]);
}

#[tokio::test]
async fn a_failed_step_leaves_no_entry() {
    let bench = Bench::new();
    for _ in 0..2 {
        bench.refused("FROM scratch\nRUN write /a 1\nRUN fail 1").await;
    }
    // The first step was kept, the second one tried again.
    assert_eq!(bench.runs(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_builds_at_once_give_the_same_image() {
    let bench = Bench::new();
    bench.file("app.py", "1");
    let options = BuildOptions {
        build_args: BTreeMap::from([("SOURCE_DATE_EPOCH".to_owned(), "1700000000".to_owned())]),
        ..bench.options(APP)
    };
    let (one, two) = tokio::join!(bench.try_build(&options), bench.try_build(&options));
    assert_eq!(one.unwrap().image.digest, two.unwrap().image.digest);
    assert!(bench.left_over().is_empty());
}

#[tokio::test]
async fn with_an_epoch_two_homes_agree() {
    let digest = |content: &'static str| async move {
        let bench = Bench::new();
        bench.file("app.py", content);
        let build_args =
            BTreeMap::from([("SOURCE_DATE_EPOCH".to_owned(), "1700000000".to_owned())]);
        let options = BuildOptions { build_args, ..bench.options(APP) };
        bench.try_build(&options).await.unwrap().image.digest
    };
    assert_eq!(digest("1").await, digest("1").await);
    assert_ne!(digest("1").await, digest("2").await);
}
