use tandem_image::bootstrap::BaseKind;
use tandem_report::format_bytes;

use super::Context;
use crate::{
    grammar::{Base, Json},
    output::{ago, json, line, plain, table},
};

pub(super) fn list(context: &Context, wanted: Json) -> anyhow::Result<u8> {
    let images = context.app.images()?;
    if wanted.json {
        json(&images)?;
        return Ok(0);
    }
    let rows: Vec<_> = images
        .into_iter()
        .map(|image| {
            vec![
                image.name,
                image.tag.unwrap_or_else(|| "<none>".to_owned()),
                image.digest.short().to_owned(),
                image.created_at.map(ago).unwrap_or_default(),
                format_bytes(image.size_bytes),
                format_bytes(image.unique_bytes),
            ]
        })
        .collect();
    table(&["NAME", "TAG", "DIGEST", "CREATED", "SIZE", "OF ITS OWN"], &rows);
    Ok(0)
}

pub(super) fn inspect(context: &Context, image: &str) -> anyhow::Result<u8> {
    json(&context.app.image_configuration(image)?)?;
    Ok(0)
}

pub(super) fn tag(context: &Context, image: &str, name: &str) -> anyhow::Result<u8> {
    context.app.tag_image(image, name)?;
    Ok(0)
}

pub(super) fn remove(context: &Context, images: &[String]) -> anyhow::Result<u8> {
    for image in images {
        line(&context.app.remove_image(image)?.reference.to_string());
    }
    Ok(0)
}

pub(super) async fn bootstrap(context: &Context, kind: Base) -> anyhow::Result<u8> {
    let kind = match kind {
        Base::Python => BaseKind::Python,
        Base::Debian => BaseKind::Debian,
    };
    let cancel = crate::signals::cancel_on_interrupt();
    let mut show = |text: &str| context.say(&plain(text));
    let name = tokio::select! {
        name = context.app.bootstrap(kind, &mut show) => name?,
        () = cancel.cancelled() => return Ok(130),
    };
    line(&name.to_string());
    Ok(0)
}
