//! An instance as one file, for another home.
//!
//! The file is a tar archive of `manifest.json`, the image's blobs, and an
//! archive for each tree: the instance's changes as a layer, volumes as plain
//! files. The manifest has the digest of each.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufReader, BufWriter},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tandem_backend::BackendError;
use tandem_container::upper_of;
use tandem_home::{Draft, make_private_dir, read_json, write_json};
use tandem_image::{
    Extract, Limits, PlainFiles, Rebase, Stop, Stoppable, digest_of_file, extract, pack_layer,
    pack_tree, unpack_layer,
};
use tandem_model::{
    BackendKind, Digest, ErrorCode, Failure, InstanceRecord, InstanceSpec, MountSource,
    NetworkChoice, SecurityOptions,
};

use tandem_vm::Carried;

use crate::{
    App, AppError,
    commit::copied,
    machine_exchange::unpack_machine,
    snapshot::{RECORD, Snapshot, all, check_name, conflict, rename},
    work::blocking,
};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: String,
    pub(crate) version: u32,
    pub(crate) spec: InstanceSpec,
    /// The image's blobs, its manifest first; each lies in `blobs/HEX`.
    pub(crate) blobs: Vec<Digest>,
    /// Digest of each archive by its path: `upper.tar`, `volumes/NAME.tar`,
    /// `snapshots/NAME/…`; of a virtual machine `disk/…`.
    pub(crate) parts: BTreeMap<String, Digest>,
    pub(crate) volumes: Vec<String>,
    pub(crate) snapshots: Vec<Snapshot>,
    /// The disk of a virtual machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) machine: Option<Carried>,
}

const FORMAT: &str = "tandem-instance";
const VERSION: u32 = 1;

pub(crate) fn refused(why: impl std::fmt::Display) -> AppError {
    let text = format!("the file is no instance that can be imported ({why}): export it again");
    Failure::new(ErrorCode::Usage, text).into()
}

fn layer(e: tandem_image::LayerError) -> AppError {
    Failure::new(ErrorCode::Internal, e.to_string()).into()
}

impl App {
    /// Writes an instance with its image, volumes and snapshots to a file. One
    /// that runs is held still while it is copied. Dropping the future ends
    /// the work and leaves nothing of it.
    pub async fn export_instance(&self, instance: &str, file: &Path) -> Result<(), AppError> {
        let record = self.instances.find(instance)?;
        let to = Target::begin(file)?;
        if record.spec.backend == BackendKind::Vm {
            return self.export_machine(record, to).await;
        }
        let upper = upper_of(&self.home, &record)?;
        let volumes = self.volumes_of(&record.spec);
        let scratch = self.home.scratch("export")?;
        let (copies, out) = (scratch.path().join("copies"), scratch.path().join("out"));
        for dir in
            [copies.join("volumes"), out.join("volumes"), out.join("blobs"), out.join("snapshots")]
        {
            make_private_dir(&dir)?;
        }
        let held = self.held(&record).await?;
        let ended = if held.is_none() { Some(self.ended_lock(&record)?) } else { None };
        copied(upper, copies.join("upper")).await?;
        for volume in &volumes {
            copied(self.volume_data(volume), copies.join("volumes").join(volume)).await?;
        }
        drop((held, ended));
        let dir = self.snapshots_dir(&record)?;
        let _snapshots = tandem_home::Lock::exclusive(&dir.join(".lock"))?;
        let snapshots = all(&dir)?;
        let mut trees = vec![(copies, String::new(), volumes.clone())];
        for snapshot in &snapshots {
            let prefix = format!("snapshots/{}/", snapshot.name);
            make_private_dir(&out.join(&prefix).join("volumes"))?;
            trees.push((dir.join(&snapshot.name), prefix, snapshot.volumes.clone()));
        }
        let folder = out.clone();
        let parts = blocking("packing the instance", move |stop| {
            let mut parts = BTreeMap::new();
            for (from, prefix, volumes) in &trees {
                pack_parts(from, volumes, &folder, prefix, &mut parts, stop)?;
            }
            Ok(parts)
        })
        .await?;
        let manifest = self.manifest(record.spec, &out, parts)?;
        let snapshots = snapshots.into_iter().map(without_memory).collect();
        to.write(out, Manifest { volumes, snapshots, ..manifest }).await
    }

