use rand::{Rng as _, SeedableRng as _, rngs::ChaCha12Rng};

/// What the numbers are for: each use has its own stream of one seed, so that
/// they do not depend on each other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Median = 1,
    RatioA = 2,
    RatioB = 3,
    Permutation = 4,
}

/// A source of indices that stays the same when `rand` changes how it draws
/// from ranges: only ChaCha's own output is used.
pub(crate) struct Indices(ChaCha12Rng);

impl Indices {
    pub(crate) fn new(seed: u64, stream: Stream) -> Self {
        let mut generator = ChaCha12Rng::seed_from_u64(seed);
        generator.set_stream(stream as u64);
        Self(generator)
    }

    /// An index below `bound`, by multiplication (Lemire, "Fast random integer
    /// generation in an interval", 2019) without the rejection step: the bias
    /// is below `bound` / 2³², nothing for samples of this size.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u64::from(self.0.next_u32()) * bound as u64) >> 32) as usize
    }

    /// Shuffles in place (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            let other = self.below(last + 1);
            values.swap(last, other);
        }
    }
}
