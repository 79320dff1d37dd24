use std::{fs::File, os::unix::fs::FileExt as _, path::Path};

/// A small text file of the kernel's that is read again and again. It stays
/// open, for finding it by its name costs more than what stands in it.
#[derive(Debug)]
pub(crate) struct KernelFile(File);

/// What such files usually have room in.
const ROOM: usize = 4096;

impl KernelFile {
    /// Opens it; `None` when it is not there or may not be read.
    pub(crate) fn open(path: &Path) -> Option<Self> {
        File::open(path).ok().map(Self)
    }

    /// What stands in it now. The kernel writes it anew for a reader at its
    /// beginning. `None` when what it tells of is gone, a process or a cgroup;
    /// another that takes its place later has another file.
    pub(crate) fn read<'a>(&self, room: &'a mut Vec<u8>) -> Option<&'a str> {
        let mut length = 0;
        if room.len() < ROOM {
            room.resize(ROOM, 0);
        }
        loop {
            let read = self.0.read_at(&mut room[length..], length as u64).ok()?;
            length += read;
            // What did not fill the room was all.
            if length < room.len() {
                break;
            }
            room.resize(2 * room.len(), 0);
        }
        std::str::from_utf8(&room[..length]).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_anew_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memory.current");
        assert!(KernelFile::open(&path).is_none());
        std::fs::write(&path, "16384\n").unwrap();
        let (file, mut room) = (KernelFile::open(&path).unwrap(), Vec::new());
        assert_eq!(file.read(&mut room), Some("16384\n"));
        std::fs::write(&path, "7\n").unwrap();
        assert_eq!(file.read(&mut room), Some("7\n"));
        let long = "anon 1\n".repeat(3000);
        std::fs::write(&path, &long).unwrap();
        assert_eq!(file.read(&mut room), Some(long.as_str()));
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(file.read(&mut room), None);
    }

    #[test]
    fn a_process_that_is_gone_has_no_numbers() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let path = format!("/proc/{}/statm", child.id());
        let (file, mut room) = (KernelFile::open(Path::new(&path)).unwrap(), Vec::new());
        assert!(file.read(&mut room).is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(file.read(&mut room), None);
    }
}
