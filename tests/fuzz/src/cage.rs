use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// A folder to unpack into, within one whose other content must not change,
/// and a place with a name that archives can know.
pub struct Cage {
    dir: tempfile::TempDir,
}

/// Where absolute names and links of the seeds lead.
const FAR: &str = "/tmp/tandem-fuzz-outside";

impl Cage {
    /// # Panics
    /// When there is no place for temporary files.
    #[expect(clippy::new_without_default, reason = "it makes folders")]
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(dir.path().join("layer")).expect("a folder");
        for outside in [dir.path().join("outside"), PathBuf::from(FAR)] {
            fs::create_dir_all(outside.join("folder")).expect("a folder");
            // The far one is there for every run, and for another search beside
            // this one.
            if !outside.join("file").exists() {
                fs::write(outside.join("file"), "untouched").expect("a file");
            }
        }
        Self { dir }
    }

    /// Where to unpack.
    pub fn layer(&self) -> PathBuf {
        self.dir.path().join("layer")
    }

    /// Does something and checks that nothing outside has changed.
    ///
    /// # Panics
    /// When something has.
    pub fn watch<T>(&self, act: impl FnOnce(&Path) -> T) -> T {
        let before = self.outside();
        let done = act(&self.layer());
        assert_eq!(before, self.outside(), "something outside was changed");
        done
    }

    fn outside(&self) -> Vec<String> {
        let mut seen = Vec::new();
        let beside = fs::read_dir(self.dir.path()).expect("the folder is there");
        seen.extend(beside.flatten().map(|entry| format!("{:?}", entry.file_name())));
        seen.sort();
        for outside in [self.dir.path().join("outside"), PathBuf::from(FAR)] {
            for path in ["", "file", "folder"].map(|name| outside.join(name)) {
                let stat = fs::symlink_metadata(&path).expect("what lies outside stays there");
                let (mode, owner, links) = (stat.mode(), (stat.uid(), stat.gid()), stat.nlink());
                let times = (stat.mtime(), stat.mtime_nsec());
                let size = stat.len();
                seen.push(format!(
                    "{} {mode:o} {owner:?} {links} {times:?} {size}",
                    path.display()
                ));
            }
        }
        seen
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        // A folder may have a mode that keeps even its owner out.
        loosen(&self.layer());
    }
}

fn loosen(dir: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            loosen(&entry.path());
        }
    }
}
