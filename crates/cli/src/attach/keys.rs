use std::str::FromStr;

/// Keys, typed one after the other, that leave an app alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DetachKeys(Vec<u8>);

impl DetachKeys {
    /// Docker's.
    pub(crate) const DEFAULT: &str = "ctrl-p,ctrl-q";
}

impl FromStr for DetachKeys {
    type Err = String;

    /// Reads keys with commas between them, each a character or `ctrl-` with
    /// one of `a` to `z`, `@`, `[`, `\\`, `]`, `^`, `_`.
    fn from_str(text: &str) -> Result<Self, String> {
        let key = |word: &str| {
            key(word).ok_or_else(|| {
                format!("`{word}` is no key: write e.g. ctrl-p,ctrl-q, or a single character")
            })
        };
        text.split(',').map(key).collect::<Result<_, _>>().map(Self)
    }
}

fn key(word: &str) -> Option<u8> {
    match (word.strip_prefix("ctrl-").map(str::as_bytes), word.as_bytes()) {
        (Some([letter @ b'a'..=b'z']), _) => Some(letter - b'a' + 1),
        (Some([b'@']), _) => Some(0),
        (Some([sign @ (b'[' | b'\\' | b']' | b'^' | b'_')]), _) => Some(sign - b'@'),
        (None, [byte]) => Some(*byte),
        _ => None,
    }
}

/// Looks for the keys in what is typed.
#[derive(Debug)]
pub(crate) struct Scanner {
    keys: DetachKeys,
    /// How many of them were typed just now, and are held back.
    matched: usize,
}

impl Scanner {
    pub(crate) fn new(keys: DetachKeys) -> Self {
        Self { keys, matched: 0 }
    }

    /// What is to be passed on of this input, and whether the keys were typed.
    pub(crate) fn scan(&mut self, input: &[u8]) -> (Vec<u8>, bool) {
        let keys = &self.keys.0;
        let mut passed = Vec::with_capacity(input.len());
        for byte in input {
            if *byte != keys[self.matched] {
                passed.extend_from_slice(&keys[..self.matched]);
                self.matched = 0;
            }
            if *byte == keys[self.matched] {
                self.matched += 1;
            } else {
                passed.push(*byte);
            }
            if self.matched == keys.len() {
                return (passed, true);
            }
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(keys: &str, pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut scanner = Scanner::new(keys.parse().unwrap());
        let mut all = Vec::new();
        for piece in pieces {
            let (passed, left) = scanner.scan(piece);
            all.extend(passed);
            if left {
                return (all, true);
            }
        }
        (all, false)
    }

    #[test]
    fn keys_are_found_across_pieces_and_near_misses_pass() {
        let usual = DetachKeys::DEFAULT;
        assert_eq!(scan(usual, &[b"ab\x10\x11cd"]), (b"ab".to_vec(), true));
        assert_eq!(scan(usual, &[b"ab\x10", b"\x11"]), (b"ab".to_vec(), true));
        assert_eq!(scan(usual, &[b"\x10", b"x\x11"]), (b"\x10x\x11".to_vec(), false));
        assert_eq!(scan(usual, &[b"\x10\x10\x11"]), (b"\x10".to_vec(), true));
        assert_eq!(scan("q", &[b"aqb"]), (b"a".to_vec(), true));
    }

    #[test]
    fn keys_are_written_as_in_docker() {
        assert_eq!("ctrl-a,z,ctrl-@,ctrl-\\".parse(), Ok(DetachKeys(vec![1, b'z', 0, 28])));
        for bad in ["", "ctrl-", "ctrl-A", "ab", "a,", "ctrl-1"] {
            assert!(bad.parse::<DetachKeys>().is_err(), "{bad}");
        }
    }
}
