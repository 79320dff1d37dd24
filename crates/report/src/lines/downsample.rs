/// At most four points for each of `columns` columns of pixels: the first,
/// the lowest, the highest and the last one, in their order. A line through
/// them colours the same pixels as a line through all points (M4: Jugel and
/// others, "M4: a visualization-oriented time series data aggregation",
/// VLDB 7, 2014): no peak is lost, which averages would do.
///
/// Points that are not finite are left out. The rest is sorted by time.
pub(crate) fn downsample(points: &[[f64; 2]], domain: [f64; 2], columns: usize) -> Vec<(f64, f64)> {
    let [from, to] = domain;
    let mut points: Vec<(f64, f64)> = points
        .iter()
        .filter(|point| point.iter().all(|value| value.is_finite()))
        .filter(|[at, _]| (from..=to).contains(at))
        .map(|&[at, value]| (at, value))
        .collect();
    if !points.is_sorted_by(|a, b| a.0 <= b.0) {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    if points.len() <= columns {
        return points;
    }
    points
        .chunk_by(|a, b| column(a.0, domain, columns) == column(b.0, domain, columns))
        .flat_map(extremes)
        .collect()
}

/// The first, lowest, highest and last of some points, in their order, each
/// once.
fn extremes(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> + use<> {
    let (mut lowest, mut highest) = (0, 0);
    for (at, point) in points.iter().enumerate() {
        if point.1 < points[lowest].1 {
            lowest = at;
        }
        if point.1 > points[highest].1 {
            highest = at;
        }
    }
    let last = points.len() - 1;
    let order = [0, lowest.min(highest), lowest.max(highest), last];
    let mut kept: Vec<(f64, f64)> = Vec::with_capacity(order.len());
    for (at, index) in order.into_iter().enumerate() {
        if at == 0 || index != order[at - 1] {
            kept.push(points[index]);
        }
    }
    kept.into_iter()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the column lies between zero and the number of columns"
)]
fn column(at: f64, [from, to]: [f64; 2], columns: usize) -> u64 {
    ((at - from) / (to - from).max(f64::MIN_POSITIVE) * columns as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_spike_survives() {
        let mut points: Vec<[f64; 2]> = (0..10_000).map(|i| [f64::from(i), 1.0]).collect();
        points[4321][1] = 9.0;
        let kept = downsample(&points, [0.0, 10_000.0], 100);
        assert!(kept.len() <= 400, "{}", kept.len());
        assert!(kept.contains(&(4321.0, 9.0)));
        assert_eq!((kept[0], kept[kept.len() - 1]), ((0.0, 1.0), (9999.0, 1.0)));
        assert!(kept.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    }

    #[test]
    fn few_points_are_all_kept() {
        let points = [[0.0, 1.0], [5.0, 2.0], [f64::NAN, 3.0], [3.0, 4.0], [99.0, 1.0]];
        assert_eq!(downsample(&points, [0.0, 10.0], 100), [(0.0, 1.0), (3.0, 4.0), (5.0, 2.0)]);
    }
}
