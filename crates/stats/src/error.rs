/// Why a statistic cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatsError {
    /// There are no values.
    #[error("no values were measured: run at least one trial")]
    Empty,
    /// A value is not a number or is infinite.
    #[error(
        "value {index} is not a finite number: leave failed trials out, do not record a number for them"
    )]
    NotFinite {
        /// Its place, from zero.
        index: usize,
    },
    /// A ratio needs positive values in the denominator and none below zero
    /// in the numerator.
    #[error(
        "value {index} is not positive: a ratio of medians needs times, sizes or rates above zero"
    )]
    NotPositive {
        /// Its place, from zero.
        index: usize,
    },
    /// A quantile outside 0 to 1 was asked for.
    #[error("a quantile lies between 0 and 1")]
    NotAProbability,
}

/// The values in ascending order, or why there are none.
pub(crate) fn sorted(values: &[f64]) -> Result<Vec<f64>, StatsError> {
    check(values)?;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Ok(sorted)
}

/// Refuses empty samples and values that are not finite.
pub(crate) fn check(values: &[f64]) -> Result<(), StatsError> {
    if values.is_empty() {
        return Err(StatsError::Empty);
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(StatsError::NotFinite { index }),
        None => Ok(()),
    }
}
