//! Where the letters of pixels and pages come from: the system's font files.
//! A vector picture leaves that to whoever shows it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use fontdb::{Database, Style};
use resvg::usvg::{ImageHrefResolver, Node, Options, Tree};

use crate::write::ReportError;

/// Families for when none of those that a picture names is here. The first is
/// the one whose widths the layout knows ([`crate::text`]).
const FAMILIES: [&str; 7] =
    ["DejaVu Sans", "Liberation Sans", "Noto Sans", "Open Sans", "Ubuntu", "Cantarell", "FreeSans"];

/// How far below a folder fonts are looked for; links may form a ring.
const DEEPEST: usize = 6;

/// What pictures are read with: the fonts of this system and nothing else
/// that is outside them.
pub(crate) fn of_system() -> Result<Options<'static>, ReportError> {
    in_folders(&folders())
}

/// The folders of fonts of the XDG base directories, and the older one at
/// home.
fn folders() -> Vec<PathBuf> {
    let home = env::var_os("HOME").map(PathBuf::from);
    let own = env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| home.as_ref().map(|home| home.join(".local/share")));
    let shared = env::var("XDG_DATA_DIRS").ok().filter(|paths| !paths.is_empty());
    let shared = shared.unwrap_or_else(|| "/usr/local/share:/usr/share".to_owned());
    let mut folders: Vec<PathBuf> = own.iter().map(|data| data.join("fonts")).collect();
    folders.extend(home.iter().map(|home| home.join(".fonts")));
    folders.extend(env::split_paths(&shared).map(|data| data.join("fonts")));
    folders.push("/usr/share/fonts".into());
    folders.dedup();
    folders
}

fn in_folders(folders: &[PathBuf]) -> Result<Options<'static>, ReportError> {
    let mut faces = Database::new();
    for folder in folders {
        load(&mut faces, folder, DEEPEST);
    }
    let family = family(&faces).ok_or(ReportError::NoFont)?;
    faces.set_serif_family(&family);
    faces.set_sans_serif_family(family);
    let options = Options {
        fontdb: Arc::new(faces),
        // Pictures of ours hold none, and a foreign name must not bring one.
        image_href_resolver: ImageHrefResolver {
            resolve_data: Box::new(|_, _, _| None),
            resolve_string: Box::new(|_, _| None),
        },
        ..Options::default()
    };
    if has_letters(&options) { Ok(options) } else { Err(ReportError::NoFont) }
}

/// Loads what lies in a folder in the order of the names, so that one system
/// always chooses the same. What is no font is passed over.
fn load(faces: &mut Database, folder: &Path, depth: usize) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let kind = path.extension().and_then(|kind| kind.to_str()).map(str::to_ascii_lowercase);
        if path.is_dir() {
            if depth > 0 {
                load(faces, &path, depth - 1);
            }
        } else if matches!(kind.as_deref(), Some("ttf" | "ttc" | "otf" | "otc")) {
            let _ = faces.load_font_file(&path);
        }
    }
}

/// The family to fall back to: a known one, or whichever is there.
fn family(faces: &Database) -> Option<String> {
    let upright = || faces.faces().filter(|face| face.style == Style::Normal);
    let named = |name: &&&str| {
        upright().any(|face| face.families.iter().any(|(family, _)| family == **name))
    };
    let known = FAMILIES.iter().find(named).map(|name| (*name).to_owned());
    known.or_else(|| {
        let any = upright().find(|face| !face.monospaced).or_else(|| upright().next())?;
        any.families.first().map(|(family, _)| family.clone())
    })
}

/// Whether plain words can be drawn: a font of nothing but symbols has no
/// letters.
fn has_letters(options: &Options<'_>) -> bool {
    let probe = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\">\
                 <text font-family=\"sans-serif\">Aa0</text></svg>";
    let Ok(tree) = Tree::from_str(probe, options) else { return false };
    tree.root().children().iter().any(|node| {
        let Node::Text(text) = node else { return false };
        let mut glyphs = text.layouted().iter().flat_map(|span| &span.positioned_glyphs);
        text.layouted().iter().map(|span| span.positioned_glyphs.len()).sum::<usize>() == 3
            && glyphs.all(|glyph| glyph.id.0 != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_font_the_package_is_named() {
        let empty = tempfile::tempdir().unwrap();
        fs::write(empty.path().join("broken.ttf"), "no font").unwrap();
        let folders = [empty.path().to_owned(), empty.path().join("missing")];
        let error = in_folders(&folders).err().unwrap().to_string();
        assert!(error.contains("fonts-dejavu-core"), "{error}");
    }

    #[test]
    fn folders_that_form_a_ring_are_left() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("again")).unwrap();
        let mut faces = Database::new();
        load(&mut faces, dir.path(), DEEPEST);
        assert!(faces.is_empty());
    }
}
