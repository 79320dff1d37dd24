//! What the page can ask for: one short command each.

pub(crate) mod compare;
pub(crate) mod instances;
pub(crate) mod machine;
