use tandem_model::{Summary, Unit};

use crate::{
    RESAMPLES, StatsError,
    bootstrap::{FEW, median_ci_of_sorted},
    descriptive::median_of_sorted,
    error::sorted,
    mean, outliers, stddev,
};

/// A sample in numbers: the median with its interval, and what surrounds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Values behind it.
    pub n: usize,
    /// The estimate.
    pub median: f64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Sample standard deviation; `None` for n = 1.
    pub stddev: Option<f64>,
    /// 95 % percentile-bootstrap interval of the median over 10 000 resamples.
    pub ci95: [f64; 2],
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Values beyond Tukey's fences; they are in all the other numbers.
    pub outliers: usize,
    /// Fewer than three values: `ci95` is `[min, max]` and not a 95 %
    /// interval.
    pub too_few: bool,
}

/// Sums up one metric of one lane.
pub fn summarize(values: &[f64], seed: u64) -> Result<Estimate, StatsError> {
    let sorted = sorted(values)?;
    Ok(Estimate {
        n: sorted.len(),
        median: median_of_sorted(&sorted),
        mean: mean(&sorted)?,
        stddev: stddev(&sorted)?,
        ci95: median_ci_of_sorted(&sorted, seed, RESAMPLES),
        min: sorted[0],
        max: sorted[sorted.len() - 1],
        outliers: outliers(&sorted)?.into_iter().filter(|marked| *marked).count(),
        too_few: sorted.len() < FEW,
    })
}

impl Estimate {
    /// The estimate as a result document records it.
    pub fn into_summary(
        self,
        lane: impl Into<String>,
        metric: impl Into<String>,
        unit: Unit,
    ) -> Summary {
        Summary {
            lane: lane.into(),
            metric: metric.into(),
            unit,
            n: u32::try_from(self.n).unwrap_or(u32::MAX),
            median: self.median,
            mean: self.mean,
            stddev: self.stddev,
            ci95: self.ci95,
            min: self.min,
            max: self.max,
            outliers: u32::try_from(self.outliers).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the numbers are exact in binary")]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_is_counted_and_kept() {
        let found = summarize(&[10.0, 11.0, 12.0, 11.5, 10.5, 90.0], 4).unwrap();
        assert_eq!((found.n, found.outliers, found.max), (6, 1, 90.0));
        assert_eq!(found.median, 11.25);
        assert!(found.mean > 24.0);
        assert!(!found.too_few && summarize(&[1.0, 2.0], 4).unwrap().too_few);
        let summary = found.into_summary("container", "first_response", Unit::Ns);
        assert_eq!((summary.n, summary.outliers, summary.ci95), (6, 1, found.ci95));
    }
}
