//! Programs for other processors (Linux, admin-guide/binfmt-misc.rst).

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Whether this machine executes the programs of an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// Its processor does, or an interpreter that the kernel has open.
    Runs,
    /// The kernel knows no interpreter for them.
    NoInterpreter,
    /// The kernel looks for the interpreter by its name, which means nothing
    /// in the file system of an image.
    Outside(PathBuf),
}

impl Foreign {
    /// Why they do not, and what is missing; `None` when they do.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Runs => None,
            Self::NoInterpreter => Some(
                "its kernel knows no interpreter for such programs (binfmt_misc), which Debian's qemu-user-static would be"
                    .to_owned(),
            ),
            Self::Outside(path) => Some(format!(
                "its interpreter for such programs, {}, is not to be found in an image: register it with flag F",
                path.display()
            )),
        }
    }
}

/// Where the kernel shows its interpreters.
const HANDLERS: &str = "/proc/sys/fs/binfmt_misc";

/// This machine's architecture, in Go's words.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "powerpc64" => "ppc64",
        "loongarch64" => "loong64",
        other => other,
    }
}

/// Whether programs of an architecture, in Go's words, run here.
pub fn foreign(wanted: &str) -> Foreign {
    let native = match architecture() {
        "amd64" => ["amd64", "386"],
        "arm64" => ["arm64", "arm"],
        own => [own, own],
    };
    if native.contains(&wanted) {
        return Foreign::Runs;
    }
    header(wanted)
        .map_or(Foreign::NoInterpreter, |header| by_handlers(Path::new(HANDLERS), &header))
}

fn by_handlers(dir: &Path, header: &[u8; 64]) -> Foreign {
    let enabled = fs::read_to_string(dir.join("status")).is_ok_and(|it| it.trim() == "enabled");
    let entries = enabled.then(|| fs::read_dir(dir).ok()).flatten();
    let texts = entries.into_iter().flatten().flatten().filter_map(|entry| {
        let name = entry.file_name();
        let is_handler = name != "register" && name != "status";
        is_handler.then(|| fs::read_to_string(entry.path()).ok()).flatten()
    });
    let mut found = Foreign::NoInterpreter;
    for handler in texts.filter_map(|text| Handler::parse(&text)) {
        if handler.takes(header) {
            if handler.open {
                return Foreign::Runs;
            }
            found = Foreign::Outside(handler.interpreter);
        }
    }
    found
}

/// One enabled entry that goes by the beginning of a file.
struct Handler {
    interpreter: PathBuf,
    /// Opened when it was registered (flag F).
    open: bool,
    offset: usize,
    magic: Vec<u8>,
    /// The bits that matter; all of them when it is empty.
    mask: Vec<u8>,
}

impl Handler {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()?.trim() != "enabled" {
            return None;
        }
        let mut handler = Self {
            interpreter: PathBuf::new(),
            open: false,
            offset: 0,
            magic: Vec::new(),
            mask: Vec::new(),
        };
        for line in lines {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            match key {
                "interpreter" => handler.interpreter = value.into(),
                "flags:" => handler.open = value.contains('F'),
                "offset" => handler.offset = value.trim().parse().ok()?,
                "magic" => handler.magic = bytes(value)?,
                "mask" => handler.mask = bytes(value)?,
                _ => {}
            }
        }
        (!handler.magic.is_empty()).then_some(handler)
    }

    fn takes(&self, header: &[u8; 64]) -> bool {
        self.magic.iter().enumerate().all(|(at, magic)| {
            let mask = self.mask.get(at).copied().unwrap_or(0xff);
            let there = header.get(self.offset.saturating_add(at)).copied().unwrap_or(0);
            (there ^ magic) & mask == 0
        })
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let hex = hex.trim();
    let pair = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(pair).collect()
}

/// The beginning of an executable of an architecture (System V ABI, "ELF
/// Header"); `None` for one that nobody here knows.
fn header(architecture: &str) -> Option<[u8; 64]> {
    let (wide, little, machine): (bool, bool, u16) = match architecture {
        "386" => (false, true, 3),
        "amd64" => (true, true, 62),
        "arm" => (false, true, 40),
        "arm64" => (true, true, 183),
        "loong64" => (true, true, 258),
        "mips" => (false, false, 8),
        "mipsle" => (false, true, 8),
        "mips64" => (true, false, 8),
        "mips64le" => (true, true, 8),
        "ppc64" => (true, false, 21),
        "ppc64le" => (true, true, 21),
        "riscv64" => (true, true, 243),
        "s390x" => (true, false, 22),
        _ => return None,
    };
    let mut header = [0; 64];
    let executable = 2u16;
    header[..7].copy_from_slice(&[
        0x7f,
        b'E',
        b'L',
        b'F',
        1 + u8::from(wide),
        2 - u8::from(little),
        1,
    ]);
    let halves = [(16, executable), (18, machine)];
    for (at, half) in halves {
        let half = if little { half.to_le_bytes() } else { half.to_be_bytes() };
        header[at..at + 2].copy_from_slice(&half);
    }
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Debian's qemu-user-static has it.
    const ARM64: &str = "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\n\
        flags: POCF\noffset 0\nmagic 7f454c460201010000000000000000000200b700\n\
        mask ffffffffffffff00fffffffffffffffffeffffff\n";

    fn with(handlers: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("status"), "enabled\n").unwrap();
        for (name, text) in handlers {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn an_interpreter_is_found_by_the_header_of_a_program() {
        let (arm64, s390x) = (header("arm64").unwrap(), header("s390x").unwrap());
        let jar = "enabled\ninterpreter /usr/bin/jexec\nflags: \noffset 0\nmagic 504b0304\n";
        let dir = with(&[("qemu-aarch64", ARM64), ("jar", jar), ("odd", "enabled\nmagic zz\n")]);
        assert_eq!(by_handlers(dir.path(), &arm64), Foreign::Runs);
        assert_eq!(by_handlers(dir.path(), &s390x), Foreign::NoInterpreter);
        // Static or position-independent: one bit that the mask leaves out.
        let mut independent = arm64;
        independent[16] = 3;
        assert_eq!(by_handlers(dir.path(), &independent), Foreign::Runs);
        fs::write(dir.path().join("status"), "disabled\n").unwrap();
        assert_eq!(by_handlers(dir.path(), &arm64), Foreign::NoInterpreter);
    }

    #[test]
    fn one_that_is_looked_for_by_name_serves_no_image() {
        let arm64 = header("arm64").unwrap();
        let named = ARM64.replace("POCF", "POC");
        let dir = with(&[("qemu-aarch64", &named)]);
        let outside = "/usr/libexec/qemu-binfmt/aarch64-binfmt-P".into();
        assert_eq!(by_handlers(dir.path(), &arm64), Foreign::Outside(outside));
        let off = ARM64.replace("enabled", "disabled");
        assert_eq!(by_handlers(with(&[("q", &off)]).path(), &arm64), Foreign::NoInterpreter);
        assert_eq!(by_handlers(Path::new("/nonexistent"), &arm64), Foreign::NoInterpreter);
        assert_eq!(foreign(architecture()), Foreign::Runs);
        assert_eq!(foreign("pdp11"), Foreign::NoInterpreter);
    }
}
