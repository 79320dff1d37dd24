//! `cargo xtask package`: what people install, as a Debian package, and as an
//! AppImage or with the reason why there is none.
//!
//! The tree is laid out as it will lie on the other machine (`layout`), and
//! dpkg-deb packs it. The same programs and the same `SOURCE_DATE_EPOCH` give
//! the same bytes.

mod appimage;
mod check;
mod control;
mod copyright;
mod facts;
mod layout;
mod relations;
mod tree;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use self::{facts::Facts, tree::Tree};
use crate::{
    build::{self, Profile},
    shell,
    system::{self, Group},
};

/// What `package` was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Pack what was built here before, instead of building.
    programs: Option<PathBuf>,
    /// Where the package goes, `target/package` without.
    out: Option<PathBuf>,
}

impl Options {
    /// Reads the options.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--programs" => options.programs = Some(folder(word, words.next())?),
                "--out" => options.out = Some(folder(word, words.next())?),
                other => bail!(
                    "`package` does not know `{other}`: it takes --programs FOLDER and --out FOLDER"
                ),
            }
        }
        Ok(options)
    }
}

fn folder(option: &str, word: Option<&String>) -> Result<PathBuf> {
    let word = word.with_context(|| format!("{option} needs a folder"))?;
    Ok(std::path::absolute(word)?)
}

/// Builds, packs and checks.
pub(crate) fn run(options: Options) -> Result<()> {
    system::setup(&[Group::Build, Group::Window, Group::Package])?;
    let quick = options.programs.is_some();
    let programs = match options.programs {
        Some(folder) => folder,
        None => {
            build::dist()?;
            build::programs(Profile::Dist)
        }
    };
    let folder = options.out.unwrap_or_else(|| build::target_dir().join("package"));
    let facts = Facts::find()?;
    let tree = Tree::begin(folder.join("tree"))?;
    layout::fill(&tree, &programs, &facts)?;
    let control = control::write(&tree, &facts)?;
    tree.seal(facts.epoch)?;

    let file = folder.join(format!("tandem_{}_{}.deb", facts.version, facts.architecture));
    // What is only looked at needs no minute of packing.
    let packing: &[&str] = if quick { &["-Zgzip", "-z1"] } else { &["-Zxz"] };
    let mut deb = shell::command("dpkg-deb", &["--root-owner-group"]);
    deb.args(packing).arg("--build").arg(tree.root()).arg(&file);
    deb.env("SOURCE_DATE_EPOCH", facts.epoch.to_string());
    shell::run(&mut deb)?;
    check::check(&tree, &file, quick)?;
    let size = std::fs::metadata(&file)?.len();
    println!("{} ({:.1} MB, {} KiB installed)", file.display(), megabytes(size), control.size);
    println!("install it with `apt install {}`", file.display());
    appimage::make(&tree, &folder, &facts)
}

#[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options> {
        Options::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read_and_others_refused() {
        assert_eq!(parse(&[]).unwrap(), Options::default());
        let all = parse(&["--programs", "/built", "--out", "/made"]).unwrap();
        let expected = Options { programs: Some("/built".into()), out: Some("/made".into()) };
        assert_eq!(all, expected);
        assert!(parse(&["--programs"]).is_err());
        assert!(parse(&["--rpm"]).unwrap_err().to_string().contains("`--rpm`"));
    }
}
