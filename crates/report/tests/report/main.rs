//! Reports and charts of invented results.

mod common;
mod experiments;
mod export;
mod files;
mod golden;
mod layout;
mod pdf;
