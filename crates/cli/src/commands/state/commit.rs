use tandem_app::{ChangeKind, CommitRequest};

use crate::{
    commands::Context,
    grammar::{Commit, Json},
    output::{json, line, plain},
    signals::unless_interrupted,
};

pub(super) fn diff(context: &Context, instance: &str, wanted: Json) -> anyhow::Result<u8> {
    let changes = context.app.diff(instance)?;
    if wanted.json {
        json(&changes)?;
        return Ok(0);
    }
    for change in changes {
        let letter = match change.kind {
            ChangeKind::Added => 'A',
            ChangeKind::Changed => 'C',
            ChangeKind::Deleted => 'D',
        };
        line(&format!("{letter} {}", plain(&change.path.to_string_lossy())));
    }
    Ok(0)
}

pub(super) async fn run(context: &Context, wanted: Commit) -> anyhow::Result<u8> {
    let request = CommitRequest {
        instance: wanted.instance,
        name: wanted.name,
        author: wanted.author,
        message: wanted.message,
        changes: wanted.change,
        pause: wanted.pause,
    };
    let committing = Box::pin(context.app.commit(&request));
    let Some(image) = unless_interrupted(committing).await else { return Ok(130) };
    line(image?.digest.as_str());
    Ok(0)
}
