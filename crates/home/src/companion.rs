//! Where a file lies that comes with the programs.

use std::path::{Path, PathBuf};

/// Folder of what a package installs that is no command, beside its `bin`.
const INSTALLED: &str = "libexec/tandem";

/// Places of the file `name` that comes with `program`, the best first: beside
/// it and one folder up (where cargo puts programs, and tests), and where a
/// package has it (`/usr/bin/tandem`, `/usr/libexec/tandem/NAME`).
pub fn companions(program: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    let above: Vec<PathBuf> = program.ancestors().skip(1).take(2).map(Path::to_owned).collect();
    let installed = above.get(1).map(|prefix| prefix.join(INSTALLED).join(name));
    let beside: Vec<PathBuf> = above.iter().map(|dir| dir.join(name)).collect();
    beside.into_iter().chain(installed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_and_installed_programs_find_what_comes_with_them() {
        let places = |program: &str| -> Vec<String> {
            companions(Path::new(program), "guest").map(|it| it.display().to_string()).collect()
        };
        let built = places("/t/debug/tandem");
        assert_eq!(built, ["/t/debug/guest", "/t/guest", "/t/libexec/tandem/guest"]);
        assert_eq!(places("/usr/bin/tandem")[2], "/usr/libexec/tandem/guest");
        assert!(places("tandem").len() < 3);
    }
}
