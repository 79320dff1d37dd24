//! A build context with what builders get wrong.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};

/// Programs of the base image.
const PROGRAMS: [&str; 18] = [
    "sh", "cat", "chmod", "chown", "cp", "env", "id", "ln", "ls", "mkdir", "mkfifo", "mv", "pwd",
    "rm", "rmdir", "setcap", "touch", "true",
];

/// Makes the context.
pub(super) fn make(root: &Path) -> Result<()> {
    let file = |path: &str, content: &str, mode: u32| -> Result<()> {
        let path = root.join(path);
        fs::create_dir_all(path.parent().context("no parent")?)?;
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(())
    };
    file("a", "A", 0o644)?;
    file("b", "B", 0o600)?;
    file("exec", "#!/bin/sh\necho run\n", 0o755)?;
    file("setuid", "s", 0o4755)?;
    file("setgid", "s", 0o2755)?;
    file("x y", "space", 0o644)?;
    file("[x]", "brackets", 0o644)?;
    file("star*", "star", 0o644)?;
    file("ünï", "unicode", 0o644)?;
    file(".hidden", "hidden", 0o644)?;
    file("data.tar.bak", "no archive", 0o644)?;
    file("dir/one", "1", 0o644)?;
    file("dir/two.txt", "2", 0o640)?;
    file("dir/sub/three.txt", "3", 0o644)?;
    file("dir/sub/deep/four.md", "4", 0o444)?;
    file("dir/.dot", "dot", 0o644)?;
    file("other/one", "another 1", 0o644)?;
    file("other/five", "5", 0o644)?;
    file("src/main.c", "int main;", 0o644)?;
    file("src/lib/util.c", "int util;", 0o644)?;
    file("src/lib/util.h", "int util;", 0o644)?;
    file("src/README.md", "read", 0o644)?;
    file("empty", "", 0o644)?;
    file("big", &"0123456789abcdef".repeat(20_000), 0o644)?;
    file("links/target", "target", 0o644)?;
    fs::create_dir_all(root.join("hollow/inner"))?;
    fs::create_dir_all(root.join("sticky"))?;
    fs::set_permissions(root.join("sticky"), fs::Permissions::from_mode(0o1777))?;
    fs::set_permissions(root.join("dir/sub"), fs::Permissions::from_mode(0o750))?;
    for (name, target) in [
        ("links/rel", "target"),
        ("links/abs", "/links/target"),
        ("links/dangling", "nowhere"),
        ("links/dir", "../dir"),
        ("links/out", "../../../../etc/passwd"),
        ("link-to-dir", "dir"),
        ("link-to-file", "a"),
        ("chain", "link-to-file"),
    ] {
        symlink(target, root.join(name))?;
    }
    fs::hard_link(root.join("links/target"), root.join("links/hard"))?;
    archives(root)?;
    base(&root.join("rootfs"))?;
    old(root)
}

/// Archives for ADD.
fn archives(root: &Path) -> Result<()> {
    for (name, flag) in [
        ("plain.tar", "-c"),
        ("packed.tar.gz", "-cz"),
        ("packed.tar.xz", "-cJ"),
        ("packed.tar.bz2", "-cj"),
        ("misnamed.txt", "-cz"),
    ] {
        let mut tar = Command::new("tar");
        tar.current_dir(root).args([flag, "--mtime=2015-05-05 UTC", "--owner=7", "--group=8"]);
        tar.args(["--numeric-owner", "-f", name, "dir", "a", "links/target", "links/hard"]);
        tar.args(["links/rel", "setuid", "hollow"]);
        crate::process::run(tar, Duration::from_secs(30))?.ok()?;
    }
    Ok(())
}

/// The host's own shell and tools, with the libraries that they need.
fn base(root: &Path) -> Result<()> {
    let mut needed = BTreeSet::new();
    for name in PROGRAMS {
        let program = ["/bin", "/usr/bin", "/usr/sbin"]
            .map(|dir| Path::new(dir).join(name))
            .into_iter()
            .find(|path| path.exists())
            .with_context(|| format!("there is no {name}"))?;
        put(&fs::canonicalize(&program)?, &root.join("bin").join(name))?;
        let mut ldd = Command::new("ldd");
        ldd.arg(&program);
        let listed = crate::process::run(ldd, Duration::from_secs(30))?;
        for word in listed.stdout.split_whitespace().filter(|word| word.starts_with('/')) {
            needed.insert(PathBuf::from(word));
        }
    }
    for library in needed {
        let inside = root.join(library.strip_prefix("/")?);
        put(&fs::canonicalize(&library)?, &inside)?;
    }
    fs::create_dir_all(root.join("etc"))?;
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1001:Ada:/home/ada:/bin/sh\n",
    )?;
    fs::write(root.join("etc/group"), "root:x:0:\nada:x:1001:\nstaff:x:50:ada\n")?;
    for dir in ["tmp", "root", "home/ada", "var/lib"] {
        fs::create_dir_all(root.join(dir))?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    symlink("var/lib", root.join("varlink"))?;
    symlink("/nowhere/at/all", root.join("dangling"))?;
    Ok(())
}

fn put(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("no parent")?)?;
    fs::copy(from, to)?;
    Ok(())
}

/// Gives everything a time long ago, so that it can be told from the present.
fn old(root: &Path) -> Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_300_000_000);
    let mut touch = Command::new("find");
    touch.arg(root).args(["-depth", "-exec", "touch", "-h", "-d", "@1300000000", "{}", "+"]);
    crate::process::run(touch, Duration::from_secs(30))?.ok()?;
    fs::File::open(root)?.set_modified(time)?;
    Ok(())
}
