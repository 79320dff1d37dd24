//! The kernel of a home on its way to another one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tandem_backend::BackendError;
use tandem_home::{Home, Lock, make_private_dir, read_json, write_json};

use super::{Flavour, Kernel, LAYOUT};
use crate::CarryError;

/// The files of a kernel that is ready for guests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedKernel {
    /// What `uname -r` says in a guest.
    pub release: String,
    /// Its files, with the names under which [`take_kernel`] wants them.
    pub files: Vec<(&'static str, PathBuf)>,
}

const RECORD: &str = "current.json";
const IMAGE: &str = "vmlinux";
const MODULES: &str = "modules.cpio";

/// The kernel of a home; with `fetch`, one is fetched when there is none.
///
/// # Errors
/// [`BackendError::Unavailable`] when none can be fetched.
pub fn kernel_of(
    home: &Home,
    fetch: bool,
    progress: &mut dyn FnMut(&str),
) -> Result<Option<CarriedKernel>, BackendError> {
    let kernel = if fetch {
        Some(Kernel::ensure(home, Flavour::Cloud, progress)?)
    } else {
        Kernel::cached(home, Flavour::Cloud)?
    };
    Ok(kernel.map(|kernel| CarriedKernel {
        files: vec![
            (RECORD, home.kernels().join(RECORD)),
            (IMAGE, kernel.image(home)),
            (MODULES, kernel.module_archive(home)),
        ],
        release: kernel.release,
    }))
}

/// Moves the kernel whose files lie in the folder `from`, of the home's own
/// file system, to its place. A home that has one keeps it. Returns the
/// release, and whether it is new.
///
/// # Errors
/// [`CarryError::Unfit`] when the files are no kernel that this version made
/// ready.
pub fn take_kernel(home: &Home, from: &Path) -> Result<(String, bool), CarryError> {
    let unfit = |why: &str| CarryError::Unfit(why.to_owned());
    let record: Option<Kernel> = read_json(&from.join(RECORD))
        .map_err(|_| unfit("the record of its kernel cannot be read"))?;
    let kernel = record.ok_or_else(|| unfit("its kernel has no record"))?;
    if !is_plain(&kernel.release) {
        return Err(unfit("its kernel has a name that no kernel has"));
    }
    if kernel.layout != LAYOUT || !kernel.modules.shares.is_empty() {
        return Err(unfit("its kernel was made ready by another version of Tandem"));
    }
    if [IMAGE, MODULES].iter().any(|file| !from.join(file).is_file()) {
        return Err(unfit("its kernel is not whole"));
    }
    let _lock = Lock::exclusive(&home.kernels().join(".lock")).map_err(BackendError::from)?;
    if Kernel::cached(home, Flavour::Cloud)?.is_some() {
        return Ok((kernel.release, false));
    }
    let dir = home.kernels().join(&kernel.release);
    let there = dir.exists();
    make_private_dir(&dir).map_err(BackendError::from)?;
    let placed = [MODULES, IMAGE]
        .iter()
        .try_for_each(|file| moved(&from.join(file), &dir.join(file)))
        .and_then(|()| Ok(write_json(&home.kernels().join(RECORD), &kernel)?));
    if placed.is_err() && !there {
        let _ = fs::remove_dir_all(&dir);
    }
    placed?;
    Ok((kernel.release, true))
}

fn moved(from: &Path, to: &Path) -> Result<(), BackendError> {
    let done = fs::File::open(from).and_then(|file| file.sync_all());
    done.and_then(|()| fs::rename(from, to))
        .map_err(|e: io::Error| BackendError::io("store", to, e))
}

/// It becomes the name of a folder.
fn is_plain(release: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-+._~".contains(c);
    (1..100).contains(&release.len()) && !release.starts_with('.') && release.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A home with a kernel that is none.
    fn home_with_kernel(dir: &Path, release: &str, layout: u32) -> Home {
        let home = Home::open(Some(dir)).unwrap();
        let folder = home.kernels().join(release);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(IMAGE), "image").unwrap();
        fs::write(folder.join(MODULES), "modules").unwrap();
        let record = serde_json::json!({
            "release": release, "package": null, "sha256": null, "layout": layout,
            "modules": {"disk": [], "network": [], "channel": [], "memory": []},
        });
        write_json(&home.kernels().join(RECORD), &record).unwrap();
        home
    }

    fn carried(home: &Home, to: &Path) {
        fs::create_dir_all(to).unwrap();
        let kernel = kernel_of(home, false, &mut |_| ()).unwrap().unwrap();
        for (name, path) in kernel.files {
            fs::copy(path, to.join(name)).unwrap();
        }
    }

    #[test]
    fn a_kernel_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let from = home_with_kernel(&dir.path().join("from"), "6.1.0-1-cloud-amd64", LAYOUT);
        let to = Home::open(Some(&dir.path().join("to"))).unwrap();
        assert!(kernel_of(&to, false, &mut |_| ()).unwrap().is_none());
        let parts = to.temporary().join("parts");
        carried(&from, &parts);
        let taken = take_kernel(&to, &parts).unwrap();
        assert_eq!(taken, ("6.1.0-1-cloud-amd64".to_owned(), true));
        let kernel = Kernel::cached(&to, Flavour::Cloud).unwrap().unwrap();
        assert_eq!(fs::read(kernel.image(&to)).unwrap(), b"image");
        carried(&from, &parts);
        assert!(!take_kernel(&to, &parts).unwrap().1);
    }

    #[test]
    fn what_is_no_kernel_of_ours_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let to = Home::open(Some(&dir.path().join("to"))).unwrap();
        let parts = dir.path().join("parts");
        fs::create_dir(&parts).unwrap();
        let why = || take_kernel(&to, &parts).unwrap_err().to_string();
        assert!(why().contains("no record"));
        let record = |release: &str, layout: u32| {
            let from = dir.path().join(format!("from-{layout}"));
            let home = home_with_kernel(&from, "6.1", layout);
            let text = fs::read_to_string(home.kernels().join(RECORD)).unwrap();
            fs::write(parts.join(RECORD), text.replace("6.1", release)).unwrap();
        };
        record("../6.1", LAYOUT);
        assert!(why().contains("a name"));
        record("6.1", LAYOUT + 1);
        assert!(why().contains("another version"));
        record("6.1", LAYOUT);
        let plain = fs::read_to_string(parts.join(RECORD)).unwrap();
        let more = plain.replace("\"memory\"", "\"shares\":[\"9p.ko\"],\"memory\"");
        fs::write(parts.join(RECORD), more).unwrap();
        assert!(why().contains("another version"), "a kernel of another flavour");
        fs::write(parts.join(RECORD), plain).unwrap();
        assert!(why().contains("not whole"));
        assert_eq!(fs::read_dir(to.kernels()).unwrap().count(), 0);
    }
}
