use tandem_app::{ImageTree, LayerChangeKind};
use tandem_image::bootstrap::BaseKind;
use tandem_model::Digest;
use tandem_report::format_bytes;

use super::{Context, inspect, instances::Each};
use crate::{
    format::views,
    grammar::{Base, Image, Images},
    output::{ago, json, line, plain, raw, table},
    prompt::confirmed,
};

pub(super) async fn run(context: &Context, command: Image) -> anyhow::Result<u8> {
    match command {
        Image::Ls(wanted) => return list(context, &wanted),
        Image::Inspect { format, images } => {
            let all = images.iter().map(|name| inspect::image(context, name, format.is_some()));
            let found = all.collect::<anyhow::Result<Vec<_>>>()?;
            match found.as_slice() {
                // Of one the configuration itself, as in the image.
                [one] if format.is_none() => json(one)?,
                all => inspect::show(all, format.as_ref())?,
            }
        }
        Image::History(wanted) => {
            return history(context, &wanted.image, wanted.no_trunc, wanted.json.json);
        }
        Image::Tree { files, json: wanted, image } => {
            let tree = context.app.image_tree(&image).await?;
            if wanted.json {
                json(&tree)?;
            } else {
                show_tree(&tree, files);
            }
        }
        Image::Tag { image, name } => context.app.tag_image(&image, &name)?,
        Image::Rm { force, images } => return remove(context, &images, force),
        Image::Prune { all, filter, force } => {
            let question = if all {
                "Remove all images that no instance was made from?"
            } else {
                "Remove what no image needs any more?"
            };
            if !confirmed(question, force).await? {
                return Ok(0);
            }
            let pruned = context.app.prune_images(all, &filter)?;
            pruned.names.iter().for_each(|name| line(name));
            context.say(&format!("{} given back", format_bytes(pruned.freed_bytes)));
        }
        Image::Bootstrap { kind } => return bootstrap(context, kind).await,
    }
    Ok(0)
}

pub(super) fn list(context: &Context, wanted: &Images) -> anyhow::Result<u8> {
    let images = context.app.images_where(wanted.all, wanted.name.as_deref(), &wanted.filter)?;
    if wanted.json.json {
        json(&images)?;
        return Ok(0);
    }
    if context.quiet {
        let digest = |digest: &Digest| {
            if wanted.digests { digest.to_string() } else { digest.short().to_owned() }
        };
        for image in &images {
            line(&digest(&image.digest));
        }
        return Ok(0);
    }
    if let Some(template) = &wanted.format {
        let views: Vec<_> = images.iter().map(views::image).collect();
        raw(&template.shown(&views)?);
        return Ok(0);
    }
    let rows: Vec<_> = images
        .into_iter()
        .map(|image| {
            let digest = &image.digest;
            vec![
                image.name,
                image.tag.unwrap_or_else(|| "<none>".to_owned()),
                if wanted.digests { digest.to_string() } else { digest.short().to_owned() },
                image.created_at.map(ago).unwrap_or_default(),
                format_bytes(image.size_bytes),
                format_bytes(image.unique_bytes),
            ]
        })
        .collect();
    table(&["NAME", "TAG", "DIGEST", "CREATED", "SIZE", "OF ITS OWN"], &rows);
    Ok(0)
}

/// Letters of a command that a terminal has room for.
const COMMAND: usize = 60;

fn history(context: &Context, image: &str, whole: bool, wants_json: bool) -> anyhow::Result<u8> {
    let mut steps = context.app.image_history(image)?;
    steps.reverse();
    if wants_json {
        json(&steps)?;
        return Ok(0);
    }
    let rows: Vec<_> = steps
        .into_iter()
        .map(|step| {
            vec![
                step.layer.map_or_else(|| "-".to_owned(), |layer| layer.short().to_owned()),
                step.created_at.map(ago).unwrap_or_default(),
                shortened(&step.created_by, if whole { usize::MAX } else { COMMAND }),
                format_bytes(step.size_bytes),
                plain(&step.comment),
            ]
        })
        .collect();
    table(&["LAYER", "CREATED", "CREATED BY", "SIZE", "COMMENT"], &rows);
    Ok(0)
}

fn shortened(text: &str, letters: usize) -> String {
    let text = plain(text);
    match text.char_indices().nth(letters) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn show_tree(tree: &ImageTree, files: bool) {
    line(&format!(
        "{}  {}, {} of its own, {} shared",
        plain(&tree.image),
        format_bytes(tree.size_bytes),
        format_bytes(tree.unique_bytes),
        format_bytes(tree.shared_bytes)
    ));
    let last = tree.layers.len().saturating_sub(1);
    for (at, layer) in tree.layers.iter().enumerate() {
        let (branch, below) = if at == last { ("└─", "  ") } else { ("├─", "│ ") };
        let size = format_bytes(layer.unpacked_bytes);
        let by = shortened(&layer.created_by, COMMAND);
        line(&format!("{branch} {}  {size}  {by}", layer.digest.short()));
        let count = |kind| layer.changes.iter().filter(|change| change.kind == kind).count();
        let mut facts = vec![
            format!("adds {}", count(LayerChangeKind::Added)),
            format!("changes {}", count(LayerChangeKind::Changed)),
            format!("hides {}", count(LayerChangeKind::Hidden)),
            format!("{} stored", format_bytes(layer.size_bytes)),
        ];
        if !layer.shared_with.is_empty() {
            facts.push(format!("shared with {}", layer.shared_with.join(", ")));
        }
        line(&format!("{below} {}", facts.join(", ")));
        // What is hidden still takes its room beneath: that is worth a line.
        for change in &layer.changes {
            let sign = match change.kind {
                LayerChangeKind::Added => '+',
                LayerChangeKind::Changed => '~',
                LayerChangeKind::Hidden => '-',
            };
            if files || change.kind == LayerChangeKind::Hidden {
                let path = plain(&change.path.to_string_lossy());
                line(&format!("{below}   {sign} /{path}  {}", format_bytes(change.bytes)));
            }
        }
    }
}

fn remove(context: &Context, images: &[String], force: bool) -> anyhow::Result<u8> {
    let mut each = Each::default();
    for image in images {
        let removed = match context.app.remove_image(image, force) {
            Ok(removed) => removed,
            Err(error) => {
                each.fail(error.into());
                continue;
            }
        };
        removed.names.iter().for_each(|name| line(name));
        if let Some(digest) = removed.digest {
            let freed = format_bytes(removed.freed_bytes);
            context.say(&format!("{digest} is gone, {freed} given back"));
        }
    }
    each.end()
}

async fn bootstrap(context: &Context, kind: Base) -> anyhow::Result<u8> {
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
