use std::{io, path::Path};

use crate::tree::{Tree, resolve};

/// Owner of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Owner {
    pub(super) const ROOT: Self = Self { uid: 0, gid: 0 };
}

/// Ids of `USER[:GROUP]`, names looked up in the tree's passwd and group
/// files. Without a group a name has its own group, and a number stands for
/// both, as in `COPY --chown`. The error is a sentence.
pub(super) fn owner(tree: &dyn Tree, text: &str) -> Result<Owner, String> {
    let (user, group) = text.split_once(':').map_or((text, None), |(u, g)| (u, Some(g)));
    let mut owner = if user.is_empty() && group.is_some() {
        Owner::ROOT
    } else if let Some(id) = number(user) {
        Owner { uid: id, gid: id }
    } else {
        let fields = record(tree, "etc/passwd", user)?.ok_or_else(|| {
            format!(
                "the image has no user `{user}`: use a number, or add the user in a RUN before it"
            )
        })?;
        let id = |at: usize| fields.get(at).and_then(|field| number(field));
        match (id(2), id(3)) {
            (Some(uid), Some(gid)) => Owner { uid, gid },
            _ => return Err(format!("the image's /etc/passwd has no ids for `{user}`")),
        }
    };
    match group {
        None => {}
        Some("") => owner.gid = 0,
        Some(group) => {
            owner.gid = match number(group) {
                Some(id) => id,
                None => record(tree, "etc/group", group)?
                    .and_then(|fields| number(fields.get(2)?))
                    .ok_or_else(|| {
                        format!("the image has no group `{group}`: use a number, or add the group in a RUN before it")
                    })?,
            }
        }
    }
    Ok(owner)
}

/// An id. The last number means nobody to the kernel: a file would keep the
/// owner that it has.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX)
}

/// The fields of the line that begins with `name:`. A number that is no id is
/// nobody's name.
fn record(tree: &dyn Tree, path: &str, name: &str) -> Result<Option<Vec<String>>, String> {
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let read = || -> io::Result<String> {
        let path = resolve(tree, Path::new(path), true)?;
        if tree.entry(&path)?.is_none() {
            return Ok(String::new());
        }
        let bytes = read_all(tree.open(&path)?)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().map_err(|e| format!("the image's /{path} cannot be read: {e}"))?;
    let line = text.lines().find(|line| line.split(':').next() == Some(name));
    Ok(line.map(|line| line.split(':').map(str::to_owned).collect()))
}

/// No real one is larger.
const LIMIT: u64 = 8 << 20;

fn read_all(file: std::fs::File) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    file.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tree::Layers;

    #[test]
    fn names_come_from_the_image_and_numbers_stand_for_both() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        let passwd = "root:x:0:0::/:/bin/sh\napp:x:5:6::/:\n4294967296:x:0:0::/:\n";
        fs::write(dir.path().join("etc/passwd"), passwd).unwrap();
        fs::write(dir.path().join("etc/group"), "staff:x:50:\n").unwrap();
        let tree = Layers::new(&[dir.path().to_owned()]);
        for (text, uid, gid) in
            [("app", 5, 6), ("app:staff", 5, 50), ("7", 7, 7), ("7:8", 7, 8), ("7:staff", 7, 50)]
        {
            assert_eq!(owner(&tree, text).unwrap(), Owner { uid, gid }, "{text}");
        }
        for absurd in ["4294967295", "4294967296"] {
            assert!(owner(&tree, absurd).unwrap_err().contains("no user"), "{absurd}");
        }
        assert!(owner(&tree, "7:4294967295").unwrap_err().contains("no group"));
        assert!(owner(&tree, "nobody").unwrap_err().contains("no user `nobody`"));
        assert!(owner(&tree, "app:x").unwrap_err().contains("no group `x`"));
    }
}
