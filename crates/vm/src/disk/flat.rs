//! A disk as one file that any QEMU can boot.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Stdio,
    str::FromStr,
};

use tandem_backend::BackendError;
use tandem_home::Home;
use tokio::process::Command;

use super::{BaseRecord, Chain};
use crate::machine::disk_node;

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFormat {
    /// QEMU's own, which takes no more room than what is used.
    Qcow2,
    /// The disk's bytes.
    Raw,
}

impl fmt::Display for DiskFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
        })
    }
}

impl FromStr for DiskFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Qcow2, Self::Raw]
            .into_iter()
            .find(|format| format.to_string() == text)
            .ok_or_else(|| format!("`{text}` is no format of a disk: write qcow2 or raw"))
    }
}

/// Writes the disk of the instance in `dir`, as `chain` has it, into the file
/// `to`. Nobody may write to those layers meanwhile. Dropping the future ends
/// the work.
pub async fn write_flat(
    home: &Home,
    dir: &Path,
    chain: &Chain,
    format: DiskFormat,
    to: &Path,
) -> Result<(), BackendError> {
    let base = BaseRecord::load(dir)?.ok_or_else(|| {
        let reason = "the instance has never run, so it has no disk";
        BackendError::engine("writing the disk", reason)
    })?;
    let layers: Vec<PathBuf> = chain.paths(dir);
    let node = disk_node(&base.find(home)?, &layers);
    let done = Command::new("qemu-img")
        .args(["convert", "-O", &format.to_string()])
        .arg(format!("json:{node}"))
        .arg(to)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    let output = done.map_err(|e| BackendError::Unavailable {
        what: "qemu-img".to_owned(),
        why: format!("it cannot be run ({e}), and a disk is put together with it"),
        fix: "run `sudo apt-get install qemu-utils`".to_owned(),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let reason = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    if text.contains("No space left") {
        return Err(BackendError::NoSpace(format!("writing the disk to {}", to.display())));
    }
    Err(BackendError::engine("writing the disk", reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_qemus_names() {
        for format in [DiskFormat::Qcow2, DiskFormat::Raw] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert!("vmdk".parse::<DiskFormat>().unwrap_err().contains("qcow2 or raw"));
    }
}
