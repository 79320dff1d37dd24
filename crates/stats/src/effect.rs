use crate::{StatsError, error::check};

/// How large a difference is, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Magnitude {
    /// |δ| below 0.147.
    Negligible,
    /// |δ| below 0.33.
    Small,
    /// |δ| below 0.474.
    Medium,
    /// The rest.
    Large,
}

/// Cliff's delta: P(b > a) − P(b < a) over all pairs, −1 to 1; 1 when every
/// value of `b` lies above every one of `a` (Cliff, "Dominance statistics",
/// Psychological Bulletin 114, 1993). It asks how cleanly two lanes separate,
/// not by how much.
pub fn cliffs_delta(a: &[f64], b: &[f64]) -> Result<f64, StatsError> {
    check(a)?;
    check(b)?;
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
    let balance: i64 = pairs.map(|(a, b)| i64::from(b > a) - i64::from(b < a)).sum();
    Ok(balance as f64 / (a.len() * b.len()) as f64)
}

/// The usual words for a delta (Romano and others 2006).
pub fn magnitude(delta: f64) -> Magnitude {
    match delta.abs() {
        d if d < 0.147 => Magnitude::Negligible,
        d if d < 0.33 => Magnitude::Small,
        d if d < 0.474 => Magnitude::Medium,
        _ => Magnitude::Large,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separation_counts_not_distance() {
        assert_eq!(cliffs_delta(&[1.0, 2.0], &[3.0, 4.0]), Ok(1.0));
        assert_eq!(cliffs_delta(&[3.0, 4.0], &[1.0, 2.0]), Ok(-1.0));
        assert_eq!(cliffs_delta(&[1.0, 2.0], &[1.0, 2.0]), Ok(0.0));
        assert_eq!(cliffs_delta(&[1.0, 3.0], &[2.0]), Ok(0.0));
        assert_eq!(cliffs_delta(&[], &[2.0]), Err(StatsError::Empty));
        assert_eq!(magnitude(-0.2), Magnitude::Small);
        assert_eq!(magnitude(0.9), Magnitude::Large);
    }
}
