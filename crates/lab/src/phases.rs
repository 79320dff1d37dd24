use tandem_model::{HostInstant, Phase, TrialPhase};

/// The time from the request to the first phase that a backend reports: its
/// record, its lock, its supervisor.
pub(crate) const LAUNCH: &str = "launch";

/// The time from the last phase that a backend reports to the first answer.
pub(crate) const APP: &str = "app";

/// Turns a backend's phases into slices that cover a launch from the request
/// at `t0` to `finish` without gap or overlap, so that they add up to the time
/// to the first response. A gap before a phase is that phase's own: it was
/// being reached. Whatever a backend itself reports as `app` is part of the
/// last slice.
pub(crate) fn contiguous(
    t0: HostInstant,
    phases: &[Phase],
    finish: HostInstant,
) -> Vec<TrialPhase> {
    let total = finish.since(t0);
    let mut slices = seen(t0, phases);
    slices.retain(|slice| slice.name != APP);
    for slice in &mut slices {
        slice.start_ns = slice.start_ns.min(total);
        slice.end_ns = slice.end_ns.min(total);
    }
    let start_ns = slices.last().map_or(0, |last| last.end_ns);
    slices.push(TrialPhase { name: APP.to_owned(), start_ns, end_ns: total });
    slices
}

/// The same for a launch that has not answered: it ends with the last phase
/// that was reported.
pub(crate) fn seen(t0: HostInstant, phases: &[Phase]) -> Vec<TrialPhase> {
    let mut slices = Vec::new();
    let mut end = 0;
    if let Some(first) = phases.first() {
        end = first.start.since(t0);
        slices.push(TrialPhase { name: LAUNCH.to_owned(), start_ns: 0, end_ns: end });
    }
    for phase in phases {
        let start_ns = end;
        end = phase.end.since(t0).max(start_ns);
        slices.push(TrialPhase { name: phase.name.clone(), start_ns, end_ns: end });
    }
    slices
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn phase(name: &str, start: u64, end: u64) -> Phase {
        Phase { name: name.to_owned(), start: HostInstant(start), end: HostInstant(end) }
    }

    #[test]
    fn gaps_belong_to_what_was_being_reached() {
        let phases = [phase("rootfs", 120, 150), phase("create", 160, 200), phase("app", 200, 230)];
        let slices = contiguous(HostInstant(100), &phases, HostInstant(250));
        let plain: Vec<_> =
            slices.iter().map(|s| (s.name.as_str(), s.start_ns, s.end_ns)).collect();
        let expected =
            [("launch", 0, 20), ("rootfs", 20, 50), ("create", 50, 100), ("app", 100, 150)];
        assert_eq!(plain, expected);
        let bare = contiguous(HostInstant(100), &[], HostInstant(250));
        assert_eq!(bare, [TrialPhase { name: "app".into(), start_ns: 0, end_ns: 150 }]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn slices_always_add_up(
            times in prop::collection::vec((0..2000_u64, 0..2000_u64), 0..6),
            finish in 500..1500_u64,
        ) {
            let phases: Vec<_> = times.iter().map(|(start, end)| phase("x", *start, *end)).collect();
            let slices = contiguous(HostInstant(500), &phases, HostInstant(finish));
            prop_assert_eq!(slices[0].start_ns, 0);
            prop_assert!(slices.windows(2).all(|pair| pair[0].end_ns == pair[1].start_ns));
            let total: u64 = slices.iter().map(|slice| slice.end_ns - slice.start_ns).sum();
            prop_assert_eq!(total, finish - 500);
        }
    }
}
