//! The first member of a bundle: what is in it, with the digest of each.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tandem_build::is_step_name;
use tandem_model::Digest;

use crate::lesson::is_lesson_id;

/// Name of the member.
pub(super) const INDEX: &str = "tandem-bundle.json";
/// What the index calls itself.
pub(super) const FORMAT: &str = "tandem-bundle";
/// The version that is written, and the latest that is read.
pub(super) const VERSION: u64 = 1;
/// An index that is larger is none.
pub(super) const INDEX_BYTES: u64 = 16 << 20;
/// Many times what a class needs.
const MEMBERS: usize = 50_000;
/// What fits into a plain tar header (POSIX ustar, `name`).
pub(super) const LONGEST_PATH: usize = 100;
/// Nobody has more, and sums stay far from overflow.
const LARGEST: u64 = 1 << 50;

/// What is in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    /// [`FORMAT`].
    pub(super) format: String,
    /// [`VERSION`].
    pub(super) version: u64,
    /// The machines that it is for, as Rust names them.
    pub(super) architecture: String,
    /// The version of Tandem that made it.
    pub(super) program: String,
    /// When.
    pub(super) created_at: Timestamp,
    /// The other members, in their order.
    pub(super) members: Vec<Member>,
}

/// A member of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    /// Its name.
    pub(super) path: String,
    /// How many bytes it has.
    pub(super) size: u64,
    /// The SHA-256 of them.
    pub(super) digest: Digest,
}

/// What a member is, by its name. There are no others, so that no name ever
/// leads out of the folder that it is unpacked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// A file of the image layout.
    Image,
    /// A file of the kernel.
    Kernel,
    /// What a build step made, `XX/REST.json`.
    Step(&'a str),
    /// A lesson of one's own, its id.
    Lesson(&'a str),
    /// A result, its id.
    Result(&'a str),
}

impl<'a> Part<'a> {
    /// What a name means; none for one that a bundle has not.
    pub(super) fn of(path: &'a str) -> Option<Self> {
        if path.len() > LONGEST_PATH {
            return None;
        }
        if matches!(path, "oci-layout" | "index.json") {
            return Some(Self::Image);
        }
        let (folder, name) = path.split_once('/')?;
        match folder {
            "blobs" => blob(path).map(|_| Self::Image),
            "kernel" => {
                matches!(name, "current.json" | "vmlinux" | "modules.cpio").then_some(Self::Kernel)
            }
            "steps" => is_step_name(name).then_some(Self::Step(name)),
            "lessons" => name.strip_suffix(".md").filter(|id| is_lesson_id(id)).map(Self::Lesson),
            "results" => name.strip_suffix(".json").filter(|id| is_word(id)).map(Self::Result),
            _ => None,
        }
    }
}

/// The digest that the name of a blob promises.
fn blob(path: &str) -> Option<Digest> {
    format!("sha256:{}", path.strip_prefix("blobs/sha256/")?).parse().ok()
}

fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && !text.starts_with('.') && text.chars().all(plain)
}

/// Why an index is not read; phrases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IndexError {
    /// It belongs to something else.
    Foreign(String),
    /// It is of a later version.
    Newer(u64),
    /// It is for machines of another kind.
    Architecture(String),
    /// It contradicts itself.
    Damaged(String),
}

impl Index {
    pub(super) fn new(created_at: Timestamp, members: Vec<Member>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            architecture: std::env::consts::ARCH.to_owned(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            created_at,
            members,
        }
    }

    /// Reads an index that may come from anybody.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, IndexError> {
        /// What every version has.
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u64,
        }
        let damaged = |e: serde_json::Error| IndexError::Damaged(format!("its index: {e}"));
        let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
        if head.format != FORMAT {
            let format: String = head.format.chars().filter(|c| !c.is_control()).take(40).collect();
            return Err(IndexError::Foreign(format!("it calls itself `{format}`")));
        }
        if head.version > VERSION {
            return Err(IndexError::Newer(head.version));
        }
        if head.version == 0 {
            return Err(IndexError::Damaged("its index has the version 0".to_owned()));
        }
        let index: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        if index.architecture != std::env::consts::ARCH {
            let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
            let kind = index.architecture.chars().filter(plain).take(40).collect();
            return Err(IndexError::Architecture(kind));
        }
        index.check().map_err(IndexError::Damaged)?;
        Ok(index)
    }

    fn check(&self) -> Result<(), String> {
        if self.members.len() > MEMBERS {
            return Err(format!("it has more than {MEMBERS} members"));
        }
        let mut seen = BTreeSet::new();
        let mut sum: u64 = 0;
        for member in &self.members {
            let path = plain(&member.path);
            if Part::of(&member.path).is_none() {
                return Err(format!("`{path}` is none of the things that a bundle holds"));
            }
            if !seen.insert(&member.path) {
                return Err(format!("`{path}` is in it twice"));
            }
            if blob(&member.path).is_some_and(|digest| digest != member.digest) {
                return Err(format!("`{path}` is said to have another digest than its name"));
            }
            sum =
                sum.checked_add(member.size).filter(|sum| *sum < LARGEST).ok_or("it is endless")?;
        }
        Ok(())
    }

    /// How long the whole archive is, with an index of so many bytes.
    pub(super) fn archive_bytes(&self, index_bytes: u64) -> u64 {
        let sizes = self.members.iter().map(|member| member.size);
        let members: u64 = sizes.chain([index_bytes]).map(|it| BLOCK + padded(it)).sum();
        members + 2 * BLOCK
    }

    /// Whether there are members of a kind.
    pub(super) fn has(&self, wanted: impl Fn(Part<'_>) -> bool) -> bool {
        self.parts().any(|(part, _)| wanted(part))
    }

    /// The members with what they are.
    pub(super) fn parts(&self) -> impl Iterator<Item = (Part<'_>, &Member)> {
        self.members.iter().filter_map(|member| Some((Part::of(&member.path)?, member)))
    }
}

