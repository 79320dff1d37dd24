use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tandem_backend::BackendError;
use tandem_home::{Home, Lock, make_private_dir};
use tandem_image::{Image, ImageError, Store};
use tandem_model::{Digest, InstanceSpec};

use super::{
    BaseRecord, DISK,
    helper::{FULL, Order, SystemOrder},
    is_foreign,
};
use crate::system::{service_of, system_of};

/// The image that a specification names. The digest decides: the name may
/// belong to another image by now.
pub(crate) fn image_of(store: &Store, spec: &InstanceSpec) -> Result<Image, BackendError> {
    let by_name = spec.image.parse().ok().and_then(|name| store.resolve(&name).ok());
    match by_name {
        Some(image) if image.digest == spec.digest => Ok(image),
        _ => store.find(spec.digest.as_str()).map_err(image_failed),
    }
}

fn image_failed(e: ImageError) -> BackendError {
    BackendError::Reported(e.into())
}

/// What is on a disk.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    /// The image.
    pub(crate) image: Image,
    /// The operating system that runs its app; none when the machine boots
    /// the image's files alone.
    pub(crate) system: Option<Image>,
}

impl Content {
    /// What the disk of such an instance holds.
    pub(crate) fn of(store: &Store, spec: &InstanceSpec) -> Result<Self, BackendError> {
        Ok(Self { image: image_of(store, spec)?, system: system_of(store, spec)? })
    }
}

/// An image's files on a disk, made once and shared by all its instances.
#[derive(Debug, Clone)]
pub(crate) struct BaseDisk {
    path: PathBuf,
}

impl BaseDisk {
    /// Where the disk of an image is or will be.
    pub(crate) fn of(home: &Home, content: &Content) -> Result<Self, BackendError> {
        let name = match &content.system {
            None => format!("{}-{FORMAT}.ext4", chain_id(&content.image)?.hex()),
            Some(system) => {
                // The image's settings are on such a disk too.
                let (files, settings) = (chain_id(&content.image)?, &content.image.config_digest);
                let (files, settings) = (files.hex(), &settings.hex()[..12]);
                let system = chain_id(system)?;
                format!("{files}-{settings}-{}-{FORMAT}.raw", &system.hex()[..12])
            }
        };
        Ok(Self { path: disks(home).join(name) })
    }

    /// The raw disk.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the disk as a guest sees it.
    pub(crate) fn size(&self) -> Result<u64, BackendError> {
        let metadata = fs::metadata(&self.path);
        metadata.map(|it| it.len()).map_err(|e| BackendError::io("read", &self.path, e))
    }

    /// Makes the disk when there is none. `program` is the `tandem`
    /// executable.
    pub(crate) fn ensure(
        &self,
        store: &Store,
        content: &Content,
        program: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<(), BackendError> {
        if self.path.exists() {
            return Ok(());
        }
        let home = store.home();
        make_private_dir(&disks(home))?;
        let _lock = Lock::exclusive(&disks(home).join(".lock"))?;
        // Somebody else may have made it while this one waited.
        if self.path.exists() {
            return Ok(());
        }
        let image = &content.image;
        let layers = store.layer_dirs(image, progress).map_err(image_failed)?;
        let system = content.system.as_ref().map(|system| -> Result<_, BackendError> {
            let layers = store.layer_dirs(system, progress).map_err(image_failed)?;
            let (service, stop_signal) = service_of(image);
            Ok(SystemOrder { layers, service, stop_signal })
        });
        progress("making the virtual machine's disk");
        let scratch = home.scratch("disk")?;
        let disk = scratch.path().join("disk.ext4");
        let order = Order {
            layers,
            system: system.transpose()?,
            scratch: scratch.path().to_owned(),
            disk: disk.clone(),
            uuid: uuid(&image.digest),
            parent: std::process::id(),
        };
        run_helper(program, &order)?;
        fs::rename(&disk, &self.path).map_err(|e| BackendError::io("move into place", &disk, e))
    }
}

/// The raw disk beneath the layers of the instance in `dir`; `None` when they
/// came from elsewhere and lie on nothing.
pub(crate) fn base_of(home: &Home, dir: &Path) -> Result<Option<PathBuf>, BackendError> {
    if is_foreign(dir)? {
        return Ok(None);
    }
    let base = BaseRecord::load(dir)?.ok_or_else(|| {
        let reason = "the instance has never run, so it has no disk: start it once with `tandem start`, and try again";
        BackendError::engine("writing the disk", reason)
    })?;
    base.find(home).map(Some)
}

fn chain_id(image: &Image) -> Result<Digest, BackendError> {
    image.top_chain_id().ok_or_else(|| {
        BackendError::engine("making a disk", format!("{} has no layers", image.reference))
    })
}

/// Changes when disks are made in another way.
const FORMAT: u32 = 1;

/// The folder of all base disks.
pub(super) fn disks(home: &Home) -> PathBuf {
    home.cache().join("disks")
}

/// Whether `mke2fs` is there.
pub(crate) fn mke2fs_found() -> bool {
    ["/usr/sbin/mke2fs", "/sbin/mke2fs", "/usr/bin/mke2fs"]
        .iter()
        .any(|path| Path::new(path).exists())
}

/// Says what to do when it is not there.
pub(crate) fn need_mke2fs() -> Result<(), BackendError> {
    if mke2fs_found() {
        return Ok(());
    }
    Err(BackendError::Unavailable {
        what: "mke2fs".to_owned(),
        why: "it is not installed, and a virtual machine's disk is made with it".to_owned(),
        fix: "run `sudo apt-get install e2fsprogs`".to_owned(),
    })
}

fn run_helper(program: &Path, order: &Order) -> Result<(), BackendError> {
    need_mke2fs()?;
    let failed = |e: io::Error| BackendError::io("run", program, e);
    let mut child = Command::new(program)
        .arg(DISK)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let text = serde_json::to_vec(order).unwrap_or_default();
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that failed already says why on its standard error.
        let _ = stdin.write_all(&text);
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.code() == Some(i32::from(FULL)) {
        return Err(BackendError::NoSpace(format!("making the virtual machine's disk ({reason})")));
    }
    Err(BackendError::engine("making the virtual machine's disk", reason))
}

/// A UUID (RFC 9562, version 8) from the image's digest: the same files give
/// the same disk.
fn uuid(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_its_own_uuid() {
        let digest = Digest::from_sha256(&[0xab; 32]);
        assert_eq!(uuid(&digest), "abababab-abab-8aba-8bab-abababababab");
    }
}
