//! Disks and their layers as QEMU is told of them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

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

/// A layer on what is beneath it. The formats are said: QEMU guesses none from
/// what a guest wrote, and believes no name in a header.
fn layer_node(path: &Path, below: Value) -> Value {
    json!({"driver": "qcow2", "file": file_node(path), "backing": below})
}
