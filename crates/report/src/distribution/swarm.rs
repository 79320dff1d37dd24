/// Vertical offsets that keep marks at the given places apart, and the
/// largest of them: each mark goes to the free level nearest the middle, in
/// the order of places. After `LEVELS` levels on each side marks overlap.
pub(super) fn swarm(places: &[f64], radius: f64) -> (Vec<f64>, f64) {
    const LEVELS: i32 = 6;
    let step = radius * 2.0 + 1.0;
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|a, b| places[*a].total_cmp(&places[*b]));
    let mut ends: std::collections::BTreeMap<i32, f64> = std::collections::BTreeMap::new();
    let mut offsets = vec![0.0; places.len()];
    let mut reach = 0.0_f64;
    for at in order {
        let levels = (0..=LEVELS).flat_map(|level| [level, -level]);
        let level = levels
            .into_iter()
            .find(|level| ends.get(level).is_none_or(|end| end + step <= places[at]))
            .unwrap_or(0);
        ends.insert(level, places[at]);
        offsets[at] = f64::from(level) * step;
        reach = reach.max(offsets[at].abs());
    }
    (offsets, reach)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_do_not_touch() {
        let places = [10.0, 11.0, 10.5, 30.0, 12.0];
        let (offsets, reach) = swarm(&places, 4.0);
        for one in 0..places.len() {
            for other in 0..one {
                let apart = (places[one] - places[other]).hypot(offsets[one] - offsets[other]);
                assert!(apart >= 8.0, "{one} {other}: {apart}");
            }
        }
        assert!(offsets[3].abs() < 1e-9 && reach > 8.0);
    }
}
