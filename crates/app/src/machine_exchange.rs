//! A virtual machine as one file: its disk with what is beneath it, its
//! snapshots with their memory.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use tandem_home::{Home, Lock, make_private_dir, write_json};
use tandem_image::{Stop, digest_of_file};
use tandem_model::{Digest, InstanceRecord};
use tandem_vm::{
    CarryError, Chain, MEMORY, MEMORY_PART, layers_of, pack_disk, pack_file, save_running,
    unpack_disk, unpack_file,
};

use crate::{
    App, AppError,
    exchange::{Manifest, Target, refused},
    snapshot::{RECORD, Snapshot, all, refuse_volumes, rename},
    work::blocking,
};

/// Where the disk's parts lie in the file.
const DISK: &str = "disk";

fn chains(snapshots: &[Snapshot]) -> Vec<&Chain> {
    snapshots.iter().filter_map(|it| it.machine.as_ref()).map(|it| &it.chain).collect()
}

fn has_memory(snapshot: &Snapshot) -> bool {
    snapshot.machine.as_ref().is_some_and(|saved| saved.memory.is_some())
}

impl App {
    /// Writes a machine with its image and snapshots to a file. One that runs
    /// writes on to a new layer of its disk meanwhile.
    pub(crate) async fn export_machine(
        &self,
        record: InstanceRecord,
        target: Target,
    ) -> Result<(), AppError> {
        refuse_volumes(&record, "an export")?;
        self.refuse_foreign(&record)?;
        let machine = self.instances.dir(&record.id);
        let dir = self.snapshots_dir(&record)?;
        let _lock = Lock::exclusive(&dir.join(".lock"))?;
        let snapshots = all(&dir)?;
        let scratch = self.home.scratch("export")?;
        let (out, nothing) = (scratch.path().join("out"), scratch.path().join("nothing"));
        for dir in [out.join("blobs"), out.join(DISK), out.join("snapshots"), nothing.clone()] {
            make_private_dir(&dir)?;
        }
        let (chain, _ended) = match save_running(&machine, &nothing, false).await? {
            Some(taken) => (taken.saved.chain, None),
            None => {
                let ended = self.ended_lock(&record)?;
                (layers_of(&machine)?, Some(ended))
            }
        };
        let (home, to) = (self.home.clone(), out.clone());
        let (parts, carried, snapshots) = blocking("packing the machine", move |stop| {
            let others = chains(&snapshots);
            let carried = pack_disk(&home, &machine, chain, &others, &to.join(DISK), stop)?;
            for snapshot in snapshots.iter().filter(|it| has_memory(it)) {
                let to = to.join("snapshots").join(&snapshot.name);
                make_private_dir(&to)?;
                let memory = dir.join(&snapshot.name).join(MEMORY);
                pack_file(&memory, &to.join(MEMORY_PART), stop)?;
            }
            Ok((parts_in(&to)?, carried, snapshots))
        })
        .await?;
        let manifest = self.manifest(record.spec, &out, parts)?;
        let machine = Some(carried);
        target.write(out, Manifest { snapshots, machine, ..manifest }).await
    }

    /// Gives a new instance what was unpacked for it.
    pub(crate) fn place_machine(
        &self,
        record: &InstanceRecord,
        made: &Path,
    ) -> Result<(), AppError> {
        let dir = self.instances.dir(&record.id);
        for file in files_in(&made.join(DISK))? {
            let name = file.file_name().unwrap_or_default();
            rename(&file, &dir.join(name))?;
        }
        let snapshots = made.join("snapshots");
        if snapshots.is_dir() { rename(&snapshots, &dir.join("snapshots")) } else { Ok(()) }
    }
}

/// Unpacks the disk and the snapshots of a machine into the folder `made`.
pub(crate) fn unpack_machine(
    home: &Home,
    from: &Path,
    manifest: &Manifest,
    made: &Path,
    stop: Stop<'_>,
) -> Result<(), AppError> {
    let Some(carried) = &manifest.machine else { return Err(refused("it has no disk")) };
    let mut parts = parts_in(from)?.into_keys();
    if let Some(part) = parts.find(|part| !manifest.parts.contains_key(part)) {
        return Err(refused(format!("{part} has no digest")));
    }
    let scratch = made.join("scratch");
    let disk = made.join(DISK);
    make_private_dir(&scratch)?;
    make_private_dir(&disk)?;
    let others = chains(&manifest.snapshots);
    unpack_disk(home, &from.join(DISK), carried, &others, &disk, &scratch, stop).map_err(unfit)?;
    for snapshot in &manifest.snapshots {
        let dir = made.join("snapshots").join(&snapshot.name);
        make_private_dir(&dir)?;
        write_json(&dir.join(RECORD), snapshot)?;
        if has_memory(snapshot) {
            let part = from.join("snapshots").join(&snapshot.name).join(MEMORY_PART);
            unpack_file(&part, &dir.join(MEMORY), stop).map_err(unfit)?;
        }
    }
    Ok(())
}

fn unfit(e: CarryError) -> AppError {
    match e {
        CarryError::Unfit(why) => refused(why),
        CarryError::Backend(e) => e.into(),
    }
}

fn files_in(dir: &Path) -> Result<Vec<PathBuf>, AppError> {
    let io = |e| AppError::io("list", dir, e);
    let entries = fs::read_dir(dir).map_err(io)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(io)).collect()
}

/// Digests of the disk's and the snapshots' parts.
fn parts_in(out: &Path) -> Result<BTreeMap<String, Digest>, AppError> {
    let mut parts = BTreeMap::new();
    let mut folders = vec![DISK.to_owned()];
    if out.join("snapshots").is_dir() {
        let snapshots = files_in(&out.join("snapshots"))?;
        let names = snapshots.iter().filter_map(|path| path.file_name()?.to_str());
        folders.extend(names.map(|name| format!("snapshots/{name}")));
    }
    for folder in folders {
        for path in files_in(&out.join(&folder))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let digest = digest_of_file(&path).map_err(|e| AppError::io("read", path, e))?;
            parts.insert(format!("{folder}/{name}"), digest);
        }
    }
    Ok(parts)
}