    /// The snapshots whose memory an export leaves behind: CRIU would give
    /// processes the rights that its images name, and nobody could look
    /// through them before.
    pub fn memory_left_behind(&self, instance: &str) -> Result<Vec<String>, AppError> {
        let record = self.instances.find(instance)?;
        let dir = self.instances.dir(&record.id).join("snapshots");
        let snapshots = if dir.is_dir() { all(&dir)? } else { Vec::new() };
        Ok(snapshots.into_iter().filter(|it| it.checkpoint).map(|it| it.name).collect())
    }

    /// A manifest with the image, whose blobs are put among the parts.
    pub(crate) fn manifest(
        &self,
        spec: InstanceSpec,
        out: &Path,
        parts: BTreeMap<String, Digest>,
    ) -> Result<Manifest, AppError> {
        let image = self.images.find(&spec.digest.to_string())?;
        let mut blobs = Vec::new();
        for (digest, path) in self.images.blobs_of(&image) {
            let to = out.join("blobs").join(digest.hex());
            if !to.exists() {
                fs::hard_link(&path, &to).map_err(|e| AppError::io("link", path, e))?;
            }
            blobs.push(digest);
        }
        let spec = InstanceSpec { owner: None, remove: false, ..spec };
        Ok(Manifest {
            format: FORMAT.to_owned(),
            version: VERSION,
            spec,
            blobs,
            parts,
            volumes: Vec::new(),
            snapshots: Vec::new(),
            machine: None,
        })
    }

    /// Makes the instance of a file again; nothing stays when it fails, or
    /// when the future is dropped.
    pub async fn import_instance(
        &self,
        file: &Path,
        name: Option<&str>,
    ) -> Result<InstanceRecord, AppError> {
        let scratch = self.home.scratch("import")?;
        let (dir, from) = (scratch.path().to_owned(), scratch.path().join("in"));
        let archive = File::open(file).map_err(|e| AppError::named("open", file, e))?;
        let limits = Limits::of(&self.home)?;
        let manifest = blocking("reading the file", move |stop| {
            let archive = Stoppable::new(archive, stop);
            unpacked(&mut BufReader::new(archive), &dir, "in", limits).map_err(refused)?;
            let from = dir.join("in");
            let manifest: Option<Manifest> =
                read_json(&from.join("manifest.json")).map_err(refused)?;
            let manifest = manifest.ok_or_else(|| refused("it has no manifest"))?;
            check(&manifest, &from, stop)?;
            Ok(Arc::new(manifest))
        })
        .await?;
        let mut spec = InstanceSpec { owner: None, remove: false, ..manifest.spec.clone() };
        if let Some(name) = name {
            name.clone_into(&mut spec.name);
        }
        let taken = manifest.volumes.iter().find(|name| self.home.volumes().join(name).exists());
        if let Some(volume) = taken {
            return Err(conflict(format!(
                "there is a volume `{volume}` already: remove it first with `tandem volume rm {volume}`, or import into another home"
            )));
        }
        let made = scratch.path().join("made");
        make_private_dir(&made.join("volumes"))?;
        let _lease = self.images.lease()?;
        let (home, images) = (self.home.clone(), self.images.clone());
        let (whole, to) = (Arc::clone(&manifest), made.clone());
        blocking("unpacking the instance", move |stop| {
            if whole.machine.is_some() {
                unpack_machine(&home, &from, &whole, &to, stop)?;
            } else {
                unpack_container(&from, &whole, &to, limits, stop)?;
            }
            for digest in &whole.blobs {
                let path = from.join("blobs").join(digest.hex());
                let blob =
                    File::open(&path).map_err(|_| refused(format!("blob {digest} is missing")))?;
                images.add_blob(digest, Stoppable::new(blob, stop))?;
            }
            Ok(())
        })
        .await?;
        self.images.adopt_image(&spec.image.parse()?, &spec.digest)?;
        let record = self.instances.create(spec)?;
        let placed = self.place(&record, &made, &manifest.volumes);
        if placed.is_err() {
            let _ = self.instances.delete(&record.id);
        }
        placed.map(|()| record)
    }

