//! Reads a tar archive member by member, with all extended headers applied.
//!
//! The framing is done here rather than by the `tar` crate's iterator because
//! that one splits extended headers at line ends, which breaks binary
//! attributes, and reads them whole whatever their size. The fields of a
//! header block are still the crate's.

use std::io::{self, Read, Seek, SeekFrom};

use tar::{EntryType, Header};

use super::{
    LayerError, Limits,
    header::{
        Kind, device, field, header_size, kind, lossy, numeric, push_extents, unsigned, until_nul,
        xattrs,
    },
    pax::{PaxRecord, Time, parse_pax},
    sparse::{self, Extent, SparseMap},
};

const BLOCK: usize = 512;

/// One member, names as they stand in the archive.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) kind: Kind,
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    /// Permission bits with setuid, setgid and sticky.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) modified: Time,
    /// Major and minor number.
    pub(super) device: (u32, u32),
    pub(super) xattrs: Vec<(String, Vec<u8>)>,
    /// Size of the file and where its stored bytes go.
    pub(crate) content: SparseMap,
}

/// A tar archive that is read once from front to end.
pub(crate) struct Archive<R> {
    reader: R,
    limits: Limits,
    members: u64,
    bytes: u64,
    /// Sizes of all files so far, with their holes.
    claimed: u64,
    /// Unread bytes of the current member, and the padding after them.
    unread: u64,
    padding: u64,
}

impl<R: Read + Seek> Archive<R> {
    /// Where the stored bytes of the current member begin, as long as none of
    /// them was read.
    pub(crate) fn position(&self) -> u64 {
        self.bytes
    }

    /// Passes over what was not read of the current member.
    pub(crate) fn pass(&mut self) -> Result<(), LayerError> {
        let rest = self.unread.saturating_add(self.padding);
        let end = self.bytes.saturating_add(rest);
        if end > self.limits.bytes {
            return Err(self.bytes_limit());
        }
        let seek = self.reader.seek(SeekFrom::Start(end));
        seek.map_err(|e| LayerError::malformed(e.to_string()))?;
        (self.bytes, self.unread, self.padding) = (end, 0, 0);
        Ok(())
    }
}

impl<R> Archive<R> {
    fn bytes_limit(&self) -> LayerError {
        LayerError::Limit { what: "bytes", key: "bytes", limit: self.limits.bytes }
    }
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(reader: R, limits: Limits) -> Self {
        Self { reader, limits, members: 0, bytes: 0, claimed: 0, unread: 0, padding: 0 }
    }

