//! A disk as one file that any QEMU can boot, or with a description of its
//! machine.

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    str::FromStr,
};

use serde_json::Value;
use tandem_backend::BackendError;
use tandem_home::Home;
use tandem_model::InstanceRecord;
use tokio::process::Command;

use super::{Chain, Place, appliance, base_of, places_of, qcow2::virtual_size};
use crate::machine::{disk_node, part_node};

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFormat {
    /// QEMU's own, which takes no more room than what is used.
    Qcow2,
    /// The disk's bytes.
    Raw,
    /// An appliance for VirtualBox, VMware and others: a tar archive of a
    /// description and a compressed VMDK disk.
    Ova,
}

const ALL: [DiskFormat; 3] = [DiskFormat::Qcow2, DiskFormat::Raw, DiskFormat::Ova];

impl fmt::Display for DiskFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
            Self::Ova => "ova",
        })
    }
}

impl FromStr for DiskFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        ALL.into_iter()
            .find(|format| format.to_string() == text)
            .ok_or_else(|| format!("`{text}` is no format of a disk: write qcow2, raw or ova"))
    }
}

/// Writes the disk of the instance in `dir`, as `chain` has it, into the empty
/// file `to`. Nobody may write to those layers meanwhile. `scratch` is a folder
/// for what is only needed on the way. Dropping the future ends the work.
pub async fn write_flat(
    home: &Home,
    dir: &Path,
    record: &InstanceRecord,
    chain: &Chain,
    format: DiskFormat,
    scratch: &Path,
    to: &File,
) -> Result<(), BackendError> {
    let base = base_of(home, dir)?;
    let layers = chain.paths(dir);
    let node = disk_node(base.as_deref(), &layers);
    let places = places_of(dir)?;
    match format {
        DiskFormat::Qcow2 | DiskFormat::Raw if !places.is_empty() => {
            let count = places.len();
            let name = &record.spec.name;
            Err(BackendError::Unavailable {
                what: format!("a file with the disk of {name}"),
                why: format!("it has {count} disks, and such a file has one"),
                fix: format!("`tandem export --disk ova -o FILE {name}` writes all of them"),
            })
        }
        DiskFormat::Qcow2 | DiskFormat::Raw => {
            convert(&node, &format.to_string(), &[], Target::Open(to)).await
        }
        DiskFormat::Ova => {
            let disks = if places.is_empty() {
                let top = layers.last().map_or(scratch, PathBuf::as_path);
                let size = virtual_size(top).map_err(|e| BackendError::io("read", top, e))?;
                vec![(node, size)]
            } else {
                places.into_iter().map(|place| (part_node(node.clone(), place), place.1)).collect()
            };
            appliance::write(&disks, record, scratch, to).await
        }
    }
}

/// Where a disk is written to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'a> {
    /// An empty file, which may have no name: whoever is killed leaves nothing
    /// then.
    Open(&'a File),
    /// A file to make, whose name is in it.
    Named(&'a Path),
    /// A part of a qcow2 disk, which has nothing there yet.
    Place(&'a File, Place),
}

/// Has `qemu-img` write a disk.
pub(super) async fn convert(
    node: &Value,
    format: &str,
    options: &[&str],
    to: Target<'_>,
) -> Result<(), BackendError> {
    const INPUT: &str = "/proc/self/fd/0";
    let failed = |e| BackendError::engine("writing the disk", e);
    let open = |file: &File| file.try_clone().map(Stdio::from).map_err(failed);
    let source = format!("json:{node}");
    let mut command = Command::new("qemu-img");
    command.arg("convert").args(options);
    match to {
        Target::Open(file) => command.args(["-O", format, &source, INPUT]).stdin(open(file)?),
        Target::Named(path) => command.args(["-O", format, &source]).arg(path).stdin(Stdio::null()),
        Target::Place(file, (offset, size)) => {
            let place = format!(
                "driver=raw,offset={offset},size={size},file.driver={format},file.file.driver=file,file.file.filename={INPUT}"
            );
            command.args(["-n", "--target-is-zero", "--target-image-opts", &source, &place]);
            command.stdin(open(file)?)
        }
    };
    command.kill_on_drop(true);
    // SAFETY: the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(die_with_parent) };
    let output = command.output().await.map_err(|e| BackendError::Unavailable {
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
        return Err(BackendError::NoSpace("writing the disk".to_owned()));
    }
    Err(BackendError::engine("writing the disk", reason))
}

/// Nobody needs the disk of a program that was killed.
fn die_with_parent() -> std::io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_names() {
        for format in ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert!("vmdk".parse::<DiskFormat>().unwrap_err().contains("qcow2, raw or ova"));
    }
}
