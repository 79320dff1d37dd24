use crate::text::{Weight, width, wrap_parts};

/// Font size of phase labels.
pub(super) const PHASE: f64 = 12.0;
/// Distance of the lines beneath a bar.
pub(super) const LINE: f64 = 17.0;
const GAP: f64 = 16.0;
const DOT: &str = " · ";

/// A slice as labels see it: its place in pixels and its words.
pub(super) struct Place {
    pub(super) left: f64,
    /// Right edge, or where something else begins that text must not touch.
    pub(super) right: f64,
    pub(super) words: String,
}

/// Where the words of a bar's slices go.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Labels {
    /// Slice and words in the middle of it.
    pub(super) inside: Vec<usize>,
    /// Words to the right of the value.
    pub(super) beside: Option<String>,
    /// Left edge, line and words beneath the bar.
    pub(super) beneath: Vec<(f64, usize, String)>,
}

impl Labels {
    /// Lines beneath the bar.
    pub(super) fn lines(&self) -> usize {
        self.beneath.iter().map(|(_, line, _)| line + 1).max().unwrap_or(0)
    }
}

/// Places the words: within their slice where they fit; all beside the value
/// when none fits and there is room; else beneath the bar, neighbours
/// joined, each at its slice, on as many lines as keep them apart.
pub(super) fn place(places: &[Place], beside_from: f64, bounds: (f64, f64)) -> Labels {
    let (left, right) = bounds;
    let wide = |text: &str| width(text, PHASE, Weight::Regular);
    let named: Vec<usize> = (0..places.len()).filter(|&at| !places[at].words.is_empty()).collect();
    let fits = |place: &Place| wide(&place.words) + 12.0 <= place.right - place.left;
    let inside: Vec<usize> = named.iter().copied().filter(|&at| fits(&places[at])).collect();
    if inside.is_empty() {
        let words: Vec<&str> = named.iter().map(|&at| places[at].words.as_str()).collect();
        let all = words.join(DOT);
        if !all.is_empty() && beside_from + wide(&all) <= right {
            return Labels { beside: Some(all), ..Labels::default() };
        }
        let lines = wrap_parts(&words, DOT, right - left, PHASE, Weight::Regular, 4);
        let beneath =
            lines.into_iter().enumerate().map(|(line, text)| (left, line, text)).collect();
        return Labels { beneath, ..Labels::default() };
    }
    let mut beneath: Vec<(f64, usize, String)> = Vec::new();
    let mut ends: Vec<f64> = Vec::new();
    for run in runs(&named, &inside) {
        let words: Vec<&str> = run.iter().map(|&at| places[at].words.as_str()).collect();
        let lines = wrap_parts(&words, DOT, right - left, PHASE, Weight::Regular, 4);
        let widest = lines.iter().map(|line| wide(line)).fold(0.0, f64::max);
        let x = places[run[0]].left.min(right - widest).max(left);
        let line = ends.iter().position(|end| end + GAP <= x).unwrap_or(ends.len());
        for (below, text) in lines.into_iter().enumerate() {
            let line = line + below;
            ends.resize(ends.len().max(line + 1), f64::NEG_INFINITY);
            ends[line] = x + wide(&text);
            beneath.push((x, line, text));
        }
    }
    Labels { inside, beside: None, beneath }
}

/// Neighbouring slices whose words are not inside.
fn runs(named: &[usize], inside: &[usize]) -> Vec<Vec<usize>> {
    let mut runs: Vec<Vec<usize>> = Vec::new();
    let mut open = false;
    for at in named {
        if inside.contains(at) {
            open = false;
        } else {
            match runs.last_mut() {
                Some(run) if open => run.push(*at),
                _ => runs.push(vec![*at]),
            }
            open = true;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places(widths: &[f64]) -> Vec<Place> {
        let mut left = 100.0;
        widths
            .iter()
            .enumerate()
            .map(|(at, wide)| {
                let place =
                    Place { left, right: left + wide, words: format!("phase{at} 0.{at}1 s") };
                left += wide;
                place
            })
            .collect()
    }

    #[test]
    fn a_short_bar_is_described_beside_it() {
        let found = place(&places(&[3.0, 9.0]), 180.0, (100.0, 700.0));
        assert_eq!(found.beside.as_deref(), Some("phase0 0.01 s · phase1 0.11 s"));
        let found = place(&places(&[3.0, 9.0]), 600.0, (100.0, 700.0));
        assert_eq!(found.beneath.len(), 1);
    }

    #[test]
    fn narrow_slices_between_wide_ones_are_described_beneath() {
        let found = place(&places(&[5.0, 300.0, 8.0, 200.0]), 640.0, (100.0, 700.0));
        assert_eq!(found.inside, [1, 3]);
        let beneath: Vec<&str> = found.beneath.iter().map(|(_, _, text)| text.as_str()).collect();
        assert_eq!(beneath, ["phase0 0.01 s", "phase2 0.21 s"]);
        assert_eq!(found.lines(), 1);
    }

    proptest! {
        #[test]
        fn words_never_touch(widths in prop::collection::vec(0.0..200.0_f64, 0..10), room in 200.0..900.0_f64) {
            let bounds = (100.0, 100.0 + room);
            let places = places(&widths);
            let found = place(&places, 160.0, bounds);
            let boxes: Vec<_> = found.beneath.iter().map(|(x, line, text)| {
                (*x, x + width(text, PHASE, Weight::Regular), *line)
            }).collect();
            for (at, one) in boxes.iter().enumerate() {
                prop_assert!(one.0 >= bounds.0 - 0.01 && one.1 <= bounds.1 + 0.01);
                for other in &boxes[..at] {
                    prop_assert!(one.2 != other.2 || one.0 >= other.1 || other.0 >= one.1);
                }
            }
        }
    }
}
