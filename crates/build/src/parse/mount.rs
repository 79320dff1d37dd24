//! `RUN --mount=…` (Dockerfile reference, "RUN --mount").

use tandem_model::did_you_mean;

use super::{MountKind, RunMount, Sharing, SyntaxError, Word, flags::Flag, rest::Rest};

const KINDS: [&str; 5] = ["bind", "cache", "tmpfs", "secret", "ssh"];

/// Reads one mount from its flag.
pub(crate) fn mount(rest: &Rest<'_>, flag: &Flag) -> Result<RunMount, SyntaxError> {
    let span = flag.word.span;
    let refuse = |message: String| Err(rest.error_at(span, message));
    let Some(value) = flag.value.as_ref().filter(|value| !value.text.is_empty()) else {
        return refuse(
            "--mount lacks its value: expected e.g. --mount=type=cache,target=/root/.cache".into(),
        );
    };
    let fields: Vec<(String, Option<&str>)> = value
        .text
        .split(',')
        .map(|field| match field.split_once('=') {
            Some((key, value)) => (key.trim().to_ascii_lowercase(), Some(value)),
            None => (field.trim().to_ascii_lowercase(), None),
        })
        .collect();
    let written = fields.iter().find(|(key, _)| key == "type").and_then(|(_, value)| *value);
    let kind = match written.unwrap_or("bind") {
        "bind" => MountKind::Bind,
        "cache" => MountKind::Cache,
        "tmpfs" => MountKind::Tmpfs,
        "secret" => MountKind::Secret,
        "ssh" => MountKind::Ssh,
        other => {
            let hint = did_you_mean(other, &KINDS);
            let expected = format!(": expected {}", KINDS.join(", "));
            let hint = if hint.is_empty() { expected } else { hint };
            return refuse(format!("`{other}` is not a kind of mount{hint}"));
        }
    };
    let mut mount = RunMount::new(kind, span);
    for (key, value) in fields {
        let word = || match value {
            Some(text) if !text.is_empty() => Ok(Word { text: text.to_owned(), span }),
            _ => Err(rest.error_at(span, format!("`{key}` in --mount lacks its value"))),
        };
        let switch =
            || match value.map(str::to_ascii_lowercase).as_deref() {
                None | Some("" | "true" | "1") => Ok(true),
                Some("false" | "0") => Ok(false),
                Some(other) => Err(rest
                    .error_at(span, format!("`{key}={other}` in --mount: expected true or false"))),
            };
        if !known(kind, &key) {
            return refuse(format!(
                "a mount of type {} has no `{key}`: expected {}",
                KINDS[kind as usize],
                fields_of(kind).join(", ")
            ));
        }
        match key.as_str() {
            "target" | "dst" | "destination" => mount.target = Some(word()?),
            "source" | "src" => mount.source = Some(word()?),
            "from" => mount.from = Some(word()?),
            "id" => mount.id = Some(word()?),
            "env" => mount.env = Some(word()?),
            "mode" => mount.mode = Some(word()?),
            "uid" => mount.uid = Some(word()?),
            "gid" => mount.gid = Some(word()?),
            "size" => mount.size = Some(word()?),
            "required" => mount.required = switch()?,
            "rw" | "readwrite" => mount.writable = Some(switch()?),
            "ro" | "readonly" => mount.writable = Some(!switch()?),
            "sharing" => {
                mount.sharing = match word()?.text.as_str() {
                    "shared" => Sharing::Shared,
                    "private" => Sharing::Private,
                    "locked" => Sharing::Locked,
                    other => {
                        return refuse(format!(
                            "`{other}` is not a way of sharing: expected shared, private or locked"
                        ));
                    }
                };
            }
            _ => {}
        }
    }
    let placed = matches!(kind, MountKind::Bind | MountKind::Cache | MountKind::Tmpfs);
    if placed && mount.target.is_none() {
        return refuse(format!(
            "a mount of type {} needs a place: expected target=/PATH",
            KINDS[kind as usize]
        ));
    }
    if kind == MountKind::Secret && mount.id.is_none() && mount.target.is_none() {
        return refuse("a secret needs a name: expected id=NAME".into());
    }
    Ok(mount)
}

fn known(kind: MountKind, key: &str) -> bool {
    let alias = match key {
        "type" => return true,
        "dst" | "destination" => "target",
        "src" => "source",
        "readwrite" => "rw",
        "ro" => "readonly",
        key => key,
    };
    fields_of(kind).contains(&alias)
}

fn fields_of(kind: MountKind) -> &'static [&'static str] {
    match kind {
        MountKind::Bind => &["target", "source", "from", "rw", "readonly"],
        MountKind::Cache => {
            &["target", "id", "sharing", "source", "from", "mode", "uid", "gid", "rw", "readonly"]
        }
        MountKind::Tmpfs => &["target", "size"],
        MountKind::Secret => &["id", "target", "env", "required", "mode", "uid", "gid"],
        MountKind::Ssh => &["id", "target", "required", "mode", "uid", "gid"],
    }
}
