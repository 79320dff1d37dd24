//! What the fuzz targets (`tests/fuzz`) reach of this crate; nobody else may.

pub use crate::{disk::fuzz as disk, kernel::fuzz as kernel, qmp::fuzz::messages as qmp};
