//! What build steps made, on its way to another home: with it, the same build
//! finds everything there and needs no network.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use tandem_home::{Home, make_private_dir, read_json, write_atomic};
use tandem_image::Image;
use tandem_model::Digest;

use crate::{
    BuildError,
    cache::{Cache, Made, MadeLayer},
};

/// What one step made, as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedStep {
    /// Its name below the step cache, `XX/REST.json`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

/// The remembered steps that made these images: those whose layers they have,
/// and those without a layer that stand in their histories.
///
/// # Errors
/// [`BuildError`] when the cache cannot be read.
pub fn steps_of(home: &Home, images: &[Image]) -> Result<Vec<CarriedStep>, BuildError> {
    let known = Known::of(images);
    let dir = Cache::folder(home);
    let mut steps = Vec::new();
    for folder in names_in(&dir)? {
        for file in names_in(&dir.join(&folder))? {
            let (name, path) = (format!("{folder}/{file}"), dir.join(&folder).join(&file));
            let made: Option<Made> = read_json(&path).ok().flatten();
            if is_step_name(&name) && made.is_some_and(|made| known.fits(&made)) {
                steps.push(CarriedStep { name, path });
            }
        }
    }
    steps.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(steps)
}

/// Whether a name is that of a step: nothing else becomes a path.
pub fn is_step_name(name: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let Some((folder, file)) = name.split_once('/') else { return false };
    let Some(rest) = file.strip_suffix(".json") else { return false };
    folder.len() == 2 && rest.len() == 62 && hex(folder) && hex(rest)
}

/// Takes carried steps over, all or none; those that are known already stay
/// as they are. Returns the files that are new.
///
/// # Errors
/// [`BuildError::Usage`] when a step made none of these images, so that nobody
/// slips layers under builds that have nothing to do with them.
pub fn take_steps(
    home: &Home,
    steps: &[CarriedStep],
    images: &[Image],
) -> Result<Vec<PathBuf>, BuildError> {
    let known = Known::of(images);
    let mut taken = Vec::new();
    for step in steps {
        let made: Option<Made> = read_json(&step.path).ok().flatten();
        let made = made.filter(|made| is_step_name(&step.name) && known.fits(made));
        taken.push(made.ok_or_else(|| {
            BuildError::Usage(format!("the build step {} made none of the images", step.name))
        })?);
    }
    let dir = Cache::folder(home);
    let mut fresh = Vec::new();
    let placed = steps.iter().zip(taken).try_for_each(|(step, made)| {
        let to = dir.join(&step.name);
        if to.exists() {
            return Ok(());
        }
        if let Some(folder) = to.parent() {
            make_private_dir(folder)?;
        }
        let text = serde_json::to_vec_pretty(&made)
            .map_err(|e| BuildError::Usage(format!("a build step cannot be written: {e}")))?;
        write_atomic(&to, &text)?;
        fresh.push(to);
        Ok(())
    });
    if placed.is_err() {
        for file in &fresh {
            let _ = fs::remove_file(file);
        }
    }
    placed.map(|()| fresh)
}

/// What made some images.
struct Known<'a> {
    layers: BTreeMap<Digest, Vec<MadeLayer>>,
    moments: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    fn of(images: &'a [Image]) -> Self {
        let mut layers: BTreeMap<Digest, Vec<MadeLayer>> = BTreeMap::new();
        for image in images {
            for (layer, chain_id) in image.layers.iter().zip(image.chain_ids()) {
                layers.entry(layer.digest.clone()).or_default().push(MadeLayer {
                    digest: layer.digest.clone(),
                    diff_id: layer.diff_id.clone(),
                    size: layer.size,
                    media_type: layer.media_type.clone(),
                    chain_id,
                });
            }
        }
        let history = images.iter().flat_map(|image| image.config.history().iter().flatten());
        let moments = history.filter_map(|step| step.created().as_deref()).collect();
        Self { layers, moments }
    }

    fn fits(&self, made: &Made) -> bool {
        match &made.layer {
            Some(layer) => self.layers.get(&layer.digest).is_some_and(|it| it.contains(layer)),
            // Written down to the nanosecond.
            None => self.moments.contains(made.created.as_str()),
        }
    }
}

fn names_in(dir: &Path) -> Result<Vec<String>, BuildError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(BuildError::io("list", dir)(e)),
    };
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_steps_are_names() {
        let rest = "0".repeat(62);
        assert!(is_step_name(&format!("ab/{rest}.json")));
        for bad in [
            format!("../{rest}.json"),
            format!("ab/{rest}"),
            format!("AB/{rest}.json"),
            format!("ab/{}.json", &rest[1..]),
            format!("ab/../{rest}.json"),
            String::new(),
        ] {
            assert!(!is_step_name(&bad), "{bad}");
        }
    }
}