    /// The next member, or `None` at the end. What was not read of the last
    /// one is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Member>, LayerError> {
        let mut records = Vec::new();
        let (mut long_path, mut long_link) = (None, None);
        loop {
            self.skip_rest()?;
            let Some(header) = self.header()? else {
                return if records.is_empty() && long_path.is_none() && long_link.is_none() {
                    Ok(None)
                } else {
                    Err(LayerError::malformed("it ends after an extended header"))
                };
            };
            self.members += 1;
            if self.members > self.limits.entries {
                return Err(LayerError::Limit {
                    what: "entries",
                    key: "entries",
                    limit: self.limits.entries,
                });
            }
            let stored = field(header_size(&header), "size", &header)?;
            match header.entry_type() {
                EntryType::XHeader => records = parse_pax(&self.extension(stored)?)?,
                EntryType::GNULongName => long_path = Some(until_nul(self.extension(stored)?)),
                EntryType::GNULongLink => long_link = Some(until_nul(self.extension(stored)?)),
                // Global records (git writes its commit there) and volume
                // labels say nothing about files.
                EntryType::XGlobalHeader | EntryType::__Nonexhaustive(b'V') => self.open(stored),
                _ => {
                    let names = (long_path, long_link);
                    return self.member(&header, stored, &records, names).map(Some);
                }
            }
        }
    }

    /// Reads stored bytes of the current member; 0 at its end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, LayerError> {
        let wanted = usize::try_from(self.unread).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.fill(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(LayerError::malformed("it ends within a file"));
        }
        self.unread -= count as u64;
        Ok(count)
    }

    /// Reads what follows the last member, so that a digest over the reader
    /// covers the whole stream.
    pub(super) fn drain(&mut self) -> Result<(), LayerError> {
        let mut buffer = vec![0; 64 << 10];
        while self.fill(&mut buffer)? > 0 {}
        Ok(())
    }

    fn member(
        &mut self,
        header: &Header,
        mut stored: u64,
        records: &[PaxRecord],
        (long_path, long_link): (Option<Vec<u8>>, Option<Vec<u8>>),
    ) -> Result<Member, LayerError> {
        let record = |key: &str| records.iter().rev().find(|record| record.key == key);
        let bytes = |key: &str| record(key).map(|record| record.value.clone());
        let number = |key: &str| match record(key).map(|record| sparse::number(&record.value)) {
            Some(None) => Err(LayerError::malformed(format!("the field {key} is not a number"))),
            Some(number) => Ok(number),
            None => Ok(None),
        };
        let old = header.as_old();
        let mut path = bytes("GNU.sparse.name")
            .or_else(|| bytes("path"))
            .or(long_path)
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let kind = kind(header.entry_type(), &path).ok_or_else(|| {
            LayerError::malformed(format!("{} is of an unknown type", lossy(&path)))
        })?;
        if kind == Kind::File {
            stored = number("size")?.unwrap_or(stored);
        } else {
            // Only files have data (POSIX, ustar), whatever the field says.
            stored = 0;
        }
        self.open(stored);
        let content = self.content(header, stored, records)?;
        // A hole costs no byte here, but whoever packs or copies the file
        // would write it out.
        self.claimed = self.claimed.saturating_add(content.size);
        if self.claimed > self.limits.bytes {
            return Err(self.bytes_limit());
        }
        let modified = match record("mtime") {
            Some(record) => Time::parse(&record.value)
                .ok_or_else(|| LayerError::malformed("the field mtime is not a time"))?,
            None => Time { seconds: field(numeric(&old.mtime), "mtime", header)?, nanoseconds: 0 },
        };
        let id = |record: Option<u64>, raw: &[u8], name: &'static str| {
            match record {
                Some(id) => u32::try_from(id).ok(),
                None => u32::try_from(field(numeric(raw), name, header)?).ok(),
            }
            // The last number means nobody: a file would keep the owner it has.
            .filter(|id| *id != u32::MAX)
            .ok_or_else(|| LayerError::malformed(format!("the field {name} is out of range")))
        };
        while path.len() > 1 && path.last() == Some(&b'/') {
            path.pop();
        }
        Ok(Member {
            kind,
            link: bytes("linkpath")
                .or(long_link)
                .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
                .unwrap_or_default(),
            mode: u32::try_from(field(numeric(&old.mode), "mode", header)? & 0o7777)
                .unwrap_or_default(),
            uid: id(number("uid")?, &old.uid, "uid")?,
            gid: id(number("gid")?, &old.gid, "gid")?,
            modified,
            device: device(header),
            xattrs: self.xattrs(records)?,
            content,
            path,
        })
    }

    fn xattrs(&self, records: &[PaxRecord]) -> Result<Vec<(String, Vec<u8>)>, LayerError> {
        let (found, limit) = (xattrs(records), self.limits.attributes);
        if found.len() as u64 > limit {
            let (what, key) = ("extended attributes of one file", "attributes");
            return Err(LayerError::Limit { what, key, limit });
        }
        Ok(found)
    }

    fn content(
        &mut self,
        header: &Header,
        stored: u64,
        records: &[PaxRecord],
    ) -> Result<SparseMap, LayerError> {
        if header.entry_type() == EntryType::GNUSparse {
            return self.old_sparse_map(header)?.checked(stored);
        }
        if let Some(map) = sparse::map_of_records(records) {
            return map?.checked(stored);
        }
        if let Some(size) = sparse::leading_map_size(records) {
            let extents = self.leading_map()?;
            return SparseMap { size: size?, extents }.checked(self.unread);
        }
        Ok(SparseMap { size: stored, extents: vec![Extent { offset: 0, length: stored }] })
    }

    /// The map of format 1.0, which fills whole blocks before the data.
    fn leading_map(&mut self) -> Result<Vec<Extent>, LayerError> {
        let mut map = Vec::new();
        loop {
            let mut block = [0; BLOCK];
            let mut filled = 0;
            while filled < BLOCK {
                match self.read(&mut block[filled..])? {
                    0 => return Err(LayerError::malformed("a sparse file ends within its map")),
                    count => filled += count,
                }
            }
            map.extend_from_slice(&block);
            if let Some(extents) = sparse::parse_leading_map(&map)? {
                return Ok(extents);
            }
            if map.len() as u64 > self.limits.header_bytes {
                return Err(self.header_limit());
            }
        }
    }

    /// The map of the old format: in the header, and in blocks between it and
    /// the data, which do not count as data.
    fn old_sparse_map(&mut self, header: &Header) -> Result<SparseMap, LayerError> {
        let gnu = header
            .as_gnu()
            .ok_or_else(|| LayerError::malformed("a sparse file has no GNU header"))?;
        let mut map = SparseMap {
            size: unsigned(field(numeric(&gnu.realsize), "realsize", header)?)?,
            extents: Vec::new(),
        };
        let mut more = gnu.is_extended();
        push_extents(&mut map, &gnu.sparse, header)?;
        let mut read = 0;
        while more {
            let mut block = tar::GnuExtSparseHeader::new();
            if !self.fill_block(block.as_mut_bytes())? {
                return Err(LayerError::malformed("a sparse file ends within its map"));
            }
            push_extents(&mut map, &block.sparse, header)?;
            more = block.is_extended();
            read += BLOCK as u64;
            if read > self.limits.header_bytes {
                return Err(self.header_limit());
            }
        }
        Ok(map)
    }

    fn header(&mut self) -> Result<Option<Header>, LayerError> {
        let mut header = Header::new_old();
        if !self.fill_block(header.as_mut_bytes())? || header.as_bytes().iter().all(|b| *b == 0) {
            return Ok(None);
        }
        let bytes = header.as_bytes();
        let sum = |part: &[u8]| part.iter().map(|byte| i64::from(*byte)).sum::<i64>();
        let computed = sum(&bytes[..148]) + 8 * i64::from(b' ') + sum(&bytes[156..]);
        if numeric(&header.as_old().cksum) != Some(computed) {
            return Err(LayerError::malformed(format!(
                "the checksum of the header before byte {} is wrong",
                self.bytes
            )));
        }
        Ok(Some(header))
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, LayerError> {
        if size > self.limits.header_bytes {
            return Err(self.header_limit());
        }
        self.open(size);
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.read(&mut buffer)? {
                0 => return Ok(bytes),
                count => bytes.extend_from_slice(&buffer[..count]),
            }
        }
    }

    fn open(&mut self, size: u64) {
        self.unread = size;
        let block = BLOCK as u64;
        self.padding = (block - size % block) % block;
    }

    fn skip_rest(&mut self) -> Result<(), LayerError> {
        let mut buffer = vec![0; if self.unread > 0 { 64 << 10 } else { BLOCK }];
        while self.read(&mut buffer)? > 0 {}
        while self.padding > 0 {
            let wanted = usize::try_from(self.padding).unwrap_or(BLOCK);
            let count = self.fill(&mut buffer[..wanted])?;
            // The last block need not be whole.
            if count == 0 {
                break;
            }
            self.padding -= count as u64;
        }
        self.padding = 0;
        Ok(())
    }

    /// Reads a whole block; `false` at the end of the stream.
    fn fill_block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, LayerError> {
        let mut filled = 0;
        while filled < BLOCK {
            match self.fill(&mut block[filled..])? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(LayerError::malformed("it ends within a header")),
                count => filled += count,
            }
        }
        Ok(true)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, LayerError> {
        loop {
            match self.reader.read(buffer) {
                Ok(count) => {
                    self.bytes += count as u64;
                    if self.bytes > self.limits.bytes {
                        return Err(self.bytes_limit());
                    }
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(LayerError::malformed(error.to_string())),
            }
        }
    }

    fn header_limit(&self) -> LayerError {
        let limit = self.limits.header_bytes;
        LayerError::Limit { what: "bytes in one header", key: "header_bytes", limit }
    }
}
