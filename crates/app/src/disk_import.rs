use std::{collections::BTreeMap, fs::File, path::PathBuf};

use tandem_backend::{BackendError, InstanceStore};
use tandem_model::{
    AcceleratorChoice, BackendKind, Digest, ErrorCode, Failure, InstanceId, InstanceOptions,
    InstanceRecord, InstanceSpec, PortMap, Profile, Resources,
};
use tandem_vm::{CarryError, ForeignDisk, ForeignFormat, look_at_disk, take_disk};

use crate::{App, AppError};

/// What a person asks of a machine whose disk comes from elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct DiskWishes {
    /// The file.
    pub file: PathBuf,
    /// What it is; its own beginning tells when `None`.
    pub format: Option<ForeignFormat>,
    /// The instance's name; the file's when `None`.
    pub name: Option<String>,
    /// Limits; what the file says of itself fills the rest.
    pub resources: Resources,
    /// Published ports.
    pub ports: Vec<PortMap>,
    /// How QEMU executes.
    pub accelerator: AcceleratorChoice,
}

/// Memory of a machine of which nothing is known, bytes: an operating system
/// needs more than an app.
const MEMORY: u64 = 1 << 30;

/// How long a system may take to shut down before it is switched off, seconds.
const SHUTDOWN: u32 = 90;

/// What stands in the place of an image's name.
const NO_IMAGE: &str = "imported-disk";

impl App {
    /// Makes a machine of a disk that somebody else made; nothing stays when it
    /// fails, or when the future is dropped.
    pub async fn import_disk(&self, wishes: DiskWishes) -> Result<InstanceRecord, AppError> {
        let file = &wishes.file;
        File::open(file).map_err(|e| AppError::named("open", file, e))?;
        let disk = look_at_disk(&wishes.file, wishes.format).map_err(unfit)?;
        // Until it is whole it is this process's: whoever kills that leaves an
        // instance which the next command takes away.
        let owner = tandem_probe::identity(std::process::id());
        let mut record = self.instances.create(InstanceSpec { owner, ..spec(&wishes, &disk) })?;
        let mut half = Half { store: &self.instances, id: record.id.clone(), is_whole: false };
        let made = take_disk(&disk, &self.instances.dir(&record.id)).await;
        made.map_err(|e| match e {
            CarryError::Unfit(why) => unfit(CarryError::Unfit(format!(
                "{} cannot be imported: {why}",
                wishes.file.display()
            ))),
            other @ CarryError::Backend(_) => unfit(other),
        })?;
        record.spec.owner = None;
        self.instances.save(&record)?;
        half.is_whole = true;
        Ok(record)
    }

    /// Refuses what needs the image of an instance whose disk came from
    /// elsewhere.
    pub(crate) fn refuse_foreign(&self, record: &InstanceRecord) -> Result<(), AppError> {
        if !tandem_vm::is_foreign(&self.instances.dir(&record.id))? {
            return Ok(());
        }
        let name = &record.spec.name;
        Err(BackendError::Unavailable {
            what: format!("an export of {name}"),
            why: "its disk came from elsewhere, and there is no image to go with it".to_owned(),
            fix: format!("`tandem export --disk qcow2 -o FILE {name}` writes the disk"),
        }
        .into())
    }
}

/// An instance that goes again unless it becomes whole.
struct Half<'a> {
    store: &'a InstanceStore,
    id: InstanceId,
    is_whole: bool,
}

impl Drop for Half<'_> {
    fn drop(&mut self) {
        if !self.is_whole {
            // What cannot go now the next command takes away.
            let _ = self.store.delete(&self.id);
        }
    }
}

fn unfit(e: CarryError) -> AppError {
    match e {
        CarryError::Unfit(why) => Failure::new(ErrorCode::Usage, why).into(),
        CarryError::Backend(e) => e.into(),
    }
}

fn spec(wishes: &DiskWishes, disk: &ForeignDisk) -> InstanceSpec {
    let DiskWishes { file, name, resources, ports, accelerator, .. } = wishes;
    let memory = resources.memory_bytes.or(disk.memory).unwrap_or(MEMORY);
    let milli_cpus = resources.milli_cpus.or(disk.cpus.and_then(|it| it.checked_mul(1000)));
    InstanceSpec {
        name: name.clone().unwrap_or_else(|| name_of(file)),
        backend: BackendKind::Vm,
        profile: Some(Profile::Full),
        accelerator: *accelerator,
        image: NO_IMAGE.to_owned(),
        digest: Digest::from_sha256(&[0; 32]),
        args: vec!["its own system".to_owned()],
        env: Vec::new(),
        cwd: "/".to_owned(),
        user: String::new(),
        stop_signal: "SIGTERM".to_owned(),
        stop_timeout_s: SHUTDOWN,
        ports: ports.clone(),
        resources: Resources { memory_bytes: Some(memory), milli_cpus, pids: None },
        hostname: None,
        remove: false,
        owner: None,
        labels: BTreeMap::new(),
        options: InstanceOptions::default(),
    }
}

/// A name for an instance, made of a file's.
fn name_of(file: &std::path::Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' };
    let name: String = stem.chars().map(plain).take(60).collect();
    let name = name.trim_start_matches(['.', '-', '_']);
    if name.is_empty() { "disk".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_named_after_its_file() {
        let of = |file: &str| name_of(std::path::Path::new(file));
        assert_eq!(of("/tmp/Debian 12 (x).qcow2"), "Debian-12--x-");
        assert_eq!(of("/tmp/..hidden.raw"), "hidden");
        assert_eq!(of("/tmp/.."), "disk");
    }
}
