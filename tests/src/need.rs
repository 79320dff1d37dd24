use std::path::Path;

/// Something a case cannot run without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To be root: the engine's networks and mounts.
    Root,
    /// A program on PATH or in one of the folders of system programs.
    Program(&'static str),
    /// The window's program among those built.
    Window,
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
        }
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
