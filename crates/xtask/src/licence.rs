//! Licence expressions (SPDX), and which licence a crate is taken under.

use std::collections::BTreeSet;

/// The licences to take, of those that an expression offers: where it gives a
/// choice, the one that stands first in `wanted`; where it asks for several,
/// all. `None` when `wanted` cannot meet it. `/` is what `OR` was called once.
/// An exception (`WITH`) only adds freedom, so the licence alone meets it too.
pub(crate) fn taken<'a>(expression: &str, wanted: &[&'a str]) -> Option<BTreeSet<&'a str>> {
    let plain = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = plain.split_whitespace().collect();
    let mut reader = Reader { rest: &words, wanted };
    let taken = reader.either();
    if reader.rest.is_empty() { taken } else { None }
}

struct Reader<'w, 'a> {
    rest: &'w [&'w str],
    wanted: &'w [&'a str],
}

impl<'a> Reader<'_, 'a> {
    fn either(&mut self) -> Option<BTreeSet<&'a str>> {
        let mut best = self.both();
        while let ["OR", after @ ..] = self.rest {
            self.rest = after;
            let other = self.both();
            best = match (best, other) {
                (Some(a), Some(b)) => Some(if self.cost(&b) < self.cost(&a) { b } else { a }),
                (a, b) => a.or(b),
            };
        }
        best
    }

    fn both(&mut self) -> Option<BTreeSet<&'a str>> {
        let mut all = self.one();
        while let ["AND", after @ ..] = self.rest {
            self.rest = after;
            let other = self.one();
            all = all.zip(other).map(|(a, b)| a.union(&b).copied().collect());
        }
        all
    }

    fn one(&mut self) -> Option<BTreeSet<&'a str>> {
        let (name, after) = match self.rest {
            ["(", after @ ..] => {
                self.rest = after;
                let inner = self.either();
                let [")", after @ ..] = self.rest else { return None };
                self.rest = after;
                return inner;
            }
            [name, "WITH", _, after @ ..] | [name, after @ ..] => (*name, after),
            [] => return None,
        };
        self.rest = after;
        let known = self.wanted.iter().find(|known| **known == name)?;
        Some(BTreeSet::from([*known]))
    }

    /// How far down the list the least wanted of these stands, then how many.
    fn cost(&self, licences: &BTreeSet<&str>) -> (usize, usize) {
        let place = |name: &&str| self.wanted.iter().position(|known| known == name);
        (licences.iter().filter_map(place).max().unwrap_or(usize::MAX), licences.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: [&str; 4] = ["Apache-2.0", "MIT", "BSD-3-Clause", "Unicode-3.0"];

    fn of(expression: &str) -> Option<Vec<&'static str>> {
        taken(expression, &WANTED).map(|set| set.into_iter().collect())
    }

    #[test]
    fn the_most_wanted_choice_is_taken_and_all_that_is_asked_for() {
        assert_eq!(of("MIT").unwrap(), ["MIT"]);
        assert_eq!(of("MIT/Apache-2.0").unwrap(), ["Apache-2.0"]);
        assert_eq!(of("MIT OR LGPL-2.1-or-later").unwrap(), ["MIT"]);
        assert_eq!(of("Apache-2.0 WITH LLVM-exception OR MIT").unwrap(), ["Apache-2.0"]);
        assert_eq!(of("(MIT OR GPL-3.0) AND Unicode-3.0").unwrap(), ["MIT", "Unicode-3.0"]);
        assert_eq!(of("GPL-2.0 OR BSD-3-Clause").unwrap(), ["BSD-3-Clause"]);
    }

    #[test]
    fn what_cannot_be_met_or_read_is_not_taken() {
        for bound in ["", "GPL-3.0", "MIT AND GPL-3.0", "GPL-2.0 WITH Classpath", "MIT MIT", "(MIT"]
        {
            assert_eq!(of(bound), None, "{bound}");
        }
    }
}
