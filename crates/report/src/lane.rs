use std::fmt::Write as _;

use tandem_model::{Accelerator, BackendKind, Lane};

use crate::theme::{Colour, Theme};

/// The shape that stands for a lane besides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Disc,
    Square,
    Diamond,
}

/// How a lane looks in every chart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Fills and lines.
    pub(crate) fill: Colour,
    /// Text in the lane's colour.
    pub(crate) text: Colour,
    /// Marks of single values.
    pub(crate) shape: Shape,
}

/// Bluish green, reddish purple and orange: what the set of Okabe and Ito
/// ("Color Universal Design", 2008) has beside the lanes' own colours that
/// can be told from them on both grounds.
const OTHERS: [Colour; 3] =
    [Colour(0x00, 0x9e, 0x73), Colour(0xcc, 0x79, 0xa7), Colour(0xe6, 0x9f, 0x00)];

/// The name of a lane for people: `Container`, `VM · micro`,
/// `Container (2)`. A text that is no lane is its own name.
pub fn lane_name(id: &str) -> String {
    let (lane, number) = split_number(id);
    let Ok(lane) = lane.parse::<Lane>() else { return id.to_owned() };
    let mut name = match lane.backend {
        BackendKind::Process => "Process".to_owned(),
        BackendKind::Container => "Container".to_owned(),
        BackendKind::Vm => "VM".to_owned(),
        BackendKind::Docker => "Docker".to_owned(),
        BackendKind::Podman => "Podman".to_owned(),
    };
    if let Some(profile) = lane.profile {
        name.push_str(" · ");
        name.push_str(profile.as_str());
    }
    if let Some(number) = number {
        let _ = write!(name, " ({number})");
    }
    name
}

/// What a reader must know of the accelerator: `emulated` for software
/// emulation.
pub fn accelerator_words(accelerator: Option<Accelerator>) -> Option<&'static str> {
    accelerator.map(|accelerator| match accelerator {
        Accelerator::Kvm => "KVM",
        Accelerator::Tcg => "emulated",
    })
}

/// The accelerators of a chart's lanes for its note, e.g. `VM · micro:
/// emulated`; empty when no lane has one.
pub(crate) fn accelerator_note<'a>(
    lanes: impl Iterator<Item = (&'a str, Option<Accelerator>)>,
) -> Vec<String> {
    lanes
        .filter_map(|(id, accelerator)| {
            Some(format!("{}: {}", lane_name(id), accelerator_words(accelerator)?))
        })
        .collect()
}

/// The name with what a reader must know of it: `VM · micro, emulated`.
pub fn lane_title(id: &str, accelerator: Option<Accelerator>) -> String {
    match accelerator_words(accelerator) {
        Some(words) => format!("{}, {words}", lane_name(id)),
        None => lane_name(id),
    }
}

/// The looks of lanes that stand in one chart. A lane alone looks as it does
/// among others, unless two lanes of one backend differ only in their
/// profile or accelerator: then the later one takes the next colour.
pub(crate) fn looks(ids: &[&str], theme: Theme) -> Vec<Look> {
    let palette = theme.palette();
    let mut taken: Vec<Colour> = Vec::new();
    ids.iter()
        .map(|id| {
            let (lane, number) = split_number(id);
            let backend = lane.parse::<Lane>().ok().map(|lane| lane.backend);
            let (own, shape) = match backend {
                Some(BackendKind::Container) => (palette.container, Shape::Disc),
                Some(BackendKind::Vm) => (palette.vm, Shape::Square),
                Some(BackendKind::Docker) => (OTHERS[0], Shape::Disc),
                Some(BackendKind::Podman) => (OTHERS[1], Shape::Disc),
                _ => (palette.process, Shape::Diamond),
            };
            let wanted = match number {
                Some(number) if number >= 2 => OTHERS[(number - 2) % OTHERS.len()],
                _ => own,
            };
            let free = || OTHERS.into_iter().find(|other| !taken.contains(other));
            let fill = if taken.contains(&wanted) { free().unwrap_or(wanted) } else { wanted };
            taken.push(fill);
            Look { fill, text: fill.readable_on(palette.surface, palette.ink), shape }
        })
        .collect()
}

fn split_number(id: &str) -> (&str, Option<usize>) {
    match id.rsplit_once('#') {
        Some((lane, number)) => match number.parse() {
            Ok(number) => (lane, Some(number)),
            Err(_) => (id, None),
        },
        None => (id, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words() {
        assert_eq!(lane_name("container"), "Container");
        assert_eq!(lane_name("vm/micro@tcg"), "VM · micro");
        assert_eq!(lane_name("container#2"), "Container (2)");
        assert_eq!(lane_name("<b>"), "<b>");
    }

    #[test]
    fn no_two_lanes_share_a_colour() {
        let ids = ["container", "vm/micro@tcg", "vm/micro@kvm", "docker", "process"];
        let fills: Vec<Colour> = looks(&ids, Theme::Light).iter().map(|look| look.fill).collect();
        for (at, fill) in fills.iter().enumerate() {
            assert!(!fills[..at].contains(fill), "{fills:?}");
        }
        assert_eq!(fills[0], Theme::Light.palette().container);
        assert_eq!(looks(&["container#2"], Theme::Light)[0].fill, OTHERS[0]);
    }
}
