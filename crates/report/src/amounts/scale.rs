use tandem_model::Unit;

use super::Style;
use crate::axis::{Ticks, ticks_between};

/// Where a value lies on the axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    style: Style,
    low: f64,
    high: f64,
}

impl Scale {
    /// From zero to the largest value, or, where dots are drawn, around one
    /// and all values.
    pub(super) fn over(style: Style, values: impl Iterator<Item = f64>) -> Self {
        let values = values.filter(|value| value.is_finite());
        if style == Style::Bars {
            let high = values.fold(0.0, f64::max);
            return Self { style, low: 0.0, high: if high > 0.0 { high } else { 1.0 } };
        }
        let (low, high) =
            values.fold((1.0_f64, 1.0_f64), |(low, high), it| (low.min(it), high.max(it)));
        // A mark at the edge stays whole.
        Self { style, low: low.max(1e-12) / 1.2, high: high.min(1e12) * 1.2 }
    }

    /// The ends of the axis.
    pub(super) fn domain(&self) -> [f64; 2] {
        [self.low, self.high]
    }

    /// The part of the axis that lies before a value, 0 to 1.
    pub(super) fn share(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        match self.style {
            Style::Bars => value / self.high,
            Style::Dots => (value / self.low).ln() / (self.high / self.low).ln(),
        }
    }

    pub(super) fn ticks(&self, unit: Unit, narrow: bool) -> Ticks {
        if self.style == Style::Bars {
            return ticks_between(0.0, self.high, unit, if narrow { 3 } else { 6 });
        }
        let decades = (self.high / self.low).log10();
        let steps: &[f64] = if decades > 3.0 || narrow { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let powers = -12..=12;
        let all = powers.flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
        let within = all.filter(|value| (self.low..=self.high).contains(value));
        let word = |value: f64| {
            let text = format!("{value:.12}");
            format!("{}×", text.trim_end_matches('0').trim_end_matches('.'))
        };
        Ticks(within.map(|value| (value, word(value))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_and_twice_are_equally_far_from_one() {
        let scale = Scale::over(Style::Dots, [0.5, 2.0, f64::NAN].into_iter());
        let [half, one, twice] = [0.5, 1.0, 2.0].map(|value| scale.share(value));
        assert!((one - half - (twice - one)).abs() < 1e-9, "{half} {one} {twice}");
        assert!(half > 0.0 && twice < 1.0);
        let Ticks(ticks) = scale.ticks(Unit::Ratio, false);
        let words: Vec<&str> = ticks.iter().map(|(_, word)| word.as_str()).collect();
        assert_eq!(words, ["0.5×", "1×", "2×"]);
    }

    #[test]
    fn bars_begin_at_zero() {
        let scale = Scale::over(Style::Bars, [4.0, 8.0].into_iter());
        assert!((scale.share(4.0) - 0.5).abs() < 1e-9 && scale.share(-1.0) == 0.0);
        let [low, high] = Scale::over(Style::Bars, std::iter::empty()).domain();
        assert!(low.abs() < 1e-9 && (high - 1.0).abs() < 1e-9, "{low} to {high}");
    }
}
