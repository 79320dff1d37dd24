//! What the fuzz targets (`tests/fuzz`) reach of this crate; nobody else may.

pub use crate::attach::fuzz as attach;
