//! Archives of images: one tar file with everything, for a machine without a
//! registry.
//!
//! | format | its table of contents | read | written |
//! |---|---|---|---|
//! | OCI archive | `oci-layout`, `index.json` (OCI image specification, image-layout.md) | yes | yes |
//! | Docker archive | `manifest.json` (moby, image/tarexport) | yes | with an OCI layout beside it |
//!
//! ```text
//! load: Input ─ Members ─ oci | docker ─ Wanted ─┬─ blobs: copied and digested ──┬─ Batch
//!       (spooled when     (names, no             └─ layers: unpacked meanwhile ──┘  (all or
//!        compressed)       content)                                                 nothing)
//! ```
//!
//! Nothing of an archive becomes visible before all of it is right, and a
//! name in it never becomes a path on this machine.

mod docker;
mod error;
mod input;
mod layout;
mod load;
mod members;
mod oci;
mod parts;
mod save;
mod wanted;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

pub use error::ArchiveError;
pub use input::ArchiveSource;
pub use layout::{LayoutImage, load_layout};
pub use load::load;
pub use parts::{LayoutPart, PartSource, layout_parts};
pub use save::{ArchiveFormat, save, save_into};

use crate::Stop;
