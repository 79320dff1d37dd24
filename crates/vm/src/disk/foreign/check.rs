use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

use serde_json::{Value, json};
use tandem_backend::BackendError;

use super::{ForeignFormat, MOST, converted_first, ova, qcow2, tar::Member, vmdk};
use crate::{disk::CarryError, machine::file_node};

/// One of the disks that come in.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// How QEMU is to open it; `None` has nothing on it.
    pub(super) node: Option<Value>,
    /// Bytes as a guest sees it.
    pub(super) size: u64,
}

/// A machine's disk, or several, that may come in.
#[derive(Debug, Clone)]
pub struct ForeignDisk {
    /// The machine's disks; it starts from the first.
    pub(super) parts: Vec<Part>,
    /// What its descriptor says of its machine's memory, bytes.
    pub memory: Option<u64>,
    /// What its descriptor says of its machine's processors.
    pub cpus: Option<u32>,
}

/// Bytes from the beginning that are looked at: a header of QEMU's fits into a
/// cluster, and those are seldom larger.
const HEAD: usize = 64 << 10;

/// Looks at a file with a disk, and refuses one that would have QEMU open
/// something else, or too much. `format` is what a person says it is; without,
/// its own beginning tells.
///
/// # Errors
/// One that says what is wrong with the file, and what to do.
pub fn look_at_disk(path: &Path, format: Option<ForeignFormat>) -> Result<ForeignDisk, CarryError> {
    let unfit = |why: String| CarryError::Unfit(format!("{} {why}", path.display()));
    let failed = |e| BackendError::io("open", path, e);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(unfit("is no plain file".to_owned()));
    }
    let section = Section { file: &file, begin: 0, length: metadata.len() };
    let head = section.head().map_err(failed)?;
    let found = ForeignFormat::of(&head);
    let format = match (format, found) {
        (None, None) => {
            if let Some(kind) = converted_first(&head) {
                return Err(unfit(format!(
                    "is a {kind} disk, which is not read here; convert it first with `qemu-img convert -O qcow2`"
                )));
            }
            let text =
                "is no disk that is known here; if it is the bytes of one, say `--format raw`";
            return Err(unfit(text.to_owned()));
        }
        // The bytes of a disk may look like anything: a person's word counts.
        (Some(ForeignFormat::Raw), _) => ForeignFormat::Raw,
        (Some(said), found) if found != Some(said) => {
            let found = found.map_or("something unknown".to_owned(), |it| it.to_string());
            return Err(unfit(format!(
                "begins like {found} and not like {said}; leave out --format"
            )));
        }
        (_, Some(found)) => found,
        (Some(said), None) => said,
    };
    // The path goes to another program, which has another folder to begin in.
    let path = std::path::absolute(path).map_err(failed)?;
    let node = file_node(&path);
    let one = |node, size| vec![Part { node: Some(node), size }];
    let (parts, described) = match format {
        ForeignFormat::Raw => {
            let size = raw_size(section.length).map_err(unfit)?;
            (one(json!({"driver": "raw", "file": node}), size), None)
        }
        ForeignFormat::Qcow2 => {
            let size = qcow2::size(&head, section.length).map_err(unfit)?;
            (one(json!({"driver": "qcow2", "file": node, "backing": null}), size), None)
        }
        ForeignFormat::Vmdk => {
            let size = section.vmdk().map_err(unfit)?;
            (one(json!({"driver": "vmdk", "file": node, "backing": null}), size), None)
        }
        ForeignFormat::Ova => {
            let (disks, described) = ova::open(&file).map_err(unfit)?;
            let parts: Result<Vec<_>, _> =
                disks.into_iter().map(|disk| part_of(&file, &node, disk)).collect();
            (parts.map_err(unfit)?, Some(described))
        }
    };
    if parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.size)) > MOST {
        return Err(unfit(format!("has disks of more than {MOST} bytes")));
    }
    let (memory, cpus) = described.map_or((None, None), |it| (it.memory, it.cpus));
    Ok(ForeignDisk { parts, memory, cpus })
}

/// A disk of the appliance in `file`, which QEMU opens as `node`; it sees the
/// member only.
fn part_of(file: &File, node: &Value, disk: ova::Disk) -> Result<Part, String> {
    let Member { begin, length, name } = match disk {
        ova::Disk::Member(member) => member,
        ova::Disk::Empty(size) => return Ok(Part { node: None, size }),
    };
    let section = Section { file, begin, length };
    let size = section.vmdk().map_err(|why| format!("has a disk `{name}` that {why}"))?;
    let part = json!({"driver": "raw", "file": node, "offset": begin, "size": length});
    Ok(Part { node: Some(json!({"driver": "vmdk", "file": part, "backing": null})), size })
}

/// The size that a disk's beginning tells, for whoever tries any bytes.
pub(in crate::disk) fn size_in_head(head: &[u8], tail: &[u8], length: u64) -> Result<u64, String> {
    match ForeignFormat::of(head) {
        Some(ForeignFormat::Qcow2) => qcow2::size(head, length),
        Some(ForeignFormat::Vmdk) => vmdk::size(head, tail, length),
        _ => raw_size(length),
    }
}

