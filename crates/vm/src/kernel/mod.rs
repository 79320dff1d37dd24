//! The kernel that guests run: fetched once, kept in `kernels/RELEASE/`.
//!
//! ```text
//! apt ─ .deb ─┬─ vmlinuz ── unpack ──▶ vmlinux   entered by PVH, no firmware
//!             └─ *.ko ── order, trim ─▶ modules.cpio
//! /boot, /lib/modules of the host, where there is no apt
//! ```

mod carry;
mod elf;
pub mod fuzz;
mod initrd;
mod lz4;
mod modules;
mod package;
mod payload;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tandem_backend::BackendError;
use tandem_guest::wire::{MODULE_DIR, Modules};
use tandem_home::{Home, HomeError, Lock, make_private_dir, read_json, write_atomic, write_json};
use tandem_model::Digest;

use crate::machine::Board;
pub use carry::{CarriedKernel, kernel_of, take_kernel};
pub(crate) use elf::needs_interpreter;
pub(crate) use initrd::Archive;
use modules::{ModuleTree, WITHOUT_PCI};

/// Why there is no kernel for guests.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KernelError {
    /// apt is missing or knows no cloud kernel.
    #[error("apt knows no package with a kernel (linux-image-cloud-amd64, linux-image-amd64)")]
    NotInApt,
    /// The package does not come.
    #[error("the package {package} cannot be fetched ({reason})")]
    Download {
        /// Its name.
        package: String,
        /// What was said.
        reason: String,
    },
    /// Something that belongs to a kernel is not there.
    #[error("it has no {what}")]
    Incomplete {
        /// What.
        what: String,
    },
    /// The image is not what it must be.
    #[error("the kernel {path} cannot be used: {source}")]
    Image {
        /// The image.
        path: PathBuf,
        /// Why.
        source: payload::PayloadError,
    },
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
    /// The home folder failed.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl KernelError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    fn into_backend(self) -> BackendError {
        match self {
            Self::Home(e) => e.into(),
            Self::Io { action, path, source } if source.kind() == io::ErrorKind::StorageFull => {
                BackendError::io(action, path, source)
            }
            other => BackendError::Unavailable {
                what: "a kernel for virtual machines".to_owned(),
                why: other.to_string(),
                fix: FIX.to_owned(),
            },
        }
    }
}

/// How to get a kernel, when there is none.
pub(crate) const FIX: &str =
    "run `sudo apt-get update` and try again, on Debian with its main archive reachable";

/// Which of Debian's kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// The one for clouds: small, quick, and with the drivers of machines.
    Cloud,
    /// The one for everything. It shows folders of the host (9p), which the one
    /// for clouds cannot; modules of one do not fit into the other.
    Generic,
}

impl Flavour {
    fn record(self) -> &'static str {
        match self {
            Self::Cloud => "current.json",
            Self::Generic => "generic.json",
        }
    }
}

/// A kernel before it is made ready for guests.
struct Source {
    release: String,
    image: PathBuf,
    /// `lib/modules/RELEASE`.
    modules: PathBuf,
    /// File name of the package.
    package: Option<String>,
    sha256: Option<Digest>,
}

/// A kernel that is ready for guests, as it stands in `kernels/current.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Kernel {
    /// What `uname -r` says in a guest.
    pub(crate) release: String,
    /// The package it came in.
    pub(crate) package: Option<String>,
    /// Digest of the package, which apt had verified.
    pub(crate) sha256: Option<Digest>,
    /// What to load in a guest.
    pub(crate) modules: Modules,
    /// The [`LAYOUT`] of the files.
    #[serde(default)]
    layout: u32,
}

/// Changes when kernels are made ready in another way; an older one is made
/// again.
pub const LAYOUT: u32 = 2;

impl Kernel {
    /// The kernel of a home, when there is one already.
    pub(crate) fn cached(home: &Home, flavour: Flavour) -> Result<Option<Self>, BackendError> {
        let kernel: Option<Self> = read_json(&home.kernels().join(flavour.record()))?;
        let is_whole = |kernel: &Self| kernel.layout == LAYOUT && kernel.image(home).exists();
        Ok(kernel.filter(is_whole))
    }

