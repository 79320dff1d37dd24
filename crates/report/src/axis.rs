//! Round numbers along an axis.

use plotters::coord::{
    ranged1d::{BoldPoints, Ranged},
    types::RangedCoordf64,
};

use tandem_model::Unit;

use crate::{
    canvas::{Anchor, Canvas, Pen},
    chart::Rect,
    text::{Weight, width},
};

/// Font size of tick labels.
pub(crate) const TICK: f64 = 12.0;

/// Places on an axis, in the unit of the data, with their words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ticks(pub(crate) Vec<(f64, String)>);

/// Times from zero to `max` nanoseconds, in one unit.
pub(crate) fn time_ticks(max: f64, at_most: usize) -> Ticks {
    let (size, unit) = if max >= 1e9 {
        (1e9, "s")
    } else if max >= 1e6 {
        (1e6, "ms")
    } else {
        (1e3, "µs")
    };
    decimal_ticks(0.0, max / size, at_most, size, unit)
}

/// Values of `unit` from `min` to `max`, in one unit of words.
pub(crate) fn ticks_between(min: f64, max: f64, unit: Unit, at_most: usize) -> Ticks {
    let units: &[(f64, &str)] = match unit {
        Unit::Ns => &[(1e9, "s"), (1e6, "ms"), (1e3, "µs")],
        Unit::Bytes => &[(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB")],
        _ => &[],
    };
    let words = units.iter().find(|(size, _)| max >= *size).or(units.last());
    let (size, word) = words.copied().unwrap_or((1.0, ""));
    decimal_ticks(min / size, max / size, at_most, size, word)
}

/// Shares of one processor from zero to `max` processors.
pub(crate) fn cpu_ticks(max: f64, at_most: usize) -> Ticks {
    decimal_ticks(0.0, max * 100.0, at_most, 0.01, "%")
}

/// Amounts from zero to `max` bytes, at steps that are powers of two.
pub(crate) fn byte_ticks(max: f64, at_most: usize) -> Ticks {
    let mut step = 1.0;
    while max / step + 1.0 > at_most.max(2) as f64 {
        step *= 2.0;
    }
    let (size, unit) = [(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB")]
        .into_iter()
        .find(|(size, _)| max >= *size * 2.0)
        .unwrap_or((1.0, "B"));
    let ticks =
        (0_u32..).map(|i| f64::from(i) * step).take_while(|value| *value <= max * 1.000_001);
    Ticks(ticks.map(|value| (value, format!("{} {unit}", value / size))).collect())
}

/// How an axis names its unit to whoever points at it.
pub(crate) fn unit_word(unit: Unit) -> &'static str {
    match unit {
        Unit::Ns => "ns",
        Unit::Bytes => "bytes",
        Unit::Count => "count",
        Unit::Ratio => "ratio",
        Unit::PerSecond => "per_second",
        Unit::BytesPerSecond => "bytes_per_second",
        Unit::Boolean => "boolean",
    }
}

fn decimal_ticks(min: f64, max: f64, at_most: usize, size: f64, unit: &str) -> Ticks {
    let values = RangedCoordf64::from(min..max).key_points(BoldPoints(at_most.max(2)));
    let step = values.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    let digits = if step.is_finite() && step > 0.0 {
        (0..6).find(|digits| is_whole(step * 10_f64.powi(*digits))).unwrap_or(6)
    } else {
        0
    };
    let digits = usize::try_from(digits).unwrap_or(0);
    Ticks(
        values
            .into_iter()
            .map(|v| (v * size, format!("{:.digits$} {unit}", v + 0.0).trim_end().to_owned()))
            .collect(),
    )
}

fn is_whole(value: f64) -> bool {
    (value - value.round()).abs() < 1e-6 * value.abs().max(1.0)
}

/// The next of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten at or above
/// `value`: an axis that grows with live data moves in few steps.
pub(crate) fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let scale = 10_f64.powf(value.log10().floor());
    [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
        .into_iter()
        .map(|step| step * scale)
        .find(|step| *step >= value * 0.999_999)
        .unwrap_or(value)
}

/// Draws faint vertical lines over `plot` and their words beneath it. Words
/// that would touch their neighbour or leave the picture (`bounds`) are left
/// out.
pub(crate) fn draw_x(
    canvas: &Canvas,
    ticks: &Ticks,
    plot: Rect,
    bounds: (f64, f64),
    scale: impl Fn(f64) -> f64,
    pens: (Pen, Pen),
) {
    let (grid, words) = pens;
    let mut free_from = bounds.0;
    for (value, word) in &ticks.0 {
        let at = scale(*value);
        canvas.line((at, plot.y), (at, plot.bottom()), 1.0, grid.colour);
        let half = width(word, TICK, Weight::Regular) / 2.0;
        // The first word may move to the right of its line to stay whole.
        let x = if *value == 0.0 { at.max(bounds.0 + half) } else { at };
        if x - half >= free_from && x + half <= bounds.1 {
            canvas.text(word, x, plot.bottom() + 14.0, Anchor::Middle, words);
            free_from = x + half + 10.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(ticks: &Ticks) -> Vec<&str> {
        ticks.0.iter().map(|(_, word)| word.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_in_one_unit() {
        assert_eq!(words(&time_ticks(8.6e9, 6)), ["0 s", "2 s", "4 s", "6 s", "8 s"]);
        assert_eq!(words(&time_ticks(340e6, 5)), ["0 ms", "100 ms", "200 ms", "300 ms"]);
        assert_eq!(words(&time_ticks(1.2e9, 4)), ["0.0 s", "0.5 s", "1.0 s"]);
        assert_eq!(words(&byte_ticks(f64::from(350 << 20), 5)), ["0 MiB", "128 MiB", "256 MiB"]);
        assert_eq!(words(&cpu_ticks(2.0, 4)), ["0 %", "100 %", "200 %"]);
    }

    #[test]
    fn any_range_has_ticks_within_it() {
        for exponent in -3..20 {
            for factor in [1.0, 1.7, 3.3, 9.99] {
                let max = factor * 10_f64.powi(exponent);
                for ticks in [time_ticks(max, 6), byte_ticks(max, 6)] {
                    assert!(!ticks.0.is_empty() && ticks.0.len() <= 8, "{max} {ticks:?}");
                    assert!(ticks.0.iter().all(|(value, _)| *value <= max * 1.000_01), "{max}");
                }
                assert!(round_up(max) >= max * 0.999 && round_up(max) <= max * 2.0);
            }
        }
    }
}
