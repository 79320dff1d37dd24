use serde_json::{Value, json as value};

use super::{Context, instances::Each};
use crate::{
    format::{Template, views},
    grammar::Kind,
    output::{json, line, plain},
};

/// What is asked of what is inspected.
pub(super) struct Wanted<'a> {
    pub(super) format: Option<&'a Template>,
    /// What the names are; whatever has one when `None`.
    pub(super) kind: Option<Kind>,
    /// With what instances take on the disk.
    pub(super) size: bool,
}

pub(super) async fn run(
    context: &Context,
    wanted: &Wanted<'_>,
    names: &[String],
) -> anyhow::Result<u8> {
    let mut found = Vec::new();
    let mut each = Each::default();
    for name in names {
        match one(context, name, wanted).await {
            Ok(value) => found.push(value),
            Err(missing) => each.fail(missing),
        }
    }
    if !found.is_empty() || names.is_empty() {
        show(&found, wanted.format)?;
    }
    each.end()
}

/// [`run`] for names that are all of one kind.
pub(super) async fn of_kind(
    context: &Context,
    kind: Kind,
    format: Option<&Template>,
    names: &[String],
) -> anyhow::Result<u8> {
    run(context, &Wanted { format, kind: Some(kind), size: false }, names).await
}

/// Prints what was found: as one JSON document, or a line of a template each.
pub(super) fn show(found: &[Value], format: Option<&Template>) -> anyhow::Result<()> {
    match format {
        None => json(&found)?,
        Some(template) => {
            for text in template.lines(found)? {
                text.lines().for_each(|text| line(&plain(text)));
            }
        }
    }
    Ok(())
}

/// What has that name: an instance, else an image, a volume or a network.
async fn one(context: &Context, name: &str, wanted: &Wanted<'_>) -> anyhow::Result<Value> {
    if let Some(kind) = wanted.kind {
        return of(context, name, kind, wanted).await;
    }
    let missing = match of(context, name, Kind::Instance, wanted).await {
        Ok(value) => return Ok(value),
        Err(missing) => missing,
    };
    for kind in [Kind::Image, Kind::Volume, Kind::Network] {
        if let Ok(value) = of(context, name, kind, wanted).await {
            return Ok(value);
        }
    }
    Err(missing)
}

async fn of(
    context: &Context,
    name: &str,
    kind: Kind,
    wanted: &Wanted<'_>,
) -> anyhow::Result<Value> {
    let dockers = wanted.format.is_some();
    match kind {
        Kind::Instance => instance(context, name, wanted),
        Kind::Image => image(context, name, dockers),
        Kind::Volume => {
            let row = context.app.volume(name)?;
            Ok(if dockers { views::volume(&row) } else { serde_json::to_value(row)? })
        }
        Kind::Network => {
            let row = context.app.network(name).await?;
            Ok(if dockers { views::network_row(&row) } else { serde_json::to_value(row)? })
        }
    }
}

fn instance(context: &Context, name: &str, wanted: &Wanted<'_>) -> anyhow::Result<Value> {
    let record = context.app.inspect(name)?;
    let asked = wanted.size || wanted.format.is_some_and(|it| it.mentions("SizeR"));
    let mut shown = match wanted.format {
        Some(_) => views::record(&record),
        None => serde_json::to_value(&record)?,
    };
    if wanted.format.is_some() {
        for mount in shown["Mounts"].as_array_mut().into_iter().flatten() {
            // Where its files are, which the record does not say.
            let name = mount["Name"].as_str().unwrap_or_default();
            if let Ok(volume) = context.app.volume(name) {
                mount["Source"] = value!(volume.path);
            }
        }
    }
    if asked && let Value::Object(fields) = &mut shown {
        let id = record.id.to_string();
        let size = context.app.instance_sizes(std::slice::from_ref(&id))?.remove(&id);
        fields.insert("SizeRw".to_owned(), value!(size.map(|size| size.own_bytes)));
        fields.insert("SizeRootFs".to_owned(), value!(size.map(|size| size.virtual_bytes)));
    }
    Ok(shown)
}

/// An image's OCI configuration; with Docker's fields for a template.
pub(super) fn image(context: &Context, name: &str, dockers: bool) -> anyhow::Result<Value> {
    let configuration = context.app.image_configuration(name)?;
    if !dockers {
        return Ok(configuration);
    }
    let rows = context.app.images(true)?;
    let digest = context.app.image_digest(name)?;
    let of_it: Vec<_> = rows.iter().filter(|row| row.digest == digest).collect();
    Ok(views::image_configuration(configuration, &digest, &of_it))
}
