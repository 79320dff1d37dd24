/// Rounds of one measurement: about a third of a second on a processor of
/// 2020, some seconds on an emulated one.
pub(crate) const ROUNDS: u32 = 100_000_000;

/// Whole numbers and floating point, each round resting on the one before, so
/// that no processor can do two at once. Returns what came out, which is the
/// same everywhere: whoever prints it has really computed.
pub(crate) fn work(rounds: u32) -> u64 {
    let (mut state, mut sum) = (0x9e37_79b9_7f4a_7c15_u64, 1.0_f64);
    for _ in 0..rounds {
        // xorshift64* (Marsaglia 2003, Vigna 2016).
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state = state.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1;
        sum = sum * 0.999_999 + (state >> 40) as f64;
    }
    state ^ sum.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_comes_out_every_time() {
        assert_eq!(work(1000), work(1000));
        assert_ne!(work(1000), work(1001));
    }
}
