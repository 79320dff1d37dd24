use tandem_model::ErrorCode;

use super::Bench;
use crate::{BuildOptions, parse_platform};

#[tokio::test]
async fn an_image_for_another_machine_is_made_without_running_anything() {
    let bench = Bench::new();
    bench.file("app-s390x", "far").file("app-amd64", "near");
    let text = "FROM scratch AS far\nARG TARGETARCH\nCOPY app-$TARGETARCH /app\nENV A=1";
    let platform = Some(parse_platform("s390x").unwrap());
    let options = BuildOptions { platform, ..bench.options(text) };
    let built = bench.try_build(&options).await.unwrap();
    assert_eq!(built.image.platform().unwrap().to_string(), "linux/s390x");
    assert_eq!(bench.files(&built)["app"], "644 far");
    // A stage says it for itself alone, and is copied from by any other.
    let text = "FROM --platform=linux/arm/v7 scratch AS far\nCOPY app-s390x /app\nFROM scratch\nCOPY --from=far /app /near";
    let built = bench.build(text).await;
    assert_eq!(built.image.platform().unwrap(), tandem_image::Platform::default());
    assert_eq!(bench.files(&built)["near"], "644 far");
    let built = bench.build("FROM --platform=linux/arm/v7 scratch\nCOPY app-s390x /app").await;
    assert_eq!(built.image.platform().unwrap().to_string(), "linux/arm/v7");
}

#[tokio::test]
async fn run_for_another_machine_says_what_is_missing() {
    let bench = Bench::new();
    let text = "FROM --platform=s390x scratch\nENV A=1\nRUN write /a x";
    let error = bench.refused(text).await;
    assert_eq!(error.code(), ErrorCode::Unavailable);
    let here = tandem_image::Platform::default();
    let expected = format!(
        "Dockerfile:3: `RUN write /a x`: this stage is for linux/s390x, whose programs do not run on this machine ({here}): nobody has one; until then only COPY, ADD and settings work in it"
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(bench.runs(), 0);
    // The same of an image that was not asked for by its platform.
    let options = BuildOptions {
        platform: Some(parse_platform("linux/s390x").unwrap()),
        tags: vec!["localhost/far:1".parse().unwrap()],
        ..bench.options("FROM scratch\nENV A=1")
    };
    bench.try_build(&options).await.unwrap();
    let error = bench.refused("FROM localhost/far:1\nRUN write /a x").await;
    assert!(error.to_string().contains("this stage is for linux/s390x"), "{error}");
    // And one that is here for another only.
    let error = bench.refused("FROM --platform=linux/arm64 localhost/far:1").await;
    let told = "localhost/far:1 is here for linux/s390x only, and it is a name for this machine only: make one for linux/arm64";
    assert!(error.to_string().contains(told), "{error}");
}
