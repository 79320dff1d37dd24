//! Where the engines' own clients look for their engine.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tandem_model::{BackendKind, Digest};

/// The socket of an engine for the whole machine.
const DOCKER: &str = "/var/run/docker.sock";
const PODMAN: &str = "/run/podman/podman.sock";

/// What the search reads of its surroundings.
pub(crate) struct Surroundings<'a> {
    /// A variable of the environment that is not empty.
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Whether there is something at a path.
    pub(crate) exists: &'a dyn Fn(&Path) -> bool,
}

/// The socket of an engine, or why none is known.
pub(crate) fn find(kind: BackendKind) -> Result<PathBuf, String> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    find_in(kind, &Surroundings { variable: &variable, exists: &|path| path.exists() })
}

fn find_in(kind: BackendKind, around: &Surroundings<'_>) -> Result<PathBuf, String> {
    if kind == BackendKind::Podman { podman(around) } else { docker(around) }
}

/// As the Docker client: `DOCKER_HOST`, then the context of `DOCKER_CONTEXT`
/// or of its configuration, then the usual sockets, root's first.
fn docker(around: &Surroundings<'_>) -> Result<PathBuf, String> {
    if let Some(host) = (around.variable)("DOCKER_HOST") {
        return local(&host, "DOCKER_HOST");
    }
    let home = (around.variable)("HOME").map(PathBuf::from);
    let own = (around.variable)("DOCKER_CONFIG").map(PathBuf::from);
    let own = own.or_else(|| home.as_ref().map(|home| home.join(".docker")));
    if let Some(folder) = own {
        let named = (around.variable)("DOCKER_CONTEXT").or_else(|| {
            let config = read_json(&folder.join("config.json"))?;
            config["currentContext"].as_str().map(str::to_owned)
        });
        if let Some(name) = named.filter(|name| !name.is_empty() && name != "default") {
            return context(&folder, &name);
        }
    }
    let runtime = (around.variable)("XDG_RUNTIME_DIR").map(|it| Path::new(&it).join("docker.sock"));
    let desktop = home.map(|home| home.join(".docker/run/docker.sock"));
    first(around, [Some(DOCKER.into()), runtime, desktop])
}

/// As Podman's remote client: `CONTAINER_HOST`, then the usual sockets, the
/// person's own first.
fn podman(around: &Surroundings<'_>) -> Result<PathBuf, String> {
    if let Some(host) = (around.variable)("CONTAINER_HOST") {
        return local(&host, "CONTAINER_HOST");
    }
    let runtime =
        (around.variable)("XDG_RUNTIME_DIR").map(|it| Path::new(&it).join("podman/podman.sock"));
    first(around, [runtime, Some(PODMAN.into()), None])
}

fn first(around: &Surroundings<'_>, places: [Option<PathBuf>; 3]) -> Result<PathBuf, String> {
    let places: Vec<PathBuf> = places.into_iter().flatten().collect();
    if let Some(found) = places.iter().find(|path| (around.exists)(path)) {
        return Ok(found.clone());
    }
    let tried: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
    Err(format!("there is no socket at {}", tried.join(" or ")))
}

/// The endpoint of a context of the Docker client's, whose folder is named by
/// the digest of its name.
fn context(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let digest = Digest::from_sha256(&Sha256::digest(name).into()).to_string();
    let hash = digest.trim_start_matches("sha256:");
    let file = folder.join("contexts/meta").join(hash).join("meta.json");
    let host = read_json(&file)
        .and_then(|meta| meta["Endpoints"]["docker"]["Host"].as_str().map(str::to_owned));
    let host = host.ok_or_else(|| format!("the Docker context `{name}` names no endpoint"))?;
    local(&host, &format!("the Docker context `{name}`"))
}

/// The path in `unix://PATH`.
fn local(host: &str, origin: &str) -> Result<PathBuf, String> {
    match host.strip_prefix("unix://") {
        Some(path) if path.starts_with('/') => Ok(path.into()),
        _ => Err(format!(
            "{origin} says `{host}`, and only an engine of this machine can be measured: its address begins with unix:///"
        )),
    }
}

fn read_json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(
        kind: BackendKind,
        variables: &[(&str, &str)],
        there: &[&str],
    ) -> Result<PathBuf, String> {
        let variable = |name: &str| {
            let pair = variables.iter().find(|(known, _)| *known == name)?;
            Some(pair.1.to_owned())
        };
        let exists = |path: &Path| there.iter().any(|it| Path::new(it) == path);
        find_in(kind, &Surroundings { variable: &variable, exists: &exists })
    }

    #[test]
    fn the_variable_goes_before_everything() {
        let (docker, podman) = (BackendKind::Docker, BackendKind::Podman);
        let set = [("DOCKER_HOST", "unix:///a.sock"), ("CONTAINER_HOST", "unix:///b.sock")];
        assert_eq!(found(docker, &set, &[DOCKER]).unwrap(), Path::new("/a.sock"));
        assert_eq!(found(podman, &set, &[PODMAN]).unwrap(), Path::new("/b.sock"));
        for bad in ["tcp://10.0.0.1:2375", "ssh://me@there", "unix://x", "/x", "npipe:////./x"] {
            let error = found(docker, &[("DOCKER_HOST", bad)], &[DOCKER]).unwrap_err();
            assert!(error.contains(bad) && error.starts_with("DOCKER_HOST"), "{error}");
        }
    }

    #[test]
    fn the_usual_sockets_come_last() {
        let run = [("XDG_RUNTIME_DIR", "/run/user/7"), ("HOME", "/home/x")];
        let (docker, podman) = (BackendKind::Docker, BackendKind::Podman);
        assert_eq!(found(docker, &run, &[DOCKER]).unwrap(), Path::new(DOCKER));
        let own = "/run/user/7/docker.sock";
        assert_eq!(found(docker, &run, &[own]).unwrap(), Path::new(own));
        let own = "/run/user/7/podman/podman.sock";
        assert_eq!(found(podman, &run, &[own, PODMAN]).unwrap(), Path::new(own));
        let error = found(podman, &run, &[]).unwrap_err();
        assert!(error.contains(own) && error.contains(PODMAN), "{error}");
    }

    #[test]
    fn a_context_names_its_endpoint() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().to_str().unwrap();
        let set = |name| vec![("DOCKER_CONFIG", config), ("DOCKER_CONTEXT", name)];
        let docker = BackendKind::Docker;
        assert_eq!(found(docker, &set("default"), &[DOCKER]).unwrap(), Path::new(DOCKER));
        assert!(found(docker, &set("rootless"), &[DOCKER]).unwrap_err().contains("`rootless`"));
        // printf rootless | sha256sum
        let hash = "12b961af5feb3e9d39f93b2cefb9a1a944f18d02cca0cac2f04f5a982240605f";
        let meta = folder.path().join("contexts/meta").join(hash);
        fs::create_dir_all(&meta).unwrap();
        let text =
            r#"{"Name": "rootless", "Endpoints": {"docker": {"Host": "unix:///run/r.sock"}}}"#;
        fs::write(meta.join("meta.json"), text).unwrap();
        assert_eq!(found(docker, &set("rootless"), &[]).unwrap(), Path::new("/run/r.sock"));
        fs::write(folder.path().join("config.json"), r#"{"currentContext": "rootless"}"#).unwrap();
        let set = [("DOCKER_CONFIG", config)];
        assert_eq!(found(docker, &set, &[]).unwrap(), Path::new("/run/r.sock"));
    }
}
