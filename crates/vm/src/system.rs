//! The operating system of `full` machines: an image that is built from a
//! recipe of ours like any other.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use tandem_backend::BackendError;
use tandem_guest::wire::{Confinement, Execute, Service};
use tandem_image::{Image, Store};
use tandem_model::{Digest, InstanceSpec, Profile};

use crate::guest::guest_program;

/// Its name.
pub const SYSTEM: &str = "localhost/tandem/system:bookworm";

/// Builds the operating system's image; builders are not this crate's matter.
#[async_trait]
pub trait SystemBuilder: Send + Sync {
    /// Builds the recipe in the folder under the name [`SYSTEM`], with the
    /// label.
    async fn build(
        &self,
        recipe: &Path,
        label: (&str, &str),
        progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<(), BackendError>;
}

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_bytes!(concat!("../system/", $name)).as_slice())),+]
    };
}

/// The recipe without the guest program.
const RECIPE: [(&str, &[u8]); 12] = files![
    "Dockerfile",
    "grub.cfg",
    "interfaces",
    "hosts",
    "name-servers",
    "power-button",
    "units/tandem-agent.service",
    "units/tandem-app.service",
    "initramfs/modules",
    "initramfs/conf.d/tandem",
    "initramfs/scripts/init-top/tandem",
    "initramfs/scripts/init-bottom/tandem",
];

/// The label with the digest of the recipe that an image was made by.
pub(crate) const RECIPE_LABEL: &str = "org.tandem.recipe";

/// A digest of all that the image is made of, as far as it comes from us:
/// another version of Tandem makes another one.
pub(crate) fn recipe_digest(program: &Path) -> Result<String, BackendError> {
    let guest = guest_program(program)?;
    let mut hash = Sha256::new();
    for (name, content) in RECIPE {
        hash.update(format!("{name} {}\n", content.len()));
        hash.update(content);
    }
    hash.update(fs::read(&guest).map_err(|e| BackendError::io("read", &guest, e))?);
    Ok(Digest::from_sha256(&hash.finalize().into()).to_string())
}

/// Whether the system's image is here, made by this very recipe. Nothing is
/// asked of a network then.
pub(crate) fn is_made(store: &Store, digest: &str) -> bool {
    let image = SYSTEM.parse().ok().and_then(|name| store.resolve(&name).ok());
    let labels = image.and_then(|image| image.config.config().clone()?.labels().clone());
    labels.is_some_and(|labels| labels.get(RECIPE_LABEL).is_some_and(|it| it == digest))
}

/// Writes the recipe into the empty folder `dir`. `program` is the `tandem`
/// executable.
pub(crate) fn write_recipe(dir: &Path, program: &Path) -> Result<(), BackendError> {
    let guest = guest_program(program)?;
    let write = || -> io::Result<()> {
        for (name, content) in RECIPE {
            let path = dir.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&path, content)?;
            let mode = if name.contains("scripts/") { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
        fs::copy(&guest, dir.join("tandem-guest"))?;
        Ok(())
    };
    write().map_err(|e| BackendError::io("write the system's recipe into", dir, e))
}

/// The operating system that a machine of this specification boots; `None` for
/// one that boots the image's files alone.
pub(crate) fn system_of(store: &Store, spec: &InstanceSpec) -> Result<Option<Image>, BackendError> {
    if spec.profile != Some(Profile::Full) {
        return Ok(None);
    }
    let name = SYSTEM.parse().map_err(|e| BackendError::engine("naming the system", e))?;
    store.resolve(&name).map(Some).map_err(|_| BackendError::Unavailable {
        what: format!("the operating system of full machines, {SYSTEM}"),
        why: "its image is not here any more".to_owned(),
        fix: "make it again by running an image with `tandem run --backend vm --profile full`"
            .to_owned(),
    })
}

/// What the image's app is as a service, and the signal that stops it.
pub(crate) fn service_of(image: &Image) -> (Service, String) {
    let config = image.config.config().clone().unwrap_or_default();
    let words = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let cwd = config.working_dir().clone().filter(|cwd| cwd.starts_with('/'));
    let app = Execute {
        args: [words(config.entrypoint()), words(config.cmd())].concat(),
        env: words(config.env()),
        cwd: cwd.unwrap_or_else(|| "/".to_owned()),
        user: config.user().clone().unwrap_or_default(),
        ..Execute::default()
    };
    let signal = config.stop_signal().clone().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-".contains(c);
    let is_one = !signal.is_empty() && signal.chars().all(plain);
    let signal = if is_one { signal } else { "SIGTERM".to_owned() };
    (Service { app, confinement: Confinement::default() }, signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_names_the_places_that_the_guest_program_knows() {
        use tandem_guest::wire::{APP_ROOT, SYSTEM_PROGRAM};
        let text = |name: &str| {
            let (_, content) = RECIPE.iter().find(|(file, _)| *file == name).unwrap();
            str::from_utf8(content).unwrap()
        };
        assert!(text("Dockerfile").contains(SYSTEM_PROGRAM));
        assert!(text("Dockerfile").contains(APP_ROOT));
        for (unit, word) in [("agent", "agent"), ("app", "app"), ("app", "ended")] {
            let unit = text(&format!("units/tandem-{unit}.service"));
            assert!(unit.contains(&format!("={SYSTEM_PROGRAM} {word}\n")), "{word}");
        }
    }

    #[test]
    fn every_copied_file_is_in_the_recipe() {
        let (_, dockerfile) = RECIPE[0];
        let text = str::from_utf8(dockerfile).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("COPY ")) {
            let source = line.split_whitespace().find(|word| !word.starts_with("--")).unwrap();
            let known =
                source == "tandem-guest" || RECIPE.iter().any(|(name, _)| name.starts_with(source));
            assert!(known, "{source}");
        }
    }
}
