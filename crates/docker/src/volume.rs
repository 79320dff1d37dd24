//! Volumes as an engine has them: named after the home and the volume, marked
//! with our labels. What lacks those is somebody else's.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tandem_backend::{BackendError, VolumeKeeper, VolumeStore};
use tandem_home::Home;
use tandem_model::{Digest, InstanceSpec, MountSource, MountSpec};

use crate::{
    api::{Api, ApiError},
    create::HOME,
    refusal::other,
};

/// Marks a volume as one of ours.
const VOLUME: &str = "dev.tandem.volume";

/// Makes the volumes of an instance that the engine does not have yet; its
/// mounts in the engine's words (`HostConfig.Binds`).
pub(crate) async fn ensure(
    api: &Api,
    home: &Home,
    spec: &InstanceSpec,
    socket: &Path,
) -> Result<Vec<String>, BackendError> {
    let store = VolumeStore::new(home.clone());
    let keeper = VolumeKeeper { version: 1, engine: spec.backend, socket: socket.to_owned() };
    let mut binds = Vec::new();
    for mount in &spec.options.mounts {
        let MountSource::Volume { name, no_copy, anonymous } = &mount.source else { continue };
        let refused =
            |why: String| BackendError::bad_mount(format!("volume `{name}`"), &mount.target, why);
        store.ensure(name, *anonymous, std::collections::BTreeMap::new())?;
        // Written down before it is made: what a crash leaves is known.
        store.give_to(name, &keeper).map_err(refused)?;
        let root = home.root();
        if find(api, root, name).await.map_err(other)?.is_none() {
            let labels = json!({ HOME: root.to_string_lossy(), VOLUME: name });
            let request = json!({ "Name": name_of(root, name), "Labels": labels });
            api.post("/volumes/create", Some(&request)).await.map_err(other)?;
            // The engine gives back what it has, whoever made it.
            find(api, root, name).await.map_err(other)?.ok_or_else(|| {
                let (engine, taken) = (spec.backend, name_of(root, name));
                refused(format!("{engine} has a volume `{taken}` that is not ours; use another"))
            })?;
        }
        binds.push(bind(root, mount, name, *no_copy));
    }
    Ok(binds)
}

/// Removes the engine's part of a volume, where an engine has it, and nothing
/// without our labels.
///
/// # Errors
/// When the engine refuses, e.g. because a container of somebody else's has it
/// mounted, or does not answer.
pub fn remove_kept_volume(home: &Home, name: &str) -> Result<(), BackendError> {
    let Some(keeper) = VolumeStore::new(home.clone()).keeper(name)? else { return Ok(()) };
    let (root, name) = (home.root().to_owned(), name.to_owned());
    // Whoever removes a volume need not wait in a runtime of its own.
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| BackendError::engine("asking the engine", e))?;
        runtime.block_on(remove(&keeper, &root, &name))
    };
    match std::thread::spawn(work).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

async fn remove(keeper: &VolumeKeeper, home: &Path, name: &str) -> Result<(), BackendError> {
    let api = Api::new(&keeper.socket);
    let failed = |e: ApiError| match e {
        ApiError::Unreachable { .. } => crate::engine::unavailable(
            keeper.engine,
            format!("it keeps the volume `{name}`, and {e}"),
        ),
        e => other(e),
    };
    if find(&api, home, name).await.map_err(failed)?.is_none() {
        return Ok(());
    }
    match api.delete(&format!("/volumes/{}", name_of(home, name))).await {
        Err(e) if e.is_missing() => Ok(()),
        done => done.map_err(failed),
    }
}

/// A volume of ours; `None` when there is none, or somebody else's.
async fn find(api: &Api, home: &Path, name: &str) -> Result<Option<Value>, ApiError> {
    let found = match api.get(&format!("/volumes/{}", name_of(home, name))).await {
        Err(e) if e.is_missing() => return Ok(None),
        other => other?,
    };
    let labels = &found["Labels"];
    let ours = labels[VOLUME] == name && labels[HOME] == *home.to_string_lossy();
    Ok(ours.then_some(found))
}

/// Its name in the engine, which other homes use too.
fn name_of(home: &Path, name: &str) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let hash = Sha256::digest(home.as_os_str().as_bytes());
    let hash = Digest::from_sha256(&hash.into());
    format!("tandem-{}-{name}", &hash.hex()[..12])
}

fn bind(home: &Path, mount: &MountSpec, name: &str, no_copy: bool) -> String {
    let mut text = format!("{}:{}", name_of(home, name), mount.target);
    let options = [(mount.read_only, "ro"), (no_copy, "nocopy")];
    let options: Vec<_> = options.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
    if !options.is_empty() {
        text.push(':');
        text.push_str(&options.join(","));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_do_not_share_volumes_of_one_name() {
        let (one, two) = (name_of(Path::new("/a"), "data"), name_of(Path::new("/b"), "data"));
        assert!(one.starts_with("tandem-") && one.ends_with("-data") && one != two, "{one} {two}");
        let source = MountSource::Volume { name: "data".into(), no_copy: true, anonymous: false };
        let mut mount = MountSpec { source, target: "/data".to_owned(), read_only: true };
        assert_eq!(bind(Path::new("/a"), &mount, "data", true), format!("{one}:/data:ro,nocopy"));
        mount.read_only = false;
        assert_eq!(bind(Path::new("/a"), &mount, "data", false), format!("{one}:/data"));
    }
}
