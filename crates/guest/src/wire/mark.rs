use serde::{Deserialize, Serialize};

/// How far the boot is: one byte on the debug port each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mark {
    /// The disk's own boot loader runs.
    Loader = b'l',
    /// It has the kernel, and enters it.
    Kernel = b'k',
    /// The guest's first process runs: the kernel is up.
    Init = b'i',
    /// The root file system is mounted.
    Root = b'r',
    /// The network is up, or has at least been asked for.
    Network = b'n',
    /// The app's process was executed.
    Executed = b'x',
}

/// The marks of a boot that the host's kernel begins.
const DIRECT: [Mark; 4] = [Mark::Init, Mark::Root, Mark::Network, Mark::Executed];

/// The marks of a disk that boots by itself.
const BY_LOADER: [Mark; 6] =
    [Mark::Loader, Mark::Kernel, Mark::Init, Mark::Root, Mark::Network, Mark::Executed];

/// Why the app, or a command, was not executed. On the debug port: `!`, this as JSON, a line
/// end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "failure", rename_all = "snake_case")]
pub enum Failure {
    /// The program is not in the image.
    NotFound,
    /// The program cannot be executed.
    NotExecutable {
        /// Why not.
        reason: String,
    },
    /// The image has no such user or group.
    NoUser {
        /// The name.
        name: String,
    },
    /// The working directory is not there.
    NoDirectory {
        /// Its path.
        path: String,
    },
    /// The guest does not do what was asked.
    Refused {
        /// Why not.
        reason: String,
    },
    /// A step failed.
    Step {
        /// Which one, e.g. `mounting the root file system`.
        step: String,
        /// The kernel's answer.
        reason: String,
    },
}

/// The longest failure that is read, in bytes.
pub const LONGEST_FAILURE: usize = 4096;

/// Reads the debug port: hands out each mark the first time it comes, in
/// order, and the first failure. Anything else is passed over.
#[derive(Debug)]
pub struct Marks {
    /// Those that are still to come.
    awaited: &'static [Mark],
    failure: Option<Vec<u8>>,
    failed: bool,
}

/// What [`Marks`] found.
pub type Found = Result<Mark, Failure>;

impl Default for Marks {
    /// Of a boot that the host's kernel begins.
    fn default() -> Self {
        Self { awaited: &DIRECT, failure: None, failed: false }
    }
}

impl Marks {
    /// Of a disk that boots by itself.
    pub fn by_loader() -> Self {
        Self { awaited: &BY_LOADER, ..Self::default() }
    }

    /// Takes one byte from the debug port.
    pub fn push(&mut self, byte: u8) -> Option<Found> {
        if self.failed || self.awaited.is_empty() {
            return None;
        }
        if let Some(text) = &mut self.failure {
            if byte == b'\n' || text.len() == LONGEST_FAILURE {
                self.failed = true;
                let unreadable = || Failure::Step {
                    step: "telling why it failed".to_owned(),
                    reason: String::from_utf8_lossy(text).into_owned(),
                };
                return Some(Err(serde_json::from_slice(text).unwrap_or_else(|_| unreadable())));
            }
            text.push(byte);
            return None;
        }
        if byte == b'!' {
            self.failure = Some(Vec::new());
            return None;
        }
        let (next, rest) = self.awaited.split_first()?;
        (*next as u8 == byte).then(|| {
            self.awaited = rest;
            Ok(*next)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Vec<Found> {
        let mut marks = Marks::default();
        bytes.iter().filter_map(|byte| marks.push(*byte)).collect()
    }

    #[test]
    fn marks_come_once_and_in_order() {
        use Mark::{Executed, Init, Network, Root};
        assert_eq!(read(b"xi?rrin!"), [Ok(Init), Ok(Root), Ok(Network)]);
        assert_eq!(read(b"irnx!{}\nirnx"), [Ok(Init), Ok(Root), Ok(Network), Ok(Executed)]);
        let mut marks = Marks::by_loader();
        let all: Vec<_> = b"ilxkirnx".iter().filter_map(|byte| marks.push(*byte)?.ok()).collect();
        assert_eq!(all, BY_LOADER);
    }

    #[test]
    fn a_failure_is_read_whole_and_once() {
        let failure = Failure::NoUser { name: "app".to_owned() };
        let text = [b"i!".as_slice(), &serde_json::to_vec(&failure).unwrap(), b"\nrnx!\n"].concat();
        assert_eq!(read(&text), [Ok(Mark::Init), Err(failure)]);
        let endless = [b"!".as_slice(), &[b'a'; LONGEST_FAILURE + 10]].concat();
        assert!(matches!(read(&endless)[..], [Err(Failure::Step { .. })]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_grow(bytes in proptest::collection::vec(any::<u8>(), 0..9000)) {
            let mut marks = Marks::default();
            let found = bytes.iter().filter(|byte| marks.push(**byte).is_some()).count();
            prop_assert!(found <= 5);
            prop_assert!(marks.failure.is_none_or(|text| text.len() <= LONGEST_FAILURE));
        }
    }
}
