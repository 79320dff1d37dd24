//! The subjects that come with Tandem: small apps with their Dockerfiles.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::BuildError;

/// An app to build and compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Name on the command line.
    pub name: &'static str,
    /// A few words for a list.
    pub title: &'static str,
    /// What it shows, one sentence.
    pub description: &'static str,
    /// The base image that its Dockerfile asks for.
    pub base: &'static str,
    /// The TCP port that it answers HTTP on; none for one that speaks
    /// something else and so cannot be compared.
    pub port: Option<u16>,
    #[serde(skip)]
    files: &'static [(&'static str, &'static [u8])],
}

static SAMPLES: [Sample; 3] = [
    Sample {
        name: "hello-flask",
        title: "Hello, Flask",
        description: "The web app of the article, one file of Python, with Flask from PyPI.",
        base: "python:3.12-slim",
        port: Some(8080),
        files: &[
            ("Dockerfile", include_bytes!("../samples/hello-flask/Dockerfile")),
            ("app.py", include_bytes!("../samples/hello-flask/app.py")),
        ],
    },
    Sample {
        name: "hello-flask-article",
        title: "Hello, Flask, as in the article",
        description: "The same app with the article's Dockerfile to the letter, pipenv and all.",
        base: "python:3.7.2-slim",
        port: Some(8080),
        files: &[
            ("Dockerfile", include_bytes!("../samples/hello-flask-article/Dockerfile")),
            ("app.py", include_bytes!("../samples/hello-flask-article/app.py")),
        ],
    },
    Sample {
        name: "postgres",
        title: "PostgreSQL",
        description: "Debian's PostgreSQL with the settings and folders of the official image.",
        base: "debian:bookworm-slim",
        port: None,
        files: &[
            ("Dockerfile", include_bytes!("../samples/postgres/Dockerfile")),
            ("docker-entrypoint.sh", include_bytes!("../samples/postgres/docker-entrypoint.sh")),
        ],
    },
];

/// All samples.
pub fn samples() -> &'static [Sample] {
    &SAMPLES
}

/// The sample of a name.
///
/// # Errors
/// [`BuildError::UnknownSample`].
pub fn sample(name: &str) -> Result<&'static Sample, BuildError> {
    SAMPLES
        .iter()
        .find(|sample| sample.name == name)
        .ok_or_else(|| BuildError::UnknownSample { name: name.to_owned() })
}

/// Writes a sample's files into a folder, which is made unless it is there,
/// and returns their paths. Nothing that is there is overwritten.
///
/// # Errors
/// [`BuildError::UnknownSample`]; [`BuildError::Usage`] when one of the files
/// is there already with another content.
pub fn materialize(name: &str, dir: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let sample = sample(name)?;
    fs::create_dir_all(dir).map_err(BuildError::io("make the folder", dir))?;
    let mut paths = Vec::new();
    for (file, content) in sample.files {
        let path = dir.join(file);
        match fs::read(&path) {
            Ok(there) if there == *content => {}
            Ok(_) => {
                return Err(BuildError::Usage(format!(
                    "{} is there already and differs from the sample's: choose another folder",
                    path.display()
                )));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                fs::write(&path, content).map_err(BuildError::io("write", &path))?;
            }
            Err(e) => return Err(BuildError::io("read", path)(e)),
        }
        paths.push(path);
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::parse::{Kind, parse};

    #[test]
    fn every_sample_can_be_read_and_asks_for_the_base_it_names() {
        for sample in samples() {
            let (_, text) = sample.files.iter().find(|(name, _)| *name == "Dockerfile").unwrap();
            let file = parse("Dockerfile", str::from_utf8(text).unwrap()).unwrap();
            let plan = crate::plan::Plan::new(&file, &BTreeMap::new(), &[], None, None).unwrap();
            assert_eq!(plan.stages[0].base, crate::plan::Base::Image(sample.base.to_owned()));
            assert!(file.instructions.iter().any(|it| matches!(it.kind, Kind::Entrypoint(_))));
        }
    }

    #[test]
    fn files_are_written_once_and_never_over_others() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("new");
        assert_eq!(materialize("hello-flask", &to).unwrap().len(), 2);
        materialize("hello-flask", &to).unwrap();
        fs::write(to.join("app.py"), "mine").unwrap();
        assert!(materialize("hello-flask", &to).is_err());
        assert_eq!(fs::read_to_string(to.join("app.py")).unwrap(), "mine");
        assert!(matches!(materialize("hello", &to), Err(BuildError::UnknownSample { .. })));
    }
}
