//! An image of 250 MB: as an archive, and behind a registry.

use std::{
    fs,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use rand::{Rng as _, SeedableRng as _, rngs::ChaCha12Rng};

use super::{registry::Registry, tandem::free_port};
use crate::bench::ground::{Ground, tandem_in, tool};

/// Its name, also in the archive.
pub(crate) const BIG: &str = "bench-big:latest";

/// Bytes of all its files.
const SIZE: u64 = 250_000_000;

const LAYERS: u64 = 4;

/// The image where the contenders find it.
#[derive(Debug)]
pub(crate) struct BigImage {
    folder: PathBuf,
    archive: PathBuf,
    registry: Registry,
}

impl BigImage {
    /// Makes the files, builds the image of them, and gives it to a registry.
    pub(crate) fn make(ground: &Ground) -> Result<Self> {
        eprintln!("making an image of 250 MB");
        let folder = ground.scratch().join("big");
        let files = folder.join("files");
        let mut recipe = "FROM scratch\n".to_owned();
        let mut random = ChaCha12Rng::seed_from_u64(250);
        for layer in 0..LAYERS {
            let name = format!("part{layer}");
            fill(&files.join(&name), SIZE / LAYERS, &mut random)?;
            recipe.push_str(&["COPY ", &name, " /", &name, "\n"].concat());
        }
        recipe += "CMD [\"/none\"]\n";
        fs::write(files.join("Dockerfile"), recipe)?;
        let home = folder.join("home");
        let context = files.to_string_lossy().into_owned();
        let build = tandem_in(&home, &["build", "-t", BIG, &context]);
        crate::process::run(build, std::time::Duration::from_mins(10))?.ok()?;
        let (archive, data) = (folder.join("big.tar"), folder.join("data"));
        let registry =
            Registry::serve(&folder.join("host"), &data, free_port()?, |it| Command::new(it))?;
        let source = Ground::layout_in(&home, "bench-big")?;
        let target = format!("docker-archive:{}:{BIG}", archive.display());
        tool("skopeo", &["copy", "-q", &source, &target])?;
        let target = format!("docker://{}/{BIG}", registry.address());
        tool("skopeo", &["copy", "-q", "--dest-tls-verify=false", &source, &target])?;
        fs::remove_dir_all(&files)?;
        fs::remove_dir_all(&home)?;
        Ok(Self { folder, archive, registry })
    }

    /// A `docker save` archive of it.
    pub(crate) fn archive(&self) -> &Path {
        &self.archive
    }

    /// Its name behind the registry on the host's loopback.
    pub(crate) fn reference(&self) -> String {
        format!("{}/{BIG}", self.registry.address())
    }

    /// The same blobs behind a second registry, on another loopback.
    pub(crate) fn registry_in(&self, network: &super::network::Namespace) -> Result<Registry> {
        let (folder, data) = (self.folder.join("inner"), self.folder.join("data"));
        Registry::serve(&folder, &data, 15_000, |program| network.command(program))
    }
}

/// Fills a folder as real images are filled: many small files and a few large
/// ones, half of the bytes text that a compressor makes small, half of them
/// such that it cannot.
pub(crate) fn fill(folder: &Path, size: u64, random: &mut ChaCha12Rng) -> Result<()> {
    let words: Vec<String> = (0..4096)
        .map(|_| {
            let length = 2 + random.next_u32() % 9;
            (0..length).map(|_| char::from(b'a' + (random.next_u32() % 26) as u8)).collect()
        })
        .collect();
    let (mut written, mut number) = (0, 0_u64);
    while written < size {
        // 1 KiB to 4 MiB; every size class holds as many files.
        let length = (1024_u64 << (random.next_u32() % 13)).min(size - written);
        let dir = folder.join(format!("d{}", number % 32));
        fs::create_dir_all(&dir)?;
        let mut file = BufWriter::new(fs::File::create(dir.join(format!("f{number}")))?);
        let mut left = usize::try_from(length)?;
        while left > 0 {
            let mut chunk = Vec::with_capacity(8192);
            if number % 2 == 0 {
                while chunk.len() < 8000 {
                    let word = &words[random.next_u32() as usize % words.len()];
                    chunk.extend(word.bytes().chain([b' ']));
                }
            } else {
                chunk.resize(8192, 0);
                random.fill_bytes(&mut chunk);
            }
            chunk.truncate(left);
            file.write_all(&chunk)?;
            left -= chunk.len();
        }
        file.flush()?;
        written += length;
        number += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_add_up_and_are_the_same_for_a_seed() {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for dir in &dirs {
            fill(dir.path(), 5_000_000, &mut ChaCha12Rng::seed_from_u64(1)).unwrap();
        }
        let read = |dir: &Path| -> Vec<Vec<u8>> {
            let mut paths = Vec::new();
            for folder in fs::read_dir(dir).unwrap().flatten() {
                paths.extend(fs::read_dir(folder.path()).unwrap().flatten().map(|it| it.path()));
            }
            paths.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
            paths.iter().map(|path| fs::read(path).unwrap()).collect()
        };
        let first = read(dirs[0].path());
        assert_eq!(first.iter().map(Vec::len).sum::<usize>(), 5_000_000);
        assert!(first == read(dirs[1].path()));
    }
}
