use tandem_model::TrialPhase;

use tandem_model::format::format_duration;

use crate::theme::Colour;

/// A slice of a bar.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slice {
    /// Begin, nanoseconds since the request.
    pub(super) start: f64,
    /// End.
    pub(super) end: f64,
    /// `kernel 2.41 s`; empty for time that no phase claims.
    pub(super) words: String,
    /// Opaque tint of the lane's colour.
    pub(super) fill: Colour,
}

/// Strength of the tint of time that no phase claims.
const NOBODYS: f64 = 0.16;

/// `kernel 2.41 s`.
pub(super) fn words(phase: &TrialPhase) -> String {
    let length = phase.end_ns.saturating_sub(phase.start_ns) as f64;
    format!("{} {}", phase.name, format_duration(length))
}

/// The phases as contiguous slices from the request to `end`: time between
/// phases becomes a slice without a name, overlaps are drawn once.
pub(super) fn slices(phases: &[TrialPhase], end: f64, lane: Colour, ground: Colour) -> Vec<Slice> {
    let mut phases: Vec<&TrialPhase> = phases.iter().collect();
    phases.sort_by_key(|phase| (phase.start_ns, phase.end_ns));
    let nobodys = |start: f64, end: f64| Slice {
        start,
        end,
        words: String::new(),
        fill: lane.over(ground, NOBODYS),
    };
    let mut slices: Vec<Slice> = Vec::new();
    let mut at = 0.0;
    let mut before = 0.0;
    for phase in phases {
        let (from, to) = ((phase.start_ns as f64).max(at), (phase.end_ns as f64).min(end));
        if to <= from && phase.end_ns > phase.start_ns {
            // Wholly hidden by an earlier phase: the words still stand.
            if let Some(last) = slices.last_mut() {
                last.words = join(&last.words, &words(phase));
                continue;
            }
        }
        if from > at {
            slices.push(nobodys(at, from));
        }
        let strength = strength(&phase.name, before);
        before = strength;
        slices.push(Slice {
            start: from.min(end),
            end: to.max(from).min(end),
            words: words(phase),
            fill: lane.over(ground, strength),
        });
        at = to.max(at);
    }
    if at < end {
        slices.push(nobodys(at, end));
    }
    slices
}

fn join(words: &str, more: &str) -> String {
    if words.is_empty() { more.to_owned() } else { format!("{words} · {more}") }
}

/// How strongly a phase is tinted: by name, so that a phase keeps its tint
/// while others are still to come, and never like its neighbour. What the
/// application does has the full colour.
fn strength(name: &str, before: f64) -> f64 {
    let wanted: f64 = match name {
        "rootfs" | "disk" => 0.36,
        "loader" => 0.42,
        "network" | "spawn" => 0.48,
        "firmware" => 0.54,
        "create" | "kernel" => 0.60,
        "userspace" | "start" => 0.76,
        "systemd" => 0.88,
        "app" => 1.0,
        _ => 0.68,
    };
    if (wanted - before).abs() > 0.05 {
        wanted
    } else if wanted > 0.8 {
        wanted - 0.12
    } else {
        wanted + 0.12
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLUE: Colour = Colour(0, 0, 255);
    const WHITE: Colour = Colour(255, 255, 255);

    fn phase(name: &str, start_ns: u64, end_ns: u64) -> TrialPhase {
        TrialPhase { name: name.into(), start_ns, end_ns }
    }

    fn ends(slices: &[Slice]) -> Vec<(f64, f64, bool)> {
        slices.iter().map(|slice| (slice.start, slice.end, slice.words.is_empty())).collect()
    }

    #[test]
    fn slices_are_contiguous_and_fill_the_bar() {
        let phases = [phase("app", 30, 80), phase("rootfs", 0, 10), phase("create", 10, 20)];
        let found = slices(&phases, 100.0, BLUE, WHITE);
        assert_eq!(
            ends(&found),
            [
                (0.0, 10.0, false),
                (10.0, 20.0, false),
                (20.0, 30.0, true),
                (30.0, 80.0, false),
                (80.0, 100.0, true)
            ]
        );
    }

    #[test]
    fn overlaps_are_drawn_once_and_named() {
        let phases = [phase("rootfs", 0, 50), phase("network", 10, 40), phase("app", 45, 120)];
        let found = slices(&phases, 100.0, BLUE, WHITE);
        assert_eq!(ends(&found), [(0.0, 50.0, false), (50.0, 100.0, false)]);
        assert!(found[0].words.contains("network 30 ns"));
    }

    #[test]
    fn neighbours_differ() {
        let phases = [phase("one", 0, 10), phase("two", 10, 20), phase("three", 20, 30)];
        let found = slices(&phases, 30.0, BLUE, WHITE);
        assert!(found.windows(2).all(|pair| pair[0].fill != pair[1].fill));
        assert_eq!(slices(&[], 30.0, BLUE, WHITE).len(), 1);
        assert!(slices(&[], 0.0, BLUE, WHITE).is_empty());
    }
}
