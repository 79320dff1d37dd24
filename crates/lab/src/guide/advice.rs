use tandem_model::{Accelerator, BackendKind, format::format_duration};

use super::{LaneFit, Scarce};

/// When to choose which. Every sentence about a kind of lane says what keeps
/// its instances apart, for that is what numbers do not show.
pub(super) fn of(lanes: &[LaneFit]) -> Vec<String> {
    let mut advice: Vec<String> = lanes.iter().map(of_lane).collect();
    let most = |wanted: fn(&LaneFit) -> bool| {
        lanes.iter().filter(|lane| wanted(lane)).max_by_key(|lane| lane.fits)
    };
    let container = most(|lane| is_container(lane.backend));
    let vm = most(|lane| lane.backend == BackendKind::Vm);
    if let (Some(container), Some(vm)) = (container, vm) {
        advice.push(format!(
            "On this machine fit {} of {} or {} of {}: what more of them cost is isolation, so choose by whom you trust first and by number second.",
            container.fits, container.lane, vm.fits, vm.lane
        ));
    }
    advice
}

fn is_container(backend: BackendKind) -> bool {
    matches!(backend, BackendKind::Container | BackendKind::Docker | BackendKind::Podman)
}

fn of_lane(lane: &LaneFit) -> String {
    let name = &lane.lane;
    let scarce = match lane.binding {
        Scarce::Memory => "memory runs out first",
        Scarce::Disk => "disk space runs out first",
        Scarce::Processors => "more would not start within a minute",
    };
    let answer = match lane.first_response_ns {
        Some(time) => format!(", the first answer comes after {}", format_duration(time)),
        None => String::new(),
    };
    let numbers = format!("{} fit ({scarce}){answer}", lane.fits);
    match (lane.backend, lane.accelerator) {
        (BackendKind::Vm, Some(Accelerator::Tcg)) => format!(
            "{name}: {numbers}. A VM has a kernel of its own, but here it runs under software emulation, where QEMU gives no isolation guarantee: choose it to learn and for another kernel, not to hold code that you do not trust."
        ),
        (BackendKind::Vm, _) => format!(
            "{name}: {numbers}. A VM has a kernel of its own behind a hypervisor: choose it for code that you do not trust, for another kernel, and for snapshots with memory."
        ),
        (BackendKind::Process, _) => format!(
            "{name}: {numbers}. A bare process has no isolation at all: it is what the others are compared with, not a choice."
        ),
        _ => format!(
            "{name}: {numbers}. Containers share this machine's kernel: choose them where you trust the code, and for many or short-lived instances; a hole in the kernel is a hole in all of them."
        ),
    }
}
