use std::path::Path;

use tandem_build::samples::samples;

use super::Context;
use crate::{
    grammar::Json,
    output::{json, line, table},
};

pub(super) fn list(wanted: Json) -> anyhow::Result<u8> {
    let samples = samples();
    if wanted.json {
        json(&samples)?;
        return Ok(0);
    }
    let rows: Vec<_> = samples
        .iter()
        .map(|sample| vec![sample.name.to_owned(), sample.description.to_owned()])
        .collect();
    table(&["NAME", "WHAT IT IS"], &rows);
    Ok(0)
}

pub(super) fn copy(context: &Context, name: &str, dir: &Path) -> anyhow::Result<u8> {
    for file in context.app.copy_sample(name, dir)? {
        line(&file.display().to_string());
    }
    Ok(0)
}
