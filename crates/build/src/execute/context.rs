use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::{
    BuildError, BuildOptions, DockerfileSource,
    error::IgnoreProblem,
    ignore::Ignore,
    tree::{Context, Kind, Tree as _, resolve},
};

/// The Dockerfile's name for messages, and its text.
pub(super) fn dockerfile(options: &BuildOptions) -> Result<(String, String), BuildError> {
    let (name, path, bytes) = match &options.dockerfile {
        DockerfileSource::Text(text) => return Ok(("Dockerfile".to_owned(), text.clone())),
        DockerfileSource::Path(path) => (path.display().to_string(), path.clone(), fs::read(path)),
        DockerfileSource::InContext => within(&options.context, Path::new("Dockerfile")),
        DockerfileSource::Within(path) => within(&options.context, path),
    };
    match bytes {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok((name, text)),
            Err(e) => Err(BuildError::Usage(format!(
                "{name} is not UTF-8 text (byte {}): save it as UTF-8",
                e.utf8_error().valid_up_to()
            ))),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(BuildError::NoDockerfile { path }),
        Err(e) => Err(BuildError::io("read", path)(e)),
    }
}

/// Reads a file of the context; a link never leads out of it.
fn within(context: &Path, path: &Path) -> (String, PathBuf, io::Result<Vec<u8>>) {
    let read = || -> io::Result<Vec<u8>> {
        let tree = Context::open(context, Ignore::default())?;
        let real = resolve(&tree, path, true)?;
        match tree.entry(&real)? {
            Some(entry) if entry.kind == Kind::File => {}
            Some(_) => return Err(io::Error::other("it is no file")),
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        let mut bytes = Vec::new();
        tree.open(&real)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    (path.display().to_string(), context.join(path), read())
}

/// The rules of `<Dockerfile>.dockerignore` beside the Dockerfile, else of
/// `.dockerignore` in the context.
pub(super) fn ignore_file(context: &Path, dockerfile: Option<&Path>) -> Result<Ignore, BuildError> {
    let own = dockerfile.map(|path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".dockerignore");
        name.into()
    });
    for path in own.into_iter().chain([context.join(".dockerignore")]) {
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(BuildError::io("read", path)(e)),
        };
        return Ignore::parse(&String::from_utf8_lossy(&bytes)).map_err(|(line, source)| {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            BuildError::Ignore { file, line, source: IgnoreProblem::from(source) }
        });
    }
    Ok(Ignore::default())
}
