//! An appliance: which of its members is the disk, and that it arrived whole.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::FileExt as _,
};

use super::{
    super::digest::sha256,
    ovf::{self, Described, Machine},
    tar::{Member, members},
};

/// A longer manifest is none, bytes.
const LONGEST_MANIFEST: u64 = 64 << 10;

/// A disk of an appliance.
pub(super) enum Disk {
    /// This member has its bytes.
    Member(Member),
    /// So many bytes with nothing on them.
    Empty(u64),
}

/// The disks, the one that it starts from first, and what is said of the
/// machine. An error is the end of a sentence about the file.
pub(super) fn open(archive: &File) -> Result<(Vec<Disk>, Machine), String> {
    let members = members(archive)?;
    let ending = |end: &str| members.iter().find(|it| it.name.to_ascii_lowercase().ends_with(end));
    let descriptor = ending(".ovf").ok_or("is an archive without an OVF descriptor")?;
    let described = ovf::read(&text(archive, descriptor, ovf::LONGEST)?)?;
    let mut disks = Vec::new();
    for disk in &described.disks {
        disks.push(match disk {
            Described::File(name) => {
                let disk = members.iter().find(|member| member.name == *name);
                let disk = disk.ok_or("has a descriptor whose disk is not among its members")?;
                Disk::Member(disk.clone())
            }
            Described::Empty(bytes) => Disk::Empty(*bytes),
        });
    }
    if let Some(manifest) = ending(".mf") {
        let manifest = text(archive, manifest, LONGEST_MANIFEST)?;
        let with_bytes = disks.iter().filter_map(|disk| match disk {
            Disk::Member(member) => Some(member),
            Disk::Empty(_) => None,
        });
        for member in [descriptor].into_iter().chain(with_bytes) {
            if let Some(digest) = digest_in(&manifest, &member.name)
                && !digest.eq_ignore_ascii_case(&digest_of(archive, member)?)
            {
                return Err(format!("is damaged: `{}` is not what its manifest says", member.name));
            }
        }
    }
    Ok((disks, described))
}

fn text(archive: &File, member: &Member, longest: u64) -> Result<String, String> {
    if member.length > longest {
        return Err(format!("has a `{}` of {} bytes, which is absurd", member.name, member.length));
    }
    let mut bytes = vec![0; usize::try_from(member.length).unwrap_or_default()];
    archive.read_exact_at(&mut bytes, member.begin).map_err(|e| format!("cannot be read: {e}"))?;
    String::from_utf8(bytes).map_err(|_| format!("has a `{}` that is no text", member.name))
}

/// The SHA-256 digest of a member in a manifest (`SHA256(name)= hex`); old
/// manifests have only SHA-1, which proves nothing.
fn digest_in<'a>(manifest: &'a str, name: &str) -> Option<&'a str> {
    manifest.lines().find_map(|line| {
        let (member, digest) =
            line.strip_prefix("SHA256")?.trim().strip_prefix('(')?.split_once(')')?;
        (member == name).then(|| digest.trim_start_matches([' ', '=']).trim())
    })
}

fn digest_of(archive: &File, member: &Member) -> Result<String, String> {
    let from = Positioned { file: archive, at: member.begin };
    sha256(from.take(member.length)).map_err(|e| format!("cannot be read: {e}"))
}

/// Reads a file from a place on, without moving anybody else's.
struct Positioned<'a> {
    file: &'a File,
    at: u64,
}

impl io::Read for Positioned<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_absurd_length_is_not_read() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(100).unwrap();
        let member = Member { name: "a.ovf".to_owned(), begin: 0, length: 11 };
        assert_eq!(text(&file, &member, 11).unwrap().len(), 11);
        assert!(text(&file, &member, 10).unwrap_err().contains("absurd"));
    }

    #[test]
    fn digests_are_found_by_name() {
        let manifest = "SHA1(a.vmdk)= 00\nSHA256(b.vmdk)= aB12\nSHA256 (c d.vmdk) = 34\n";
        assert_eq!(digest_in(manifest, "a.vmdk"), None);
        assert_eq!(digest_in(manifest, "b.vmdk"), Some("aB12"));
        assert_eq!(digest_in(manifest, "c d.vmdk"), Some("34"));
    }
}
