//! One file, written, read and forced to the disk in several ways.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::Path,
};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::{Problem, guard, say};

const BLOCK: usize = 1 << 20;

/// What programs usually write at once: a page.
const PAGE: usize = 4096;

/// Random pages read, and as many written.
const RANDOM: u64 = 2000;

/// Small writes that each wait for the disk, as a database's do.
const SYNCS: u64 = 50;

/// A file without a name: it goes with the process, however that ends.
pub(crate) fn nameless(folder: &Path) -> Result<File, Problem> {
    fs::create_dir_all(folder).map_err(Problem::io("make the folder"))?;
    let path = folder.join(format!("{}-{}", crate::NAME, std::process::id()));
    let mut options = File::options();
    let file = options.read(true).write(true).create_new(true).open(&path);
    let file = file.map_err(Problem::io("make a file"))?;
    fs::remove_file(&path).map_err(Problem::io("take the file's name away"))?;
    Ok(file)
}

/// Goes through all ways, with a word after each.
pub(crate) fn measure(folder: &Path, megabytes: u64) -> Result<(), Problem> {
    fs::create_dir_all(folder).map_err(Problem::io("make the folder"))?;
    guard::disk_has_room(folder, megabytes << 20)?;
    let file = nameless(folder)?;
    let mut noise = Noise(0x7a4d_e311);
    let mut block = vec![0; BLOCK];
    say("disk")?;
    for number in 0..megabytes {
        noise.fill(&mut block);
        file.write_all_at(&block, number * BLOCK as u64).map_err(Problem::io("write"))?;
    }
    file.sync_all().map_err(Problem::io("force the file to the disk"))?;
    say("disk_write")?;
    // What this kernel holds of it is dropped; a host beneath keeps its own.
    let dropped = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    dropped.map_err(|e| Problem::Failed(format!("cannot drop the file from memory: {e}")))?;
    for number in 0..megabytes {
        file.read_exact_at(&mut block, number * BLOCK as u64).map_err(Problem::io("read"))?;
    }
    say("disk_read")?;
    let pages = (megabytes << 20) / PAGE as u64;
    for number in 0..2 * RANDOM {
        let at = noise.next() % pages.max(1) * PAGE as u64;
        let page = &mut block[..PAGE];
        if number % 2 == 0 {
            file.read_exact_at(page, at).map_err(Problem::io("read"))?;
        } else {
            file.write_all_at(page, at).map_err(Problem::io("write"))?;
        }
    }
    say("disk_random")?;
    for number in 0..SYNCS {
        file.write_all_at(&block[..PAGE], number * PAGE as u64).map_err(Problem::io("write"))?;
        file.sync_data().map_err(Problem::io("force the file to the disk"))?;
    }
    say("disk_sync")
}

/// Bytes that no disk can make smaller, and places in random order; the same
/// in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn fill(&mut self, block: &mut [u8]) {
        for word in block.as_chunks_mut::<8>().0 {
            *word = self.next().to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_in_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        measure(&dir.path().join("new"), 1).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("new")).unwrap().count(), 0);
    }

    #[test]
    fn noise_is_the_same_and_no_pattern() {
        let mut blocks = [[0_u8; 64], [0; 64]];
        for block in &mut blocks {
            Noise(5).fill(block);
        }
        assert_eq!(blocks[0], blocks[1]);
        assert!(blocks[0].iter().any(|byte| *byte != blocks[0][0]));
    }
}
