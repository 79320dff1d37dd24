//! OCI images on disk: the store, layers, base images.
//!
//! One image layout (OCI image specification, image-layout.md) lies at
//! `$TANDEM_HOME/images`; other tools can read it
//! (`skopeo inspect oci:images:hello-flask:latest`). Beside it,
//! `$TANDEM_HOME/layers/CHAINID` holds every layer unpacked in the form that
//! overlayfs wants for a lower directory, so that a container starts without
//! copying anything.
//!
//! ```text
//! pull, bootstrap, build ── blobs/sha256 ── put_image ── index.json
//!                               │                           │
//!                    layer_dirs (unpack, verify)         resolve
//!                               │                           │
//!                         layers/CHAINID  ◄── overlay ── Image
//! ```
//!
//! Foreign bytes come in at four places, each a pure function over bytes or
//! a reader: the tar reader behind [`unpack_layer`], [`parse_pax`], the tables
//! of contents behind [`load`], and the readers of apt's source lists ([`bootstrap::parse_one_line_sources`],
//! [`bootstrap::parse_deb822_sources`]). No name in an archive can reach
//! outside its folder: paths are resolved by the kernel beneath an open
//! directory (`openat2` with `RESOLVE_IN_ROOT`).
//!
//! Files become visible only by rename, and `index.json` changes only under
//! an exclusive lock; any number of processes may share a store.

mod archive;
pub mod bootstrap;
mod error;
mod fetch;
#[doc(hidden)]
pub mod fuzz;
mod image;
mod layer;
mod plain_file;
mod platform;
mod registry;
mod stoppable;
mod store;
mod tree_copy;

pub use archive::{
    ArchiveError, ArchiveFormat, ArchiveSource, LayoutImage, LayoutPart, PartSource, layout_parts,
    load, load_layout, save, save_into,
};
pub use error::ImageError;
pub use fetch::{Fetched, fetch_file};
pub use image::{Image, Layer, NewLayer, chain_ids};
pub use layer::{
    ArchiveMember, ArchiveMembers, DiskUsage, Extract, Kind as MemberKind, LayerError, Limits,
    OverlayXattrs, Rebase, decompressed_archive, extract, has_single_id, is_compressed, pack_layer,
    pack_tree, parse_pax, pax::PaxRecord, unpack_layer,
};
pub use plain_file::PlainFiles;
pub use platform::{ParsePlatformError, Platform};
pub use registry::{
    Access, Credentials, LoginFiles, PullOptions, RegistryError, Transfer, login, logout,
    outside_settings, pull, push,
};
pub use stoppable::{Stop, Stoppable};
pub use store::{
    CheckOptions, DiskUse, Finding, FindingKind, HistoryEntry, ImageSummary, LayerChange,
    LayerChangeKind, Lease, Removed, Store, TreeLayer, digest_of_file, layer_of_disk,
};
pub use tree_copy::{Earlier, Stamp, Stamps, copy_tree, copy_tree_until, stamps};
