use std::{
    ffi::OsString,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::Value;

/// Two lists of needs as one.
pub(crate) const fn joined<const N: usize>(these: &[Need], those: &[Need]) -> [Need; N] {
    let mut all = [Need::Root; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < these.len() { these[at] } else { those[at - these.len()] };
        at += 1;
    }
    all
}

/// Something a case cannot run without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To be root: the engine's networks and mounts.
    Root,
    /// A program on PATH or in one of the folders of system programs.
    Program(&'static str),
    /// The window's program among those built.
    Window,
    /// A CRIU that takes a process down and brings it back on this kernel.
    Checkpoint,
    /// A port of 127.0.0.1 that nobody else has, by TCP.
    TcpPort(u16),
    /// The same by UDP.
    UdpPort(u16),
    /// What others need too.
    All(&'static [Need]),
}

impl Need {
    /// Why the need is not met here; `None` when it is.
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Root => {
                (!nix::unistd::geteuid().is_root()).then(|| "this test must run as root".into())
            }
            Self::Program(name) => (!on_path(name)).then(|| format!("there is no {name} on PATH")),
            Self::Window => {
                let path = crate::world::programs().join("tandem-desktop");
                (!path.is_file()).then(|| format!("{} is not built", path.display()))
            }
            Self::Checkpoint => {
                static WHY: OnceLock<Option<String>> = OnceLock::new();
                WHY.get_or_init(no_checkpoint).clone()
            }
            Self::TcpPort(port) => taken(port, TcpListener::bind((Ipv4Addr::LOCALHOST, port))),
            Self::All(needs) => needs.iter().find_map(|need| need.missing()),
            Self::UdpPort(port) => taken(port, UdpSocket::bind((Ipv4Addr::LOCALHOST, port))),
        }
    }
}

fn taken<T>(port: u16, bound: std::io::Result<T>) -> Option<String> {
    bound.err().map(|e| format!("127.0.0.1:{port} cannot be listened on: {e}"))
}

/// The CRIU that `cargo xtask test` brought, where the installed one does not
/// work; its folder.
pub(crate) fn brought_criu() -> Option<PathBuf> {
    let folder = crate::world::programs().parent()?.join("peers/criu");
    folder.join("criu").is_file().then_some(folder)
}

/// A PATH on which that one comes first.
pub(crate) fn path_to_criu() -> OsString {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let all = brought_criu().into_iter().chain(std::env::split_paths(&own));
    std::env::join_paths(all).unwrap_or(own)
}

/// What `tandem doctor` says of it, in a home of its own.
fn no_checkpoint() -> Option<String> {
    let Ok(home) = tempfile::tempdir() else { return Some("there is no room for a home".into()) };
    let mut command = Command::new(crate::world::programs().join("tandem"));
    command.args(["doctor", "--json", "--home"]).arg(home.path()).env("PATH", path_to_criu());
    let said = command.output().map(|output| output.stdout).unwrap_or_default();
    let findings: Value = serde_json::from_slice(&said).unwrap_or_default();
    let mut findings = findings.as_array().into_iter().flatten();
    match findings.find(|it| it["id"] == "container_checkpoint") {
        Some(own) if own["status"] == "ok" => None,
        Some(own) => Some(own["detail"].as_str().unwrap_or("no reason is given").to_owned()),
        None => Some("`tandem doctor` says nothing of it".to_owned()),
    }
}

fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|dir| Path::new(&dir).join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unmet_need_says_what_is_missing() {
        assert_eq!(Need::Program("sh").missing(), None);
        let reason = Need::Program("no-such-program").missing().unwrap();
        assert!(reason.contains("no-such-program"), "{reason}");
    }
}