    fn place(
        &self,
        record: &InstanceRecord,
        made: &Path,
        volumes: &[String],
    ) -> Result<(), AppError> {
        for volume in volumes {
            make_private_dir(&self.home.volumes().join(volume))?;
            rename(&made.join("volumes").join(volume), &self.volume_data(volume))?;
        }
        if record.spec.backend == BackendKind::Vm {
            return self.place_machine(record, made);
        }
        rename(&made.join("upper"), &upper_of(&self.home, record)?)?;
        let snapshots = made.join("snapshots");
        if snapshots.is_dir() {
            rename(&snapshots, &self.instances.dir(&record.id).join("snapshots"))?;
        }
        Ok(())
    }
}

/// The file that an instance is written to, whole or not at all. It is begun
/// first of all: whether it can be written is known before an app is held.
pub(crate) struct Target {
    file: PathBuf,
    draft: Draft,
}

impl Target {
    pub(crate) fn begin(file: &Path) -> Result<Self, AppError> {
        let unwritten = |e: io::Error| AppError::unwritten(file, &e);
        if file.is_dir() {
            return Err(unwritten(io::ErrorKind::IsADirectory.into()));
        }
        let draft = Draft::beside(file, 0o600).map_err(unwritten)?;
        Ok(Self { file: file.to_owned(), draft })
    }

    /// Writes the folder `out` with its manifest.
    pub(crate) async fn write(self, out: PathBuf, manifest: Manifest) -> Result<(), AppError> {
        let Self { file, draft } = self;
        let shown = file.clone();
        let draft = blocking("writing the file", move |stop| {
            write_json(&out.join("manifest.json"), &manifest)?;
            let io = |e| AppError::unwritten(&shown, &e);
            let (name, files) = (Path::new(FORMAT), PlainFiles::of_this_process().map_err(io)?);
            let to = BufWriter::new(Stoppable::new(draft.file(), stop));
            pack_tree(&out, name, false, &files, to).map_err(layer)?;
            draft.file().sync_all().map_err(io)?;
            Ok(draft)
        })
        .await?;
        // Here, where nobody can have given up: who did gets no file.
        draft.keep(&file).map_err(|e| AppError::unwritten(&file, &e))
    }
}

fn unpack_container(
    from: &Path,
    manifest: &Manifest,
    made: &Path,
    limits: Limits,
    stop: Stop<'_>,
) -> Result<(), AppError> {
    unpack_parts(from, "", &manifest.volumes, made, limits, stop)?;
    for snapshot in &manifest.snapshots {
        let dir = made.join("snapshots").join(&snapshot.name);
        make_private_dir(&dir.join("volumes"))?;
        let prefix = format!("snapshots/{}/", snapshot.name);
        unpack_parts(from, &prefix, &snapshot.volumes, &dir, limits, stop)?;
        write_json(&dir.join(RECORD), &without_memory(snapshot.clone()))?;
    }
    Ok(())
}

/// A container's snapshot as it goes from home to home.
fn without_memory(snapshot: Snapshot) -> Snapshot {
    Snapshot { checkpoint: false, ..snapshot }
}

fn pack_parts(
    from: &Path,
    volumes: &[String],
    out: &Path,
    prefix: &str,
    parts: &mut BTreeMap<String, Digest>,
    stop: Stop<'_>,
) -> Result<(), AppError> {
    let create = |path: &PathBuf| {
        let file = File::create_new(path).map_err(|e| AppError::io("make", path, e))?;
        Ok::<_, AppError>(BufWriter::new(Stoppable::new(file, stop)))
    };
    let mut list = vec![(format!("{prefix}upper.tar"), from.join("upper"), true)];
    for volume in volumes {
        let path = from.join("volumes").join(volume);
        list.push((format!("{prefix}volumes/{volume}.tar"), path, false));
    }
    let files = PlainFiles::of_this_process().map_err(|e| AppError::io("read", from, e))?;
    for (name, tree, is_upper) in list {
        if !tree.is_dir() {
            continue;
        }
        let path = out.join(&name);
        if is_upper {
            pack_layer(&tree, create(&path)?).map_err(layer)?;
        } else {
            pack_tree(&tree, Path::new("data"), false, &files, create(&path)?).map_err(layer)?;
        }
        let digest = digest_of_file(&path).map_err(|e| AppError::io("read", path, e))?;
        parts.insert(name, digest);
    }
    Ok(())
}

