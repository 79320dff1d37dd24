//! Numbers as people read them; the same words in the window, the terminal
//! and the report.

/// A number that can be shown: nanoseconds, bytes and the like come as whole
/// numbers from clocks and files, and as fractions from statistics.
pub trait Amount: Copy {
    /// The same number as a float; above 2^53 the nearest one.
    fn to_f64(self) -> f64;
}

impl Amount for f64 {
    fn to_f64(self) -> f64 {
        self
    }
}

impl Amount for u64 {
    fn to_f64(self) -> f64 {
        self as f64
    }
}

impl Amount for u32 {
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

/// A time in nanoseconds: `850 ns`, `412 µs`, `1.2 ms`, `12 ms`, `0.34 s`,
/// `8.31 s`, `124.3 s`, `12 min 05 s`. From a tenth of a second on, the unit is
/// the second, so that a short and a long launch stand in one unit.
pub fn format_duration(ns: impl Amount) -> String {
    let ns = ns.to_f64();
    if ns.is_nan() {
        return "–".to_owned();
    }
    let size = ns.abs();
    // The bounds are those at which the rounded number would need one more
    // digit.
    if size < 999.5 {
        number(ns, 0, "ns")
    } else if size < 999.5e3 {
        number(ns / 1e3, 0, "µs")
    } else if size < 9.95e6 {
        number(ns / 1e6, 1, "ms")
    } else if size < 99.5e6 {
        number(ns / 1e6, 0, "ms")
    } else if size < 99.995e9 {
        number(ns / 1e9, 2, "s")
    } else if size < 599.95e9 {
        number(ns / 1e9, 1, "s")
    } else {
        let seconds = (ns / 1e9).round();
        let minutes = (seconds / 60.0).trunc();
        format!("{minutes:.0} min {:02.0} s", (seconds - minutes * 60.0).abs())
    }
}

/// An amount of bytes in binary units: `612 B`, `102 KiB`, `27.4 MiB`,
/// `341 MiB`, `1.5 GiB`.
pub fn format_bytes(bytes: impl Amount) -> String {
    let bytes = bytes.to_f64();
    if bytes.is_nan() {
        return "–".to_owned();
    }
    let mut value = bytes;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value.abs() < 1023.5 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    number(value, usize::from(unit != "B" && value.abs() < 99.95), unit)
}

/// A quotient: `0.05×`, `1.30×`, `24.4×`, `530×`.
pub fn format_ratio(ratio: f64) -> String {
    format!("{}×", ratio_digits(ratio))
}

/// Processors busy, as a share of one: `6 %`, `0.4 %`, `150 %`.
pub fn format_cpus(cpus: f64) -> String {
    let percent = cpus * 100.0;
    if percent.is_nan() {
        return "–".to_owned();
    }
    number(percent, usize::from(percent.abs() < 9.95 && percent != 0.0), "%")
}

/// A number without a unit: whole when it is, else with three digits.
pub fn format_number(value: f64) -> String {
    if value.is_nan() {
        "–".to_owned()
    } else if value.fract() == 0.0 || value.abs() >= 999.5 {
        format!("{:.0}", value + 0.0)
    } else {
        ratio_digits(value)
    }
}

/// A value of any unit; yes or no where it is one.
pub fn format_value(value: f64, unit: crate::Unit) -> String {
    match unit {
        crate::Unit::Ns => format_duration(value),
        crate::Unit::Bytes => format_bytes(value),
        crate::Unit::Ratio => format_ratio(value),
        crate::Unit::PerSecond => format!("{} /s", format_number(value)),
        crate::Unit::BytesPerSecond => format!("{}/s", format_bytes(value)),
        crate::Unit::Boolean if value >= 1.0 => "yes".to_owned(),
        crate::Unit::Boolean if value <= 0.0 => "no".to_owned(),
        _ => format_number(value),
    }
}

/// An interval of values of any unit.
pub fn format_value_interval(interval: [f64; 2], unit: crate::Unit) -> String {
    match unit {
        crate::Unit::Ns => format_duration_interval(interval),
        crate::Unit::Bytes => format_bytes_interval(interval),
        crate::Unit::Ratio => format_ratio_interval(interval),
        _ => joined(interval.map(|value| format_value(value, unit))),
    }
}

/// The cell beside a median. Fewer than three values have a range and no
/// interval, and a yes or no has neither: it is told how often it was yes.
pub fn format_summary_interval(summary: &crate::Summary) -> String {
    let n = summary.n;
    if summary.unit == crate::Unit::Boolean {
        return format!("{:.0} of {n} yes", summary.mean * f64::from(n));
    }
    marked(format_value_interval(summary.ci95, summary.unit), n)
}

/// The interval of a ratio of lanes, marked where it is only a range.
pub fn format_comparison_interval(
    result: &crate::ResultDocument,
    it: &crate::Comparison,
) -> String {
    let of = |lane: &str| {
        let found = result.summary.iter().find(|s| s.lane == lane && s.metric == it.metric);
        found.map_or(u32::MAX, |summary| summary.n)
    };
    marked(format_ratio_interval(it.ci95), of(&it.a).min(of(&it.b)))
}

/// See [`crate::Summary::ci95`].
fn marked(interval: String, n: u32) -> String {
    if n < 3 { format!("{interval} (range)") } else { interval }
}

/// An interval of times in one unit: `0.33–0.36 s`.
pub fn format_duration_interval(interval: [f64; 2]) -> String {
    joined(interval.map(format_duration))
}

/// An interval of amounts: `27.1–27.9 MiB`.
pub fn format_bytes_interval(interval: [f64; 2]) -> String {
    joined(interval.map(format_bytes))
}

/// An interval of quotients: `22.9–25.8×`.
pub fn format_ratio_interval(interval: [f64; 2]) -> String {
    format!("{}–{}×", ratio_digits(interval[0]), ratio_digits(interval[1]))
}

/// Two amounts with an en dash; the unit stands once when it is the same.
fn joined([low, high]: [String; 2]) -> String {
    if low == high {
        return low;
    }
    match (low.rsplit_once(' '), high.rsplit_once(' ')) {
        (Some((number, unit)), Some((other, same))) if unit == same && !number.contains(' ') => {
            format!("{number}–{other} {unit}")
        }
        _ => format!("{low} – {high}"),
    }
}

fn ratio_digits(ratio: f64) -> String {
    let size = ratio.abs();
    if ratio.is_nan() {
        "–".to_owned()
    } else if size >= 99.95 {
        format!("{ratio:.0}")
    } else if size >= 9.995 {
        format!("{ratio:.1}")
    } else if size >= 0.0995 || size == 0.0 {
        format!("{ratio:.2}")
    } else {
        format!("{ratio:.3}")
    }
}

fn number(value: f64, digits: usize, unit: &str) -> String {
    // Adding zero turns −0 into 0.
    format!("{:.digits$} {unit}", value + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_change_unit_without_a_gap() {
        for (ns, text) in [
            (0.0, "0 ns"),
            (850.0, "850 ns"),
            (999.4, "999 ns"),
            (999.6, "1 µs"),
            (412_000.0, "412 µs"),
            (999_600.0, "1.0 ms"),
            (1.24e6, "1.2 ms"),
            (9.96e6, "10 ms"),
            (12.4e6, "12 ms"),
            (99.6e6, "0.10 s"),
            (340e6, "0.34 s"),
            (8.31e9, "8.31 s"),
            (99.996e9, "100.0 s"),
            (124.3e9, "124.3 s"),
            (725.0e9, "12 min 05 s"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(format_duration(ns), text, "{ns}");
        }
    }

    #[test]
    fn bytes_keep_three_digits() {
        for (bytes, text) in [
            (0.0, "0 B"),
            (612.0, "612 B"),
            (1023.6, "1.0 KiB"),
            (104_448.0, "102 KiB"),
            (27.4 * 1_048_576.0, "27.4 MiB"),
            (99.96 * 1_048_576.0, "100 MiB"),
            (341.2 * 1_048_576.0, "341 MiB"),
            (1.5 * 1_073_741_824.0, "1.5 GiB"),
        ] {
            assert_eq!(format_bytes(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn quotients_and_shares() {
        assert_eq!(format_ratio(24.41), "24.4×");
        assert_eq!(format_ratio(1.3), "1.30×");
        assert_eq!(format_ratio(529.6), "530×");
        assert_eq!(format_ratio(0.041), "0.041×");
        assert_eq!(format_cpus(0.0), "0 %");
        assert_eq!(format_cpus(0.004), "0.4 %");
        assert_eq!(format_cpus(1.5), "150 %");
    }

    #[test]
    fn what_is_no_interval_is_not_called_one() {
        let summary = |unit, n, mean, ci95| crate::Summary {
            lane: "container".to_owned(),
            metric: "m".to_owned(),
            unit,
            n,
            median: mean,
            mean,
            stddev: None,
            ci95,
            min: ci95[0],
            max: ci95[1],
            outliers: 0,
        };
        let told = |unit, n, mean, ci95| format_summary_interval(&summary(unit, n, mean, ci95));
        assert_eq!(told(crate::Unit::Boolean, 3, 2.0 / 3.0, [0.0, 1.0]), "2 of 3 yes");
        assert_eq!(told(crate::Unit::Ns, 2, 4e9, [3e9, 5e9]), "3.00–5.00 s (range)");
        assert_eq!(told(crate::Unit::Ns, 3, 4e9, [3e9, 5e9]), "3.00–5.00 s");
        assert_eq!(format_value(1234.0, crate::Unit::PerSecond), "1234 /s");
    }

    #[test]
    fn an_interval_names_its_unit_once() {
        assert_eq!(format_duration_interval([330e6, 360e6]), "0.33–0.36 s");
        assert_eq!(format_duration_interval([95e6, 105e6]), "95 ms – 0.10 s");
        assert_eq!(format_ratio_interval([22.9, 25.8]), "22.9–25.8×");
        assert_eq!(format_bytes_interval([28_416_410.0, 29_255_270.0]), "27.1–27.9 MiB");
    }
}
