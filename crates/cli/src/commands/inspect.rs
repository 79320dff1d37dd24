use serde_json::Value;

use super::{Context, instances::Each};
use crate::{
    format::{Template, views},
    output::{json, line, plain},
};

pub(super) fn run(
    context: &Context,
    format: Option<&Template>,
    names: &[String],
) -> anyhow::Result<u8> {
    let mut found = Vec::new();
    let mut each = Each::default();
    for name in names {
        match one(context, name, format.is_some()) {
            Ok(value) => found.push(value),
            Err(missing) => each.fail(missing),
        }
    }
    match format {
        None if found.is_empty() && !names.is_empty() => {}
        None => json(&found)?,
        Some(template) => {
            for text in template.lines(&found)? {
                text.lines().for_each(|text| line(&plain(text)));
            }
        }
    }
    each.end()
}

/// An instance of that name, else an image.
fn one(context: &Context, name: &str, dockers: bool) -> anyhow::Result<Value> {
    let missing = match context.app.inspect(name) {
        Ok(record) if dockers => return Ok(views::record(&record)),
        Ok(record) => return Ok(serde_json::to_value(record)?),
        Err(e) => e,
    };
    match context.app.image_configuration(name) {
        Ok(configuration) => Ok(configuration),
        Err(_) => Err(missing.into()),
    }
}
