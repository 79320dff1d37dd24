//! Whole archives: what is packed comes back, and nothing gets out.

mod absurd;
mod hostile;
mod round_trip;
mod support;
