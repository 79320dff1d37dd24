//! Does a memory ledger add up to what the machine has less since?

use tandem_model::{Ledger, LedgerEntry};

use crate::instruments::MachineMemory;

/// What the machine has less beside what others' processes took meanwhile, and
/// what of it no ledger explains; bytes. Both may be negative: kernels give
/// memory back when they like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Balance {
    /// Memory that was available before and is not any more, and that no other
    /// process has.
    pub(crate) change: i64,
    /// What of it stands in no ledger.
    pub(crate) unexplained: i64,
}

impl Balance {
    /// From the machine's memory before and after, and the ledgers of what came
    /// to be in between. Pages of files count as available still, so they
    /// explain nothing of it.
    pub(crate) fn of<'a>(
        before: MachineMemory,
        after: MachineMemory,
        ledgers: impl IntoIterator<Item = &'a Ledger>,
    ) -> Self {
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let taken = signed(before.available) - signed(after.available);
        let by_others = signed(after.others) - signed(before.others);
        let change = taken - by_others;
        let entries = ledgers.into_iter().flat_map(|ledger| &ledger.entries);
        let held: u64 = entries.filter(|it| !gives_way(it)).map(|it| it.bytes).sum();
        Self { change, unexplained: change - signed(held) }
    }
}

/// Whether these are pages of files, see
/// [`tandem_backend::Backend::memory_ledger`].
fn gives_way(entry: &LedgerEntry) -> bool {
    let words = ["mapped files", "page cache", "program and libraries"];
    words.iter().any(|words| entry.name.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(parts: &[(&str, u64)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (name, mib) in parts {
            ledger.push(*name, mib << 20);
        }
        ledger
    }

    fn machine(available: u64, others: u64) -> MachineMemory {
        MachineMemory { available: available << 20, others: others << 20 }
    }

    #[test]
    fn pages_of_files_are_no_part_of_what_the_machine_has_less() {
        let right = ledger(&[
            ("app, anonymous", 40),
            ("app, mapped files", 11),
            ("page cache beyond mapped files", 3),
            ("kernel, on the app's behalf", 2),
            ("supervisor", 4),
            ("supervisor's program and libraries", 6),
        ]);
        let found = Balance::of(machine(1000, 300), machine(953, 300), [&right]);
        assert_eq!(found, Balance { change: 47 << 20, unexplained: 1 << 20 });
    }

    #[test]
    fn a_wrong_ledger_leaves_a_rest() {
        let rest = |parts: &[(&str, u64)]| {
            let (before, after) = (machine(1000, 300), machine(700, 300));
            Balance::of(before, after, [&ledger(parts)]).unexplained >> 20
        };
        assert_eq!(rest(&[("QEMU itself", 20), ("guest, in use", 270)]), 10);
        // One part forgotten, one counted twice.
        assert_eq!(rest(&[("QEMU itself", 20)]), 280);
        assert_eq!(rest(&[("QEMU itself", 20), ("guest, in use", 270), ("again", 270)]), -260);
    }

    #[test]
    fn what_others_do_meanwhile_is_left_out() {
        let found = |available, others| {
            let ledger = ledger(&[("guest, in use", 90)]);
            let found = Balance::of(machine(1000, 300), machine(available, others), [&ledger]);
            (found.change >> 20, found.unexplained >> 20)
        };
        assert_eq!(found(900, 300), (100, 10));
        // A compiler began, or ended.
        assert_eq!(found(500, 700), (100, 10));
        assert_eq!(found(1100, 100), (100, 10));
        assert_eq!(found(1000, 300), (0, -90));
    }
}
