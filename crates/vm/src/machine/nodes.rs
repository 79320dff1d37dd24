//! Disks and their layers as QEMU is told of them.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::disk::Place;

/// The name that a layer has in QEMU: its file's without the ending.
pub(crate) fn node_name(layer: &Path) -> String {
    layer.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The name of a volume's disk in QEMU, and its serial number in the guest.
pub(crate) fn volume_name(at: usize) -> String {
    format!("volume{at}")
}

/// A file as QEMU is to open it. The path goes in as JSON: no character in it
/// has a meaning.
pub(crate) fn file_node(path: &Path) -> Value {
    json!({"driver": "file", "filename": path, "aio": "threads"})
}

/// The number of the set of descriptors that a layer of a running machine's disk
/// has in QEMU, told by its name: the first is `disk`, others are `disk-1`, ….
pub(crate) fn layer_set(layer: &Path) -> u32 {
    let name = node_name(layer);
    let number = name.rsplit_once('-').and_then(|(_, digits)| digits.parse::<u32>().ok());
    number.map_or(1, |number| number.saturating_add(1))
}

/// A path in an option that is no JSON: there a comma separates, and two are
/// one.
pub(super) fn escaped(path: &Path) -> OsString {
    let bytes = path.as_os_str().as_bytes();
    let doubled = |byte: &u8| if *byte == b',' { vec![b',', b','] } else { vec![*byte] };
    OsString::from_vec(bytes.iter().flat_map(doubled).collect())
}

/// A disk of layers, the lowest first, on a raw one or on nothing. Only the top
/// one may be written to.
pub(crate) fn disk_node(base: Option<&Path>, layers: &[PathBuf]) -> Value {
    let raw = |base| json!({"driver": "raw", "read-only": true, "file": file_node(base)});
    let mut node = base.map_or(Value::Null, raw);
    for (at, layer) in layers.iter().enumerate() {
        node = layer_node(layer, node);
        if at + 1 < layers.len() {
            node["read-only"] = true.into();
        }
    }
    node
}

/// Has QEMU neither lock a disk nor look at others' locks (QEMU,
/// `qapi/block-core.json`, `locking`).
pub(crate) fn unlocked(node: &mut Value) {
    node["file"]["locking"] = "off".into();
    if let Some(below) = node.get_mut("backing").filter(|below| below.is_object()) {
        unlocked(below);
    }
}

/// One of several disks that lie in `whole`, which is a node or the name of one.
pub(crate) fn part_node(whole: impl Into<Value>, (offset, size): Place) -> Value {
    json!({"driver": "raw", "file": whole.into(), "offset": offset, "size": size})
}

/// A layer on what is beneath it. The formats are said: QEMU guesses none from
/// what a guest wrote, and believes no name in a header.
fn layer_node(path: &Path, below: Value) -> Value {
    json!({"driver": "qcow2", "file": file_node(path), "backing": below})
}
