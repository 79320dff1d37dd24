//! The window: how soon it can be used, what it takes when nothing happens and
//! when much does.

mod idle;
mod live;
mod log;
mod open;
mod pages;

use crate::bench::measure::Measure;

pub(super) const OPEN: Measure = open::MEASURE;
pub(super) const IDLE: Measure = idle::MEASURE;
pub(super) const LIVE: Measure = live::MEASURE;
pub(super) const PAGES: Measure = pages::MEASURE;
pub(super) const LOG: Measure = log::MEASURE;
