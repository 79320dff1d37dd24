//! The statistics beside what they must be.

mod coverage;
mod properties;
mod reference;