fn raw_size(length: u64) -> Result<u64, String> {
    match length {
        0 => Err("is empty".to_owned()),
        _ if length > MOST => {
            Err(format!("has {length} bytes, and a disk here has {MOST} at most"))
        }
        _ => Ok(length.next_multiple_of(512)),
    }
}

/// A part of a file.
struct Section<'a> {
    file: &'a File,
    begin: u64,
    length: u64,
}

impl Section<'_> {
    fn read(&self, at: u64, most: usize) -> io::Result<Vec<u8>> {
        let left = self.length.saturating_sub(at);
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(most).min(most)];
        self.file.read_exact_at(&mut bytes, self.begin + at)?;
        Ok(bytes)
    }

    fn head(&self) -> io::Result<Vec<u8>> {
        self.read(0, HEAD)
    }

    fn vmdk(&self) -> Result<u64, String> {
        let failed = |e: io::Error| format!("cannot be read: {e}");
        let head = self.head().map_err(failed)?;
        let tail = self.read(self.length.saturating_sub(vmdk::TAIL as u64), vmdk::TAIL);
        vmdk::size(&head, &tail.map_err(failed)?, self.length)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::disk::foreign::{tar::header, vmdk::tests::disk};

    fn file(dir: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path = dir.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn only(found: &ForeignDisk) -> (u64, Value) {
        let [Part { node: Some(node), size }] = &found.parts[..] else { panic!("{found:?}") };
        (*size, node.clone())
    }

    #[test]
    fn formats_are_said_and_only_the_file_itself_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let mut sector = vec![0; 1000];
        sector[510..512].copy_from_slice(&[0x55, 0xaa]);
        let raw = file(dir, "raw,disk", &sector);
        let found = look_at_disk(&raw, None).unwrap();
        let (size, node) = only(&found);
        assert_eq!((size, &node["driver"]), (1024, &json!("raw")));
        assert_eq!(node["file"]["filename"], raw.to_str().unwrap());
        let said = |path: &Path, format| look_at_disk(path, format).unwrap_err().to_string();
        let text = said(&raw, Some(ForeignFormat::Qcow2));
        assert!(text.contains("like raw and not like qcow2"), "{text}");
        let text = said(&file(dir, "text", b"hello"), None);
        assert!(text.contains("text is no disk") && text.contains("--format raw"), "{text}");
        assert!(said(&file(dir, "none", b""), Some(ForeignFormat::Raw)).contains("empty"));
        assert!(said(dir, None).contains("no plain file"));
        // As large as it may be, and a byte more; neither takes any room.
        for (bytes, fits) in [(MOST, true), (MOST + 1, false)] {
            let answer = raw_size(bytes);
            assert_eq!(answer.is_ok(), fits, "{answer:?}");
        }
        assert!(said(&dir.join("missing"), None).contains("missing"));
    }

    #[test]
    fn an_appliance_shows_its_disk_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let ovf = "<Envelope><File id=\"f\" href=\"d.vmdk\"/><Disk fileRef=\"f\"/><VirtualSystem/></Envelope>";
        let padded = |bytes: &[u8]| {
            let mut all = bytes.to_vec();
            all.resize(all.len().next_multiple_of(512), 0);
            all
        };
        let vmdk = disk();
        let with = |manifest: &str| {
            let mut all = Vec::new();
            for (name, bytes) in
                [("a.ovf", ovf.as_bytes()), ("a.mf", manifest.as_bytes()), ("d.vmdk", &vmdk)]
            {
                all.extend(header(name, bytes.len() as u64));
                all.extend(padded(bytes));
            }
            look_at_disk(&file(dir.path(), "a.ova", &all), None)
        };
        let found = with("").unwrap();
        let (size, node) = only(&found);
        assert_eq!(size, 1 << 20);
        let part = &node["file"];
        assert_eq!((&part["driver"], &part["size"]), (&json!("raw"), &json!(vmdk.len())));
        assert_eq!(part["offset"], 512 + 512 + 512 + 512);
        assert_eq!(node["backing"], Value::Null);
        let digest = crate::disk::digest::sha256(&vmdk[..]).unwrap().to_uppercase();
        with(&format!("SHA256(d.vmdk)= {digest}\n")).unwrap();
        let damaged = with("SHA256(d.vmdk)= 00\n").unwrap_err().to_string();
        assert!(damaged.contains("d.vmdk") && damaged.contains("manifest"), "{damaged}");

        // Each disk alone might come in.
        let half = MOST / 2 / 512;
        let empty = |sectors: u64| format!("<Disk capacity=\"{}\"/>", sectors * 512);
        for (second, fits) in [(half, true), (half + 1, false)] {
            let ovf =
                format!("<Envelope>{}{}<VirtualSystem/></Envelope>", empty(half), empty(second));
            let archive =
                [&header("a.ovf", ovf.len() as u64)[..], &padded(ovf.as_bytes())].concat();
            let found = look_at_disk(&file(dir.path(), "b.ova", &archive), None);
            assert_eq!(found.is_ok(), fits, "{found:?}");
        }
    }
}