    /// The kernel of a home, fetched when there is none.
    pub(crate) fn ensure(
        home: &Home,
        flavour: Flavour,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, BackendError> {
        if let Some(kernel) = Self::cached(home, flavour)? {
            return Ok(kernel);
        }
        let _lock = Lock::exclusive(&home.kernels().join(".lock"))?;
        // Somebody else may have fetched it while this one waited.
        if let Some(kernel) = Self::cached(home, flavour)? {
            return Ok(kernel);
        }
        Self::make(home, flavour, progress).map_err(KernelError::into_backend)
    }

    /// Whether one could be fetched.
    pub(crate) fn is_known() -> bool {
        package::is_known() || host_source().is_ok()
    }

    /// The uncompressed kernel.
    pub(crate) fn image(&self, home: &Home) -> PathBuf {
        home.kernels().join(&self.release).join("vmlinux")
    }

    /// Whether it finds the devices of a board without PCI.
    pub(crate) fn drives_microvm(&self) -> bool {
        self.modules.disk.iter().any(|file| is_of(file, WITHOUT_PCI))
    }

    /// What to load on this board: no driver of the other one's.
    pub(crate) fn modules_on(&self, board: Board) -> Modules {
        let other = if board == Board::Q35 { WITHOUT_PCI } else { "virtio_pci" };
        let mut modules = self.modules.clone();
        modules.disk.retain(|file| !is_of(file, other));
        modules
    }

    /// The part of the initial RAM disk with its modules.
    pub(crate) fn module_archive(&self, home: &Home) -> PathBuf {
        home.kernels().join(&self.release).join(archive_of(&self.modules))
    }

    fn make(
        home: &Home,
        flavour: Flavour,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, KernelError> {
        let scratch = home.scratch("kernel")?;
        let source = match package::fetch(flavour, scratch.path(), progress) {
            Ok(source) => source,
            // Another distribution: its own kernel does too.
            Err(KernelError::NotInApt) => host_source().map_err(|_| KernelError::NotInApt)?,
            Err(e) => return Err(e),
        };
        progress(&format!("unpacking the kernel {}", source.release));
        let image = fs::read(&source.image).map_err(KernelError::io("read", &source.image))?;
        let vmlinux = payload::vmlinux(&image)
            .map_err(|e| KernelError::Image { path: source.image.clone(), source: e })?;
        let (modules, loaded) = ModuleTree::open(&source.modules)
            .and_then(|tree| tree.for_guest(flavour))
            .map_err(KernelError::io("read the modules in", &source.modules))?;
        let mut archive = Archive::default();
        archive.directory(MODULE_DIR);
        for (name, content) in &loaded {
            archive.file(&format!("{MODULE_DIR}/{name}"), false, content);
        }
        let dir = home.kernels().join(&source.release);
        make_private_dir(&dir)?;
        write_atomic(&dir.join(archive_of(&modules)), &archive.finish())?;
        write_atomic(&dir.join("vmlinux"), &vmlinux)?;
        let kernel = Self {
            release: source.release,
            package: source.package,
            sha256: source.sha256,
            modules,
            layout: LAYOUT,
        };
        write_json(&home.kernels().join(flavour.record()), &kernel)?;
        Ok(kernel)
    }
}

/// Whether it is the file of this module.
fn is_of(file: &str, module: &str) -> bool {
    file.strip_suffix(".ko") == Some(module)
}

/// Name of the file with these modules. The host's own kernel may be of both
/// flavours.
fn archive_of(modules: &Modules) -> &'static str {
    if modules.shares.is_empty() { "modules.cpio" } else { "modules-shares.cpio" }
}

/// The kernel that the host itself runs.
fn host_source() -> Result<Source, KernelError> {
    let release = nix::sys::utsname::uname().map_err(|e| KernelError::Io {
        action: "ask for",
        path: "the host's kernel".into(),
        source: e.into(),
    })?;
    let release = release.release().to_string_lossy().into_owned();
    let image = Path::new("/boot").join(format!("vmlinuz-{release}"));
    let modules = Path::new("/lib/modules").join(&release);
    fs::File::open(&image).map_err(KernelError::io("open", &image))?;
    if !modules.is_dir() {
        return Err(KernelError::Incomplete { what: "modules".to_owned() });
    }
    Ok(Source { release, image, modules, package: None, sha256: None })
}
