//! Layers: tar archives on one side, folders in overlayfs form on the other.
//!
//! | in the archive (OCI image specification, layer.md) | on disk (kernel, overlayfs.rst) |
//! |---|---|
//! | `.wh.NAME`, an empty file | `NAME`, a character device 0:0 |
//! | `DIR/.wh..wh..opq` | `trusted.overlay.opaque=y` on `DIR` (`user.…` without privilege) |
//!
//! [`archive`] reads, [`unpack`] applies, [`pack`] writes; [`root`] is the
//! only place that turns a name from an archive into a file.

mod archive;
mod compression;
mod content;
mod error;
mod extract;
mod header;
mod limits;
mod members;
mod overlay;
mod pack;
pub(crate) mod pax;
mod root;
mod sparse;
mod unpack;
mod usage;

#[cfg(test)]
mod tests;

pub(crate) use archive::Archive;
pub(crate) use compression::decompressed;
pub use compression::{decompressed_archive, is_compressed};
pub use error::LayerError;
pub use extract::{Extract, Rebase, extract};
pub use header::Kind;
pub use limits::Limits;
pub use members::{ArchiveMember, ArchiveMembers};
pub use overlay::OverlayXattrs;
pub use overlay::has_single_id;
pub(crate) use overlay::may_give;
pub(crate) use pack::pack;
pub use pack::{pack_layer, pack_tree};
pub use pax::parse_pax;
pub(crate) use root::clean;
pub use unpack::unpack_layer;
pub(crate) use unpack::{Unpack, unpack};
pub use usage::DiskUsage;
