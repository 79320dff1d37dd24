use serde::{Deserialize, Serialize};
use tandem_model::Accelerator;

use crate::machine::{Board, Shape};

/// What a machine is made of, as far as its saved memory depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineState {
    /// How our command line puts a machine together.
    pub(crate) layout: u32,
    /// QEMU's version, e.g. `10.0.2`.
    pub(crate) qemu: String,
    pub(crate) accelerator: Accelerator,
    /// What its devices hang on.
    #[serde(default, skip_serializing_if = "Board::is_q35")]
    pub(crate) board: Board,
    /// The host's processor, where the guest has seen it (KVM).
    pub(crate) processor: Option<String>,
    pub(crate) shape: Shape,
    /// Release of the guest's kernel.
    pub(crate) kernel: String,
}

/// Changes when the devices of a machine do.
pub(crate) const LAYOUT: u32 = 3;

impl MachineState {
    /// The same machine with another size.
    pub(crate) fn sized(&self, shape: Shape) -> Self {
        Self { shape, ..self.clone() }
    }

    /// How large the machine is.
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// The state of a machine that runs here.
    pub(crate) fn here(qemu: &str, accelerator: Accelerator, shape: Shape, kernel: &str) -> Self {
        let processor = (accelerator == Accelerator::Kvm).then(processor).flatten();
        let (qemu, kernel) = (qemu.to_owned(), kernel.to_owned());
        let board = Board::default();
        Self { layout: LAYOUT, qemu, accelerator, board, processor, shape, kernel }
    }

    /// The same machine on another board.
    pub(crate) fn on(self, board: Board) -> Self {
        Self { board, ..self }
    }

    /// Why a state that was saved there cannot go on here; `None` when it can.
    pub(crate) fn misfit(&self, here: &Self) -> Option<String> {
        let told = |what: &str, there: &dyn std::fmt::Display, here: &dyn std::fmt::Display| {
            Some(format!("it was saved with {what} {there}, and here is {here}"))
        };
        let unknown = || "an unknown one".to_owned();
        if self.accelerator != here.accelerator {
            return told("accelerator", &self.accelerator, &here.accelerator);
        }
        if self.qemu != here.qemu {
            return told("QEMU", &self.qemu, &here.qemu);
        }
        if self.processor != here.processor {
            let name = |it: &Self| it.processor.clone().unwrap_or_else(unknown);
            return told("processor", &name(self), &name(here));
        }
        if self.layout != here.layout {
            return told("machine layout", &self.layout, &here.layout);
        }
        None
    }
}

fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_goes_on_only_where_it_fits() {
        let shape = Shape { memory: 256 << 20, cpus: 1, ..Shape::default() };
        let state = |qemu: &str, accelerator| MachineState::here(qemu, accelerator, shape, "6.1.0");
        let saved = state("10.0.2", Accelerator::Tcg);
        assert_eq!(saved.misfit(&saved), None);
        let text = saved.misfit(&state("9.2.0", Accelerator::Tcg)).unwrap();
        assert_eq!(text, "it was saved with QEMU 10.0.2, and here is 9.2.0");
        let text = saved.misfit(&state("10.0.2", Accelerator::Kvm)).unwrap();
        assert!(text.contains("accelerator tcg, and here is kvm"), "{text}");
        let later = MachineState { layout: LAYOUT + 1, ..saved.clone() };
        assert!(later.misfit(&saved).unwrap().contains("machine layout"));
        let other = MachineState { processor: Some("another".into()), ..saved.clone() };
        assert!(saved.misfit(&other).unwrap().contains("an unknown one, and here is another"));
    }
}
