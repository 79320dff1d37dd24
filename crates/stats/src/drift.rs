use std::cmp::Ordering;

use crate::{
    StatsError,
    error::check,
    random::{Indices, Stream},
};

/// Whether values rise or fall over a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Spearman's rank correlation of value and order, −1 to 1; above zero
    /// the values rise.
    pub rho: f64,
    /// How often a random order shows at least as strong a trend, two-sided.
    pub p: f64,
}

impl Drift {
    /// The level at which a run is said to drift. It is strict because the
    /// check is made for every lane and metric: 1 % each.
    pub const LEVEL: f64 = 0.01;

    /// Whether the trend is stronger than chance explains.
    pub fn is_significant(&self) -> bool {
        self.p < Self::LEVEL
    }
}

/// Shuffles behind a p-value.
const SHUFFLES: u32 = 10_000;

/// Spearman's ρ (1904) between the values and their place in the run, ties
/// with their mean rank, and its p-value by permutation: (1 + the number of
/// shuffles with |ρ| as large) / (1 + shuffles), which can never be zero
/// (Phipson & Smyth 2010). Values that are all equal, or fewer than three,
/// show no drift: ρ = 0, p = 1.
///
/// `values` stand in the order in which the trials ran. With four trials even
/// a perfect trend has p = 2/24; a run needs six to be able to fail the check
/// at 1 %.
pub fn drift(values: &[f64], seed: u64) -> Result<Drift, StatsError> {
    check(values)?;
    let mut ranks = centred_ranks(values);
    let spread: f64 = ranks.iter().map(|rank| rank * rank).sum();
    if values.len() < 3 || spread == 0.0 {
        return Ok(Drift { rho: 0.0, p: 1.0 });
    }
    let middle = (values.len() - 1) as f64 / 2.0;
    let places: Vec<f64> = (0..values.len()).map(|place| place as f64 - middle).collect();
    let place_spread: f64 = places.iter().map(|place| place * place).sum();
    let product = |ranks: &[f64]| -> f64 { ranks.iter().zip(&places).map(|(r, p)| r * p).sum() };
    let observed = product(&ranks);
    // Half ranks are exact in binary, so equal products compare equal.
    let mut indices = Indices::new(seed, Stream::Permutation);
    let as_strong = (0..SHUFFLES)
        .filter(|_| {
            indices.shuffle(&mut ranks);
            product(&ranks).abs() >= observed.abs()
        })
        .count();
    Ok(Drift {
        rho: observed / (spread * place_spread).sqrt(),
        p: (1 + as_strong) as f64 / f64::from(1 + SHUFFLES),
    })
}

/// Ranks minus their mean, ties sharing the mean of their ranks.
fn centred_ranks(values: &[f64]) -> Vec<f64> {
    let middle = (values.len() - 1) as f64 / 2.0;
    values
        .iter()
        .map(|value| {
            let below = values.iter().filter(|other| *other < value).count();
            let equal = values
                .iter()
                .filter(|other| other.partial_cmp(&value) == Some(Ordering::Equal))
                .count();
            below as f64 + (equal - 1) as f64 / 2.0 - middle
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rise_is_drift() {
        let rising: Vec<f64> = (0..10).map(|i| 100.0 + f64::from(i)).collect();
        let found = drift(&rising, 1).unwrap();
        assert!((found.rho - 1.0).abs() < 1e-12 && found.is_significant(), "{found:?}");
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        assert!((drift(&falling, 1).unwrap().rho + 1.0).abs() < 1e-12);
    }

    #[test]
    fn alternation_and_constancy_are_not() {
        let alternating: Vec<f64> = (0..12).map(|i| f64::from(i % 2)).collect();
        assert!(drift(&alternating, 1).unwrap().p > 0.3);
        assert_eq!(drift(&[4.0; 9], 1), Ok(Drift { rho: 0.0, p: 1.0 }));
        assert_eq!(drift(&[1.0, 2.0], 1), Ok(Drift { rho: 0.0, p: 1.0 }));
    }

    #[test]
    fn the_p_value_is_the_share_of_orders() {
        // Of the 24 orders of four values, two show |ρ| = 1.
        let found = drift(&[1.0, 2.0, 3.0, 4.0], 5).unwrap();
        assert!((found.p - 2.0 / 24.0).abs() < 0.01, "{found:?}");
    }
}