/// A tar archive is made of these (POSIX, `pax`).
const BLOCK: u64 = 512;

fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK)
}

/// A name from outside for one line.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_PATH).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn member(path: &str, size: u64) -> Member {
        let digest = format!("sha256:{HEX}").parse().unwrap();
        Member { path: path.to_owned(), size, digest }
    }

    fn bytes_of(index: &Index) -> Vec<u8> {
        serde_json::to_vec(index).unwrap()
    }

    #[test]
    fn only_what_a_bundle_holds_has_a_name() {
        let (blob, step) = (format!("blobs/sha256/{HEX}"), format!("{}/{}.json", "ab", &HEX[2..]));
        assert_eq!(Part::of(&blob), Some(Part::Image));
        assert_eq!(Part::of(&format!("steps/{step}")), Some(Part::Step(&step)));
        assert_eq!(Part::of("kernel/vmlinux"), Some(Part::Kernel));
        assert_eq!(Part::of("lessons/my-own_1.md"), Some(Part::Lesson("my-own_1")));
        assert_eq!(Part::of("results/a.b-c.json"), Some(Part::Result("a.b-c")));
        let long = format!("lessons/{}.md", "x".repeat(100));
        for bad in [
            "",
            "/",
            "..",
            "../x",
            "/etc/passwd",
            "kernel/../x",
            "kernel/x",
            "lessons/../x.md",
            "lessons/.md",
            "lessons/a/b.md",
            "results/../x.json",
            "results/..json",
            "blobs/x",
            "blobs/sha256/",
            "steps/x",
            "lessons/x.md/",
            "./index.json",
            INDEX,
            &long,
        ] {
            assert_eq!(Part::of(bad), None, "{bad}");
        }
    }

    #[test]
    fn indices_of_others_are_told_apart() {
        let whole = Index::new(Timestamp::UNIX_EPOCH, vec![member("kernel/vmlinux", 9)]);
        let text = String::from_utf8(bytes_of(&whole)).unwrap();
        let read = |from: &str, to: &str| Index::parse(text.replace(from, to).as_bytes());
        assert_eq!(read("", ""), Ok(whole.clone()));
        let newer = read("\"version\":1", "\"version\":2,\"more\":true");
        assert_eq!(newer, Err(IndexError::Newer(2)));
        assert!(matches!(read(FORMAT, "other"), Err(IndexError::Foreign(_))));
        let other = read(std::env::consts::ARCH, "m68k");
        assert_eq!(other, Err(IndexError::Architecture("m68k".to_owned())));
        assert!(matches!(read("kernel/vmlinux", "kernel/../x"), Err(IndexError::Damaged(_))));
        let twice = vec![member("kernel/vmlinux", 9), member("kernel/vmlinux", 9)];
        let twice = Index { members: twice, ..whole.clone() };
        assert!(matches!(Index::parse(&bytes_of(&twice)), Err(IndexError::Damaged(_))));
        let other = format!("blobs/sha256/{}", "0".repeat(64));
        let wrong = Index { members: vec![member(&other, 9)], ..whole.clone() };
        assert!(matches!(Index::parse(&bytes_of(&wrong)), Err(IndexError::Damaged(_))));
        let endless = vec![member("kernel/vmlinux", u64::MAX), member("index.json", 2)];
        let endless = Index { members: endless, ..whole };
        assert!(matches!(Index::parse(&bytes_of(&endless)), Err(IndexError::Damaged(_))));
    }

    fn paths() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("oci-layout".to_owned()),
            Just("index.json".to_owned()),
            Just("kernel/vmlinux".to_owned()),
            "lessons/[a-z0-9_-]{1,30}\\.md",
            "results/[a-z0-9-]{1,30}\\.json",
            "steps/[0-9a-f]{2}/[0-9a-f]{62}\\.json",
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            members in prop::collection::btree_map(paths(), 0_u64..1 << 40, 0..20)
        ) {
            let members = members.iter().map(|(path, size)| member(path, *size)).collect();
            let index = Index::new(Timestamp::UNIX_EPOCH, members);
            prop_assert_eq!(Index::parse(&bytes_of(&index)), Ok(index));
        }

        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Index::parse(&bytes).is_err());
        }

        #[test]
        fn a_changed_byte_never_gives_a_path_outside(at in any::<prop::sample::Index>(), to: u8) {
            let members = vec![member("kernel/vmlinux", 5), member("lessons/a.md", 7)];
            let mut bytes = bytes_of(&Index::new(Timestamp::UNIX_EPOCH, members));
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(index) = Index::parse(&bytes) {
                for member in &index.members {
                    prop_assert!(!member.path.contains("..") && !member.path.starts_with('/'));
                }
            }
        }

        #[test]
        fn no_name_leads_outside(path in "[a-z./]{0,20}|(kernel|lessons|results)/[a-z./]{0,20}") {
            if Part::of(&path).is_some() {
                prop_assert!(path.split('/').all(|it| !it.is_empty() && it != "." && it != ".."));
            }
        }
    }
}
