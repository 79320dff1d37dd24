use serde_json::Value;

use super::Context;
use crate::output::json;

pub(super) fn run(context: &Context, names: &[String]) -> anyhow::Result<u8> {
    let mut found = Vec::new();
    for name in names {
        found.push(one(context, name)?);
    }
    json(&found)?;
    Ok(0)
}

/// An instance of that name, else an image.
fn one(context: &Context, name: &str) -> anyhow::Result<Value> {
    let missing = match context.app.inspect(name) {
        Ok(record) => return Ok(serde_json::to_value(record)?),
        Err(e) => e,
    };
    match context.app.image_configuration(name) {
        Ok(configuration) => Ok(configuration),
        Err(_) => Err(missing.into()),
    }
}
