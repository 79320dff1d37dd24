//! Statistics of small samples of times and bytes: pure, seeded, no I/O.
//!
//! Every function takes raw values and gives the same answer for the same
//! values and seed, on every machine and in whatever order the values stand
//! (except [`drift`], whose subject is the order). Values must be finite and
//! of magnitude below 1e150, so that squares stay finite.
//!
//! An estimate never travels without its interval and its n: see
//! [`Estimate`] and [`Ratio`]. What the intervals are worth at small n is
//! said by [`coverage_bound`].

mod bootstrap;
mod descriptive;
mod drift;
mod effect;
mod error;
mod estimate;
pub mod judge;
mod outliers;
mod random;
mod ratio;

pub use bootstrap::{RESAMPLES, bootstrap_median_ci, coverage_bound};
pub use descriptive::{mean, median, quantile, stddev};
pub use drift::{Drift, drift};
pub use effect::{Magnitude, cliffs_delta, magnitude};
pub use error::StatsError;
pub use estimate::{Estimate, summarize};
pub use judge::{Judgement, Reason, judge};
pub use outliers::{Fences, fences, outliers};
pub use ratio::{Ratio, ratio_of_medians};
