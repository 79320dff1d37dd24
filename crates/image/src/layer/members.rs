use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    os::{fd::AsFd as _, unix::ffi::OsStringExt as _},
    path::PathBuf,
};

use super::{
    LayerError, Limits,
    archive::{Archive, Member},
    content::write_at,
    header::Kind,
    sparse::SparseMap,
};

/// A file in an archive, as the archive tells it. Names are untouched: whoever
/// makes files of them must keep them inside.
#[derive(Debug, Clone)]
pub struct ArchiveMember {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub path: PathBuf,
    /// What a link names.
    pub link: PathBuf,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes that belong to a file rather than to a machine.
    pub xattrs: Vec<(String, Vec<u8>)>,
    content: SparseMap,
}

/// Reads an archive of files from anybody, member by member and within limits.
pub struct ArchiveMembers<R> {
    archive: Archive<R>,
    buffer: Vec<u8>,
}

impl<R: Read> ArchiveMembers<R> {
    /// Begins to read.
    pub fn new(reader: R, limits: Limits) -> Self {
        Self { archive: Archive::new(reader, limits), buffer: vec![0; 128 << 10] }
    }

    /// The next member, `None` at the end.
    ///
    /// # Errors
    /// [`LayerError::Malformed`] and [`LayerError::Limit`].
    pub fn read_member(&mut self) -> Result<Option<ArchiveMember>, LayerError> {
        Ok(self.archive.next()?.map(ArchiveMember::from))
    }

    /// Writes the content of the member that was read last, with its holes.
    /// `go_on` is asked between pieces.
    ///
    /// # Errors
    /// What the archive, the file or `go_on` says.
    pub fn write_content(
        &mut self,
        member: &ArchiveMember,
        to: &File,
        go_on: &dyn Fn() -> io::Result<()>,
    ) -> io::Result<()> {
        let to_fd = to.as_fd().try_clone_to_owned()?;
        for extent in &member.content.extents {
            let (mut at, mut left) = (extent.offset, extent.length);
            while left > 0 {
                go_on()?;
                let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
                let read = self.archive.read(&mut self.buffer[..wanted]);
                let count = read.map_err(io::Error::other)?;
                if count == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                write_at(&to_fd, at, &self.buffer[..count])?;
                at += count as u64;
                left -= count as u64;
            }
        }
        if member.content.size > 0 { to.set_len(member.content.size) } else { Ok(()) }
    }
}

impl From<Member> for ArchiveMember {
    fn from(member: Member) -> Self {
        let path = |bytes| PathBuf::from(OsString::from_vec(bytes));
        Self {
            kind: member.kind,
            path: path(member.path),
            link: path(member.link),
            mode: member.mode,
            uid: member.uid,
            gid: member.gid,
            modified: (member.modified.seconds, i64::from(member.modified.nanoseconds)),
            device: member.device,
            xattrs: member.xattrs,
            content: member.content,
        }
    }
}
