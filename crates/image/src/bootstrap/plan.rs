use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    BaseKind, BootstrapError,
    kind::Suite,
    sources::{AptSource, parse_deb822_sources, parse_one_line_sources},
};

/// What is going to be installed, and from where.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) kind: BaseKind,
    pub(super) suite: Suite,
    sources: Vec<String>,
}

/// Settings of dpkg that stay in the image. Files of packages that nobody
/// reads in a container are left out, as in Debian's own slim images, and the
/// marker that makes pip refuse to install; a crash loses the build step
/// anyway, so dpkg need not sync every file.
const DPKG: [&str; 9] = [
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/locale/locale.alias",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/lib/python3*/EXTERNALLY-MANAGED",
];
/// Settings of apt that stay in the image.
const APT: &str = r#"Acquire::Languages "none";"#;

impl Plan {
    /// The plan for this host: its release, its mirrors.
    pub(super) fn of_host(kind: BaseKind) -> Result<Self, BootstrapError> {
        require("mmdebstrap", "mmdebstrap")?;
        require("setpriv", "util-linux")?;
        require("unshare", "util-linux")?;
        let suite = Suite::of_host();
        let sources = lines(&host_sources(), suite.name);
        Ok(Self { kind, suite, sources })
    }

    /// Where the packages come from, for people.
    pub(super) fn origin(&self) -> String {
        self.sources.join(", ").replace("deb ", "")
    }

    /// Installs into a folder as root. `unshare` keeps mounts and processes
    /// together, and `setpriv` ends them with the thread that started them.
    pub(super) fn as_root(&self, root: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork"]);
        command.args(["--kill-child=KILL", "--mount-proc", "mmdebstrap"]);
        command.args(["--mode=root", "--format=directory"]);
        self.arguments(&mut command, root);
        // Its key rings go where a killed run is cleaned up.
        command.envs(root.parent().map(|scratch| ("TMPDIR", scratch)));
        command
    }

    /// Installs into an archive without root, in a user namespace that
    /// mmdebstrap makes (needs subordinate ids and `uidmap`).
    pub(super) fn as_user(&self, tar: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "mmdebstrap"]);
        command.args(["--mode=unshare", "--format=tar", "--skip=output/dev"]);
        self.arguments(&mut command, tar);
        command
    }

    fn arguments(&self, command: &mut Command, target: &Path) {
        match self.kind {
            BaseKind::Python => command
                .args(["--variant=apt"])
                .arg("--include=python3,python3-pip,python-is-python3,ca-certificates"),
            BaseKind::Debian => command.arg("--variant=minbase").arg("--include=ca-certificates"),
        };
        // Given as options, these would send every package through a filter
        // that takes longer than the rest of the extraction; what is
        // extracted too much is removed when the base is tidied.
        command.arg(format!(
            "--setup-hook=mkdir -p \"$1\"/etc/dpkg/dpkg.cfg.d && \
             printf '%s\\n' '{}' > \"$1\"/etc/dpkg/dpkg.cfg.d/50slim && \
             printf '%s\\n' '{APT}' > \"$1\"/etc/apt/apt.conf.d/50slim",
            DPKG.join("' '"),
        ));
        command.arg(self.suite.name).arg(target).args(&self.sources);
        // Checked byte code (what SOURCE_DATE_EPOCH selects in py_compile)
        // would be read and hashed at every start.
        command.env_remove("SOURCE_DATE_EPOCH").env_remove("APT_CONFIG").env("LC_ALL", "C.UTF-8");
    }
}

fn require(program: &'static str, package: &'static str) -> Result<(), BootstrapError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    if found { Ok(()) } else { Err(BootstrapError::Missing { program, package }) }
}

/// One line for each of Debian's archives of a release; Debian's own mirror
/// network when the host names none.
fn lines(sources: &[AptSource], suite: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for source in sources.iter().filter(|source| source.is_debian(suite)) {
        let line = source.line();
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    if !sources.iter().any(|source| source.suite == suite && source.is_debian(suite)) {
        return vec![
            format!("deb http://deb.debian.org/debian {suite} main"),
            format!("deb http://deb.debian.org/debian {suite}-updates main"),
            format!("deb http://deb.debian.org/debian-security {suite}-security main"),
        ];
    }
    lines
}

/// What the host's apt is configured with.
fn host_sources() -> Vec<AptSource> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        let mut more: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => sources.extend(parse_one_line_sources(&text)),
            Some("sources") => sources.extend(parse_deb822_sources(&text)),
            _ => {}
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_mirror_is_used_once_and_debians_when_there_is_none() {
        let text = "deb http://m/debian bookworm main\ndeb http://m/debian bookworm main contrib\n\
            deb http://m/debian trixie main\ndeb http://m/debian-security bookworm-security main\n";
        let found = lines(&parse_one_line_sources(text), "bookworm");
        assert_eq!(
            found,
            [
                "deb http://m/debian bookworm main",
                "deb http://m/debian-security bookworm-security main"
            ]
        );
        let none = lines(&parse_one_line_sources("deb http://m/debian sid main"), "bookworm");
        assert_eq!(none.len(), 3);
        assert!(none[0].contains("deb.debian.org"));
    }
}
