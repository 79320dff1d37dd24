use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Bench;
use crate::BuildOptions;

async fn document(bench: &Bench, options: &BuildOptions) -> Value {
    let built = bench.try_build(options).await.unwrap();
    bench.store.config_document(&built.image).unwrap()
}

#[tokio::test]
async fn the_configuration_is_what_docker_would_write() {
    let bench = Bench::new();
    let text = r#"FROM scratch
ARG VERSION=1
ENV A=1 B="two words" C=$A
ENV A=${VERSION}x D=$A
LABEL one=1 "two"='2 3'
EXPOSE 8080 53/udp 9000-9001
VOLUME ["/data", "/v"]
USER app:staff
WORKDIR /app
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s CMD ["check", "it"]
SHELL ["/bin/bash", "-c"]
CMD echo $A
ENTRYPOINT ["python", "app.py"]
ONBUILD RUN make
MAINTAINER Bill"#;
    // The user has to be known, for WORKDIR gives the folder to it.
    let text = text.replace("USER app:staff", "USER 0:0");
    let config = document(&bench, &bench.options(&text)).await;
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(
        config["config"],
        json!({
            "Env": [path, "A=1x", "B=two words", "C=", "D=1"],
            "Labels": { "one": "1", "two": "2 3" },
            "ExposedPorts": { "8080/tcp": {}, "53/udp": {}, "9000/tcp": {}, "9001/tcp": {} },
            "Volumes": { "/data": {}, "/v": {} },
            "User": "0:0",
            "WorkingDir": "/app",
            "StopSignal": "SIGINT",
            "Healthcheck": { "Test": ["CMD", "check", "it"], "Interval": 5_000_000_000u64 },
            "Shell": ["/bin/bash", "-c"],
            "Cmd": ["/bin/bash", "-c", "echo $A"],
            "Entrypoint": ["python", "app.py"],
            "OnBuild": ["RUN make"],
        })
    );
    assert_eq!(config["author"], "Bill");
    let history: Vec<&str> = config["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["created_by"].as_str().unwrap())
        .collect();
    assert_eq!(history[0], "ARG VERSION=1");
    assert_eq!(history[1], "ENV A=1 B=two words C=");
    assert!(history.contains(&"CMD [\"/bin/bash\" \"-c\" \"echo $A\"]"));
    let layers = config["history"].as_array().unwrap().iter();
    let layers = layers.filter(|line| line.get("empty_layer").is_none()).count();
    assert_eq!(layers, config["rootfs"]["diff_ids"].as_array().unwrap().len());
}

#[tokio::test]
async fn an_entrypoint_forgets_the_bases_command_but_not_its_own() {
    let bench = Bench::new();
    bench.base("base", "FROM scratch\nCMD [\"base\"]").await;
    let config = |text: &'static str| async { document(&bench, &bench.options(text)).await };
    assert_eq!(config("FROM base").await["config"]["Cmd"], json!(["base"]));
    let inherited = config("FROM base\nENTRYPOINT [\"e\"]").await;
    assert_eq!(inherited["config"].get("Cmd"), None);
    let own = config("FROM base\nCMD [\"c\"]\nENTRYPOINT [\"e\"]").await;
    assert_eq!(own["config"]["Cmd"], json!(["c"]));
}

#[tokio::test]
async fn run_sees_arguments_and_the_image_keeps_none() {
    let bench = Bench::new();
    let text = "ARG GLOBAL=g\nFROM scratch\nARG GLOBAL\nARG GIVEN=default\nARG UNSET\nARG TWICE=t\nARG TWICE\nARG SHADOWED=arg\nENV SHADOWED=env\nRUN env /seen";
    let build_args: BTreeMap<_, _> = [
        ("GIVEN".to_owned(), "given".to_owned()),
        ("HTTP_PROXY".to_owned(), "http://user:secret@proxy:3128".to_owned()),
    ]
    .into();
    let options = BuildOptions { build_args, ..bench.options(text) };
    let config = document(&bench, &options).await;
    let env = bench.runner.ran.lock().unwrap()[0].env.clone();
    assert_eq!(
        env[1..],
        [
            "SHADOWED=env",
            "GLOBAL=g",
            "GIVEN=given",
            "TWICE=t",
            "HTTP_PROXY=http://user:secret@proxy:3128"
        ]
    );
    assert_eq!(config["config"]["Env"].as_array().unwrap().len(), 2);
    assert!(!config.to_string().contains("secret"));
    // Another proxy is no reason to run again; another argument is.
    let runs = |key: &str, value: &str| {
        let mut options = options.clone();
        options.build_args.insert(key.to_owned(), value.to_owned());
        let bench = &bench;
        async move {
            bench.try_build(&options).await.unwrap();
            bench.runs()
        }
    };
    assert_eq!(runs("HTTP_PROXY", "http://other").await, 1);
    assert_eq!(runs("GIVEN", "other").await, 2);
}

#[tokio::test]
async fn a_trigger_has_the_stages_built_that_it_names() {
    let bench = Bench::new();
    bench.file("a", "A").file("b", "B");
    bench.base("base", "FROM scratch\nONBUILD COPY --from=tools /x /from-trigger").await;
    let text =
        "FROM scratch AS below\nCOPY a /x\nFROM below AS tools\nCOPY b /y\nFROM base\nCOPY b /b\n";
    let built = bench.build(text).await;
    assert_eq!(bench.files(&built)["from-trigger"], "644 A");
    let text = "FROM scratch AS below\nCOPY a /x\nFROM below AS tools\nRUN fail 3\nFROM base AS one\nFROM base\nCOPY --from=one /from-trigger /";
    let error = bench.refused(text).await.to_string();
    assert!(error.contains("`RUN fail 3` ended with code 3"), "{error}");
    // Nobody names it: it is not built.
    let text = "FROM scratch AS tools\nCOPY a /x\nFROM scratch AS other\nRUN fail 3\nFROM base";
    assert_eq!(bench.files(&bench.build(text).await)["from-trigger"], "644 A");
}

#[tokio::test]
async fn triggers_of_the_base_run_first_and_once() {
    let bench = Bench::new();
    bench.file("a", "A");
    bench.base("base", "FROM scratch\nONBUILD COPY a /from-trigger").await;
    let built = bench.build("FROM base AS one\nCOPY a /b\nFROM one\nCOPY a /c").await;
    let paths: Vec<String> = bench.files(&built).into_keys().collect();
    assert_eq!(paths, ["b", "c", "from-trigger"]);
    let config = bench.store.config_document(&built.image).unwrap();
    assert_eq!(config["config"].get("OnBuild"), None);
}

#[tokio::test]
async fn a_trigger_carries_its_here_documents_along() {
    let bench = Bench::new();
    let base = "FROM scratch\nONBUILD COPY <<-EOF <<'EOT' /d/\n\tone $NAME\n\tEOF\ntwo $NAME\nEOT\nONBUILD RUN <<EOF\nwrite /ran x\nEOF\nLABEL after=it";
    bench.base("base", base).await;
    let built = bench.build("ARG NAME=n\nFROM base\nARG NAME\n").await;
    let files = bench.files(&built);
    assert_eq!((&*files["d/EOF"], &*files["d/EOT"]), ("644 one \n", "644 two $NAME\n"));
    let ran = bench.runner.ran.lock().unwrap().last().unwrap().clone();
    assert_eq!(ran.args.last().unwrap(), "write /ran x\n");
    let message = bench.refused("FROM scratch\nONBUILD RUN <<EOF\ntrue").await.to_string();
    assert!(message.contains("Dockerfile:2:13: the here-document has no end"), "{message}");
}
