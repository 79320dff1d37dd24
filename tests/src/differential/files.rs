use std::{collections::BTreeMap, fs::File, io::Read as _, path::Path};

use anyhow::Result;
use sha2::{Digest as _, Sha256};

/// A file of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// `-`, `d`, `l`, `p`, `c`, `b`.
    pub(super) kind: char,
    pub(super) mode: u32,
    pub(super) owner: (u64, u64),
    pub(super) content: String,
    /// First name of a file with several.
    pub(super) first: Option<String>,
    pub(super) xattrs: Vec<(String, Vec<u8>)>,
    pub(super) modified: u64,
}

/// The files in an archive of a whole root, by path.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Entry>> {
    let mut archive = tar::Archive::new(File::open(path)?);
    let mut found: BTreeMap<String, Entry> = BTreeMap::new();
    let mut links: Vec<(String, String)> = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = clean(&String::from_utf8_lossy(&entry.path_bytes()));
        if name.is_empty() {
            continue;
        }
        let kind = match entry.header().entry_type() {
            tar::EntryType::Directory => 'd',
            tar::EntryType::Symlink => 'l',
            tar::EntryType::Fifo => 'p',
            tar::EntryType::Char => 'c',
            tar::EntryType::Block => 'b',
            tar::EntryType::Link => {
                let first = entry.link_name_bytes().unwrap_or_default();
                links.push((name, clean(&String::from_utf8_lossy(&first))));
                continue;
            }
            _ => '-',
        };
        let mut xattrs: Vec<(String, Vec<u8>)> = Vec::new();
        if let Some(records) = entry.pax_extensions()? {
            for record in records.flatten() {
                let key = record.key().unwrap_or_default().to_owned();
                if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                    xattrs.push((name.to_owned(), record.value_bytes().to_vec()));
                }
            }
        }
        xattrs.sort();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        let content = match kind {
            'l' => String::from_utf8_lossy(&entry.link_name_bytes().unwrap_or_default()).into(),
            _ if content.len() <= 200 => String::from_utf8_lossy(&content).into_owned(),
            _ => format!("{} bytes, {:?}", content.len(), Sha256::digest(&content)),
        };
        let header = entry.header();
        let own = Entry {
            kind,
            mode: header.mode()? & 0o7777,
            owner: (header.uid()?, header.gid()?),
            content,
            first: None,
            xattrs,
            modified: header.mtime()?,
        };
        found.insert(name, own);
    }
    for (name, first) in links {
        // The names of one file count as a set: the first in order leads.
        let Some(mut own) = found.get(&first).cloned() else { continue };
        let lead = own.first.clone().unwrap_or_else(|| first.clone());
        own.first = Some(lead.clone());
        if let Some(first) = found.get_mut(&first) {
            first.first = Some(lead);
        }
        found.insert(name, own);
    }
    Ok(by_least_name(found))
}

/// Names each set of links by its least name, whichever came first.
fn by_least_name(mut found: BTreeMap<String, Entry>) -> BTreeMap<String, Entry> {
    let mut least: BTreeMap<String, String> = BTreeMap::new();
    for (name, entry) in &found {
        if let Some(first) = &entry.first {
            least.entry(first.clone()).or_insert_with(|| name.clone());
        }
    }
    for entry in found.values_mut() {
        entry.first = entry.first.as_ref().and_then(|first| least.get(first).cloned());
    }
    found
}

fn clean(name: &str) -> String {
    name.trim_start_matches("./").trim_matches('/').to_owned()
}
