use crate::{StatsError, descriptive::quantile_of_sorted, error::sorted};

/// Tukey's inner fences: values beyond them are marked, and kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fences {
    /// Q1 − 1.5·(Q3 − Q1).
    pub low: f64,
    /// Q3 + 1.5·(Q3 − Q1).
    pub high: f64,
}

impl Fences {
    /// Whether a value lies beyond a fence.
    pub fn is_outlier(&self, value: f64) -> bool {
        value < self.low || value > self.high
    }
}

/// The fences at one and a half interquartile ranges beyond the quartiles
/// (Tukey, "Exploratory Data Analysis", 1977, § 2D), with type-7 quartiles.
/// With fewer than four values nothing can lie beyond them.
pub fn fences(values: &[f64]) -> Result<Fences, StatsError> {
    let sorted = sorted(values)?;
    let (first, third) = (quantile_of_sorted(&sorted, 0.25), quantile_of_sorted(&sorted, 0.75));
    let reach = 1.5 * (third - first);
    Ok(Fences { low: first - reach, high: third + reach })
}

/// Whether each value, in the order given, lies beyond [`fences`].
pub fn outliers(values: &[f64]) -> Result<Vec<bool>, StatsError> {
    let fences = fences(values)?;
    Ok(values.iter().map(|value| fences.is_outlier(*value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_far_value_is_marked_in_its_place() {
        let values = [10.0, 90.0, 11.0, 12.0, 11.5, 10.5];
        assert_eq!(outliers(&values).unwrap(), [false, true, false, false, false, false]);
        // Quartiles 10.625 and 11.875.
        assert_eq!(fences(&values), Ok(Fences { low: 8.75, high: 13.75 }));
    }

    #[test]
    fn equal_values_have_no_outliers() {
        assert_eq!(outliers(&[5.0; 8]).unwrap(), [false; 8]);
        assert_eq!(outliers(&[1.0, 2.0, 1e9]).unwrap(), [false; 3]);
    }
}
