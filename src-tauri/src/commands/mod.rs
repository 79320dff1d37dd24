//! What the page can ask for: one short command each.

pub(crate) mod class;
pub(crate) mod compare;
pub(crate) mod databases;
pub(crate) mod errands;
pub(crate) mod images;
pub(crate) mod instances;
pub(crate) mod lessons;
pub(crate) mod machine;
pub(crate) mod projects;
pub(crate) mod results;
pub(crate) mod settings;
pub(crate) mod terminals;
