use std::collections::BTreeMap;

use serde_json::Value;
use tandem_image::Layer;

use super::{
    document::{Document, History},
    settings::Scope,
    state::State,
};
use crate::{
    BuildError,
    parse::{Kind, parse},
};

/// What an image is made with that comes from an instance rather than from a
/// Dockerfile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// A note for its history.
    pub message: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// What the instance started with, where it is not the image's own.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments, likewise.
    pub cmd: Option<Vec<String>>,
    /// Its variables, all of them.
    pub env: Vec<String>,
    /// Its working directory.
    pub cwd: String,
    /// Its user.
    pub user: String,
    /// Its labels, added to the image's.
    pub labels: BTreeMap<String, String>,
    /// Instructions of a Dockerfile that change the configuration.
    pub changes: Vec<String>,
}

/// The configuration of a committed image from that of the image beneath.
///
/// # Errors
/// A change that is no instruction, or one that makes files.
pub fn commit_document(
    base: &Value,
    layers: &[Layer],
    commit: &Commit,
) -> Result<Value, BuildError> {
    let broken = |e: serde_json::Error| {
        BuildError::Usage(format!("the image configuration cannot be changed: {e}"))
    };
    let mut state =
        State { document: Document::deserialize_value(base).map_err(broken)?, ..State::scratch() };
    let config = &mut state.document.config;
    if commit.entrypoint.is_some() || commit.cmd.is_some() {
        config.entrypoint.clone_from(&commit.entrypoint);
        config.cmd.clone_from(&commit.cmd);
    }
    config.env = Some(commit.env.clone());
    config.working_dir = Some(commit.cwd.clone());
    config.user = Some(commit.user.clone()).filter(|user| !user.is_empty());
    if !commit.labels.is_empty() {
        config.labels.get_or_insert_default().extend(commit.labels.clone());
    }
    for change in &commit.changes {
        apply(&mut state, change)?;
    }
    let now = jiff::Timestamp::now().to_string();
    if commit.author.is_some() {
        state.document.author.clone_from(&commit.author);
    }
    state.document.created = Some(now.clone());
    state.document.history.push(History {
        created: Some(now),
        created_by: Some("tandem commit".to_owned()),
        author: commit.author.clone(),
        comment: commit.message.clone(),
        empty_layer: false,
    });
    state.document.to_value(layers).map_err(broken)
}

fn apply(state: &mut State, change: &str) -> Result<(), BuildError> {
    let dockerfile = parse("--change", &format!("FROM scratch\n{change}\n"))?;
    let none = BTreeMap::new();
    let scope = Scope { dockerfile: &dockerfile, build_args: &none, globals: &none };
    for instruction in dockerfile.instructions.iter().skip(1) {
        match &instruction.kind {
            Kind::Cmd(_)
            | Kind::Entrypoint(_)
            | Kind::Env(_)
            | Kind::Expose(_)
            | Kind::Label(_)
            | Kind::User(_)
            | Kind::Volume(_)
            | Kind::StopSignal(_)
            | Kind::Healthcheck(_)
            | Kind::Onbuild(_) => drop(scope.apply(state, &instruction.kind)?),
            Kind::Workdir(word) => {
                let path = scope.expand(state, word)?;
                let folder = state.document.config.folder();
                let joined = std::path::Path::new(folder).join(path);
                state.document.config.working_dir = Some(joined.to_string_lossy().into_owned());
            }
            _ => {
                return Err(BuildError::Usage(format!(
                    "`{}` cannot be committed: only CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME, WORKDIR, STOPSIGNAL, HEALTHCHECK and ONBUILD change a configuration",
                    instruction.text
                )));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instance_and_then_the_changes_decide() {
        let base = serde_json::json!({
            "architecture": "amd64", "os": "linux",
            "config": {"Cmd": ["old"], "Labels": {"a": "1"}, "WorkingDir": "/base"},
            "rootfs": {"type": "layers", "diff_ids": []}, "history": []
        });
        let commit = Commit {
            message: Some("a note".into()),
            env: vec!["PATH=/bin".into(), "MODE=test".into()],
            cwd: "/srv".into(),
            labels: BTreeMap::from([("b".into(), "2".into())]),
            changes: ["CMD [\"new\", \"arg\"]", "ENV MODE=live", "WORKDIR app", "EXPOSE 80"]
                .map(String::from)
                .to_vec(),
            ..Commit::default()
        };
        let made = commit_document(&base, &[], &commit).unwrap();
        let config = &made["config"];
        assert_eq!(config["Cmd"], serde_json::json!(["new", "arg"]));
        assert_eq!(config["Env"], serde_json::json!(["PATH=/bin", "MODE=live"]));
        assert_eq!(config["WorkingDir"], "/srv/app");
        assert_eq!(config["Labels"], serde_json::json!({"a": "1", "b": "2"}));
        assert!(config["ExposedPorts"]["80/tcp"].is_object());
        assert_eq!(made["history"][0]["comment"], "a note");
        for bad in ["RUN true", "COPY a b", "NONSENSE", "FROM other"] {
            let commit = Commit { changes: vec![bad.into()], ..Commit::default() };
            assert!(commit_document(&base, &[], &commit).is_err(), "{bad}");
        }
    }
}
