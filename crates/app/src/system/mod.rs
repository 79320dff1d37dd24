//! The home as a whole: what it takes, what can go, whether it is sound.

mod check;
mod df;
mod df_detail;
mod info;
mod outside;
mod prune;

pub use check::{CheckReport, Finding};
pub use df::{DfReport, DfRow};
pub use df_detail::{DfDetail, DfImage, DfInstance, DfVolume};
pub use info::SystemInfo;
pub use outside::Outside;
pub use prune::{PruneRequest, Pruned};
