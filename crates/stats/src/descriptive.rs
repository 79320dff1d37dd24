use crate::{
    StatsError,
    error::{check, sorted},
};

/// The arithmetic mean, Σx / n, by the running update
/// m ← m + (x − m) / k (Welford 1962), which neither overflows nor loses
/// digits as a plain sum does.
///
/// The values are taken in ascending order, so the result does not depend on
/// the order in which they were measured.
pub fn mean(values: &[f64]) -> Result<f64, StatsError> {
    Ok(moments(&sorted(values)?).0)
}

/// The sample standard deviation √(Σ(x − m)² / (n − 1)), by Welford's update.
/// `None` for a single value.
pub fn stddev(values: &[f64]) -> Result<Option<f64>, StatsError> {
    let sorted = sorted(values)?;
    let (_, squares) = moments(&sorted);
    Ok((sorted.len() > 1).then(|| (squares / (sorted.len() - 1) as f64).sqrt()))
}

/// The middle value; for an even number of values the mean of the two middle
/// ones.
pub fn median(values: &[f64]) -> Result<f64, StatsError> {
    Ok(median_of_sorted(&sorted(values)?))
}

/// The `p`-quantile of type 7: linear interpolation between the order
/// statistics at h = (n − 1)·p (Hyndman & Fan, "Sample quantiles in
/// statistical packages", The American Statistician 50, 1996). It is the
/// default of R, NumPy and Julia, and `quantile(x, 0.5)` is [`median`].
pub fn quantile(values: &[f64], p: f64) -> Result<f64, StatsError> {
    if !(0.0..=1.0).contains(&p) {
        return Err(StatsError::NotAProbability);
    }
    check(values)?;
    Ok(quantile_of_sorted(&sorted(values)?, p))
}

pub(crate) fn median_of_sorted(sorted: &[f64]) -> f64 {
    quantile_of_sorted(sorted, 0.5)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the index lies between zero and the length"
)]
pub(crate) fn quantile_of_sorted(sorted: &[f64], p: f64) -> f64 {
    let at = (sorted.len() - 1) as f64 * p;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let (low, high) = (sorted[below], sorted[above]);
    (low + (high - low) * (at - at.floor())).clamp(low, high)
}

/// Mean and sum of squared deviations.
fn moments(values: &[f64]) -> (f64, f64) {
    let (mut mean, mut squares) = (0.0, 0.0);
    for (before, value) in values.iter().enumerate() {
        let delta = value - mean;
        mean += delta / (before + 1) as f64;
        squares += delta * (value - mean);
    }
    (mean, squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn textbook_values() {
        let values = [7.0, 15.0, 36.0, 39.0, 40.0, 41.0];
        // Type 7, as R's `quantile(x)` gives it.
        assert_eq!(quantile(&values, 0.25), Ok(20.25));
        assert_eq!(median(&values), Ok(37.5));
        assert_eq!(quantile(&values, 0.75), Ok(39.75));
        assert_eq!(quantile(&values, 0.0), Ok(7.0));
        assert_eq!(quantile(&values, 1.0), Ok(41.0));
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Ok(3.0));
        assert_eq!(
            stddev(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]),
            Ok(Some((32.0_f64 / 7.0).sqrt()))
        );
    }

    #[test]
    fn one_value_has_no_spread() {
        assert_eq!(stddev(&[3.0]), Ok(None));
        assert_eq!(median(&[3.0]), Ok(3.0));
    }

    #[test]
    fn what_is_not_a_sample_is_refused() {
        assert_eq!(median(&[]), Err(StatsError::Empty));
        assert_eq!(mean(&[1.0, f64::NAN]), Err(StatsError::NotFinite { index: 1 }));
        assert_eq!(quantile(&[1.0], 1.1), Err(StatsError::NotAProbability));
        assert_eq!(quantile(&[1.0], f64::NAN), Err(StatsError::NotAProbability));
    }
}