fn unpacked(
    archive: &mut impl std::io::Read,
    dir: &Path,
    name: &str,
    limits: Limits,
) -> Result<(), tandem_image::LayerError> {
    let rebase = Rebase::As(name.as_bytes().to_vec());
    let options = Extract { rebase, owner: None, privileges: true, limits };
    extract(archive, dir, &options)
}

fn unpack_parts(
    from: &Path,
    prefix: &str,
    volumes: &[String],
    to: &Path,
    limits: Limits,
    stop: Stop<'_>,
) -> Result<(), AppError> {
    let open = |name: String| {
        let file = File::open(from.join(name)).ok()?;
        Some(BufReader::new(Stoppable::new(file, stop)))
    };
    let upper = to.join("upper");
    fs::create_dir(&upper).map_err(|e| AppError::io("make", &upper, e))?;
    if let Some(part) = open(format!("{prefix}upper.tar")) {
        unpack_layer(part, &upper, limits).map_err(refused)?;
    }
    for volume in volumes {
        let mut part = open(format!("{prefix}volumes/{volume}.tar"))
            .ok_or_else(|| refused(format!("volume {volume} is missing")))?;
        unpacked(&mut part, &to.join("volumes"), volume, limits).map_err(refused)?;
    }
    Ok(())
}

/// Refuses what is not whole, what would reach outside, and what asks for more
/// than an instance gets by itself: nobody at this machine has agreed to that.
fn check(manifest: &Manifest, from: &Path, stop: Stop<'_>) -> Result<(), AppError> {
    if (manifest.format.as_str(), manifest.version) != (FORMAT, VERSION) {
        return Err(refused(format!("version {} is not known", manifest.version)));
    }
    let snapshots = &manifest.snapshots;
    let inner = snapshots.iter().flat_map(|it| it.volumes.iter().chain([&it.name]));
    for name in manifest.volumes.iter().chain(inner) {
        check_name(name).map_err(refused)?;
    }
    for spec in snapshots.iter().map(|it| &it.spec).chain([&manifest.spec]) {
        harmless(spec)?;
    }
    for (path, digest) in &manifest.parts {
        if stop() {
            return Err(BackendError::Cancelled.into());
        }
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !path.split('/').all(plain) {
            return Err(refused(format!("`{path}` is not one of its parts")));
        }
        let actual =
            digest_of_file(&from.join(path)).map_err(|_| refused(format!("{path} is missing")))?;
        if actual != *digest {
            return Err(refused(format!("{path} is damaged")));
        }
    }
    if (manifest.spec.backend == BackendKind::Vm) != manifest.machine.is_some() {
        return Err(refused("it has no disk that fits to its kind"));
    }
    let listed = |path: String| manifest.parts.contains_key(&path) || !from.join(&path).exists();
    let trees = |prefix: &str, volumes: &[String]| {
        let volumes: Vec<_> =
            volumes.iter().map(|it| format!("{prefix}volumes/{it}.tar")).collect();
        volumes.into_iter().chain([format!("{prefix}upper.tar")]).all(listed)
    };
    let whole = trees("", &manifest.volumes)
        && snapshots.iter().all(|it| trees(&format!("snapshots/{}/", it.name), &it.volumes));
    if whole { Ok(()) } else { Err(refused("a part has no digest")) }
}

fn harmless(spec: &InstanceSpec) -> Result<(), AppError> {
    let options = &spec.options;
    let ordinary = SecurityOptions::default();
    let security = &options.security;
    let bound = options.mounts.iter().any(|it| matches!(it.source, MountSource::Bind { .. }));
    let more = [
        (bound, "it mounts a path of the host"),
        (options.network == NetworkChoice::Host, "it uses the host's network"),
        (!security.cap_add.is_empty(), "it adds capabilities"),
        (security.seccomp != ordinary.seccomp, "it changes the system call filter"),
    ];
    match more.into_iter().find(|(asked, _)| *asked) {
        Some((_, why)) => Err(refused(format!(
            "{why}, which nobody has allowed here; make it with `tandem run` instead"
        ))),
        None => Ok(()),
    }
}
