use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::closest;

/// What runs an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum BackendKind {
    /// The image's files in a chroot, without isolation: the baseline.
    Process,
    /// Tandem's own container engine.
    Container,
    /// A virtual machine under QEMU.
    Vm,
    /// A container of Docker's.
    Docker,
    /// A container of Podman's.
    Podman,
}

impl BackendKind {
    /// Whether an instance's files lie in its folder in our home: a machine
    /// has them on a disk, and other engines keep them themselves.
    pub fn keeps_files_here(self) -> bool {
        matches!(self, Self::Container | Self::Process)
    }
}

/// How a virtual machine is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// A kernel, Tandem's own init, and the image's files.
    Micro,
    /// Debian with systemd on a disk that boots by itself, and the app as one
    /// of its services.
    Full,
}

/// How QEMU executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Accelerator {
    /// The processor's virtualisation extensions, through `/dev/kvm`.
    Kvm,
    /// QEMU's own translator: software emulation.
    Tcg,
}

/// Which accelerator a person asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum AcceleratorChoice {
    /// KVM when a guest has really booted with it here, else TCG, said aloud.
    #[default]
    Auto,
    /// KVM or an error.
    Kvm,
    /// Software emulation.
    Tcg,
}

/// One side of a comparison, written `backend[/profile][+template][@accelerator]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(type = "string"))]
#[serde(try_from = "String", into = "String")]
pub struct Lane {
    /// What runs the image.
    pub backend: BackendKind,
    /// The kind of machine; set for `vm` only.
    pub profile: Option<Profile>,
    /// The accelerator asked for; `Auto` when none was written.
    pub accelerator: AcceleratorChoice,
    /// The machine goes on from a saved state of the booted app.
    pub template: bool,
}

/// The text is not a lane.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a lane{near}: write container, vm, vm/micro, vm/micro+template, vm/micro@tcg, vm/micro@kvm, vm/full, docker, podman or process",
    near = near(.0)
)]
pub struct ParseLaneError(String);

/// A lane that was meant, in brackets, or nothing.
fn near(written: &str) -> String {
    const LANES: [&str; 10] = [
        "container",
        "vm",
        "vm/micro",
        "vm/micro+template",
        "vm/micro@tcg",
        "vm/micro@kvm",
        "vm/full",
        "docker",
        "podman",
        "process",
    ];
    closest(written, &LANES).map_or_else(String::new, |it| format!(" (did you mean {it}?)"))
}

macro_rules! words {
    ($type:ty { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// The word for it on the command line and in results.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = String;

            /// The error lists the words that are known.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("`{text}` is unknown: expected one of {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}

words!(BackendKind {
    Process = "process",
    Container = "container",
    Vm = "vm",
    Docker = "docker",
    Podman = "podman",
});
words!(Profile { Micro = "micro", Full = "full" });
words!(Accelerator { Kvm = "kvm", Tcg = "tcg" });
words!(AcceleratorChoice { Auto = "auto", Kvm = "kvm", Tcg = "tcg" });

impl Lane {
    /// The container lane.
    pub const CONTAINER: Self = Self::plain(BackendKind::Container);
    /// The baseline lane.
    pub const PROCESS: Self = Self::plain(BackendKind::Process);
    /// The micro virtual machine with whatever accelerator works.
    pub const VM_MICRO: Self = Self {
        backend: BackendKind::Vm,
        profile: Some(Profile::Micro),
        accelerator: AcceleratorChoice::Auto,
        template: false,
    };

    const fn plain(backend: BackendKind) -> Self {
        Self { backend, profile: None, accelerator: AcceleratorChoice::Auto, template: false }
    }
}

impl FromStr for Lane {
    type Err = ParseLaneError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseLaneError(text.to_owned());
        let (rest, accelerator) = match text.split_once('@') {
            Some((rest, word)) => {
                (rest, Some(word.parse::<AcceleratorChoice>().map_err(|_| wrong())?))
            }
            None => (text, None),
        };
        let (rest, template) = match rest.strip_suffix("+template") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (backend, profile) = match rest.split_once('/') {
            Some((backend, word)) => (backend, Some(word.parse::<Profile>().map_err(|_| wrong())?)),
            None => (rest, None),
        };
        let backend: BackendKind = backend.parse().map_err(|_| wrong())?;
        let is_vm = backend == BackendKind::Vm;
        if !is_vm && (profile.is_some() || accelerator.is_some() || template) {
            return Err(wrong());
        }
        Ok(Self {
            backend,
            profile: profile.or(is_vm.then_some(Profile::Micro)),
            accelerator: accelerator.unwrap_or_default(),
            template,
        })
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.backend)?;
        if let Some(profile) = self.profile {
            write!(f, "/{profile}")?;
        }
        if self.template {
            f.write_str("+template")?;
        }
        if self.accelerator != AcceleratorChoice::Auto {
            write!(f, "@{}", self.accelerator)?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Lane {
    type Error = ParseLaneError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Lane> for String {
    fn from(lane: Lane) -> Self {
        lane.to_string()
    }
}

/// The ids of lanes in a result: the lane's text, and `#2`, `#3`, … for the
/// later ones of several equal lanes.
pub fn number_lanes(lanes: &[Lane]) -> Vec<String> {
    lanes
        .iter()
        .enumerate()
        .map(|(at, lane)| match lanes[..at].iter().filter(|other| *other == lane).count() {
            0 => lane.to_string(),
            earlier => format!("{lane}#{}", earlier + 1),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_read_as_they_are_written() {
        for text in [
            "container",
            "process",
            "docker",
            "podman",
            "vm/micro",
            "vm/micro@tcg",
            "vm/micro@kvm",
            "vm/micro+template",
            "vm/micro+template@tcg",
        ] {
            assert_eq!(text.parse::<Lane>().unwrap().to_string(), text);
        }
        assert_eq!("vm".parse::<Lane>().unwrap(), Lane::VM_MICRO);
        for bad in [
            "",
            "container/micro",
            "container@tcg",
            "vm/",
            "vm@",
            "vm/huge",
            "docker@kvm",
            "container+template",
        ] {
            assert!(bad.parse::<Lane>().is_err(), "{bad}");
        }
    }

    #[test]
    fn equal_lanes_are_numbered() {
        let lanes = [Lane::CONTAINER, Lane::VM_MICRO, Lane::CONTAINER];
        assert_eq!(number_lanes(&lanes), ["container", "vm/micro", "container#2"]);
    }
}
