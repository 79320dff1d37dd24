use rand::{Rng as _, SeedableRng as _, rngs::ChaCha12Rng};

/// The order of a run: `count` blocks, each with every lane once, by number,
/// in a random order of its own (Fisher and Yates). The same seed gives the
/// same order on every machine and with every version of the generator's
/// library, for only ChaCha's own output is used.
pub fn blocks(lanes: usize, count: u32, seed: u64) -> Vec<Vec<usize>> {
    let mut generator = ChaCha12Rng::seed_from_u64(seed);
    (0..count)
        .map(|_| {
            let mut block: Vec<usize> = (0..lanes).collect();
            for last in (1..lanes).rev() {
                let draw = u64::from(generator.next_u32()) * (last as u64 + 1);
                // The product's upper half is at most `last`.
                block.swap(last, usize::try_from(draw >> 32).unwrap_or(last));
            }
            block
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_order() {
        assert_eq!(blocks(3, 20, 7), blocks(3, 20, 7));
        assert_ne!(blocks(3, 20, 7), blocks(3, 20, 8));
        // Longer runs begin like shorter ones.
        assert_eq!(blocks(3, 20, 7)[..5], blocks(3, 5, 7));
    }

    #[test]
    fn every_block_holds_every_lane_once_and_all_orders_occur() {
        let drawn = blocks(3, 600, 1);
        let mut counts = std::collections::BTreeMap::new();
        for block in &drawn {
            let mut sorted = block.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2]);
            *counts.entry(block.clone()).or_insert(0) += 1;
        }
        // Six orders, 100 expected each; five standard deviations are 46.
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (54..=146).contains(count)), "{counts:?}");
    }
}
