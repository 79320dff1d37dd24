//! The claim about what a snapshot keeps.

use tandem_model::{LaneReport, VerdictOutcome};

use super::{Judged, Pair};

impl Pair<'_> {
    pub(super) fn snapshot(&self) -> Judged {
        let told = |lane: &LaneReport| {
            let disk = self.always(lane, "survives.disk")?;
            let memory = self.always(lane, "survives.memory")?;
            Some((disk, memory))
        };
        let ((c_disk, c_memory), (v_disk, v_memory)) = (told(self.container)?, told(self.vm)?);
        // Results of earlier versions never left their home.
        let elsewhere = self
            .always(self.vm, "survives.disk_elsewhere")
            .zip(self.always(self.vm, "survives.memory_elsewhere"))
            .map(|(disk, memory)| disk && memory);
        let outcome = if v_disk && v_memory && !c_memory && elsewhere != Some(false) {
            VerdictOutcome::Supported
        } else {
            VerdictOutcome::Refuted
        };
        let mut told = vec![marks((c_disk, c_memory), (v_disk, v_memory))];
        if let Some(both) = elsewhere {
            let word = if both { "both marks came back" } else { "not both marks came back" };
            told.push(format!("In a second home, which stands for another server, the VM's memory was restored too: {word}."));
        }
        if let Some(memory) = self.always(self.vm, "survives.memory_from_files") {
            told.push(format!(
                "From a snapshot of the VM's files alone the mark in memory {}.",
                word(memory)
            ));
        }
        told.extend(self.ways());
        Some((outcome, told.join(" ")))
    }

    /// What else keeps a container's files, a sentence for each way.
    fn ways(&self) -> Vec<String> {
        let kept =
            |of: &str, way: &str| self.always(self.container, &format!("survives.{of}{way}"));
        let both = |way: &str| kept("disk", way).zip(kept("memory", way));
        let committed = both("_from_commit").map(|(disk, memory)| {
            format!(
                "In a new instance of an image that was committed of the container the mark on disk {}, the one in memory {}.",
                word(disk),
                word(memory)
            )
        });
        let copied = kept("volume", "_from_copy").zip(both("_from_copy"));
        let copied = copied.map(|(volume, (disk, memory))| {
            format!(
                "With a copy of its volume the mark in the volume {}, the one on disk {}, the one in memory {}.",
                word(volume),
                word(disk),
                word(memory)
            )
        });
        committed.into_iter().chain(copied).collect()
    }
}

fn word(yes: bool) -> &'static str {
    if yes { "came back" } else { "did not" }
}

fn marks((c_disk, c_memory): (bool, bool), (v_disk, v_memory): (bool, bool)) -> String {
    let machine = if v_disk && v_memory {
        "So VMs do restore whole"
    } else {
        "So this VM did not restore whole"
    };
    let container = match (c_disk, c_memory) {
        (true, true) => {
            "a container is less ephemeral than the claim says, for its files can be kept, and by a checkpoint (CRIU) its memory too"
        }
        (true, false) => {
            "a container is less ephemeral than the claim says, for its files can be kept"
        }
        _ => "of this container the files did not come back",
    };
    format!(
        "VM: the mark on disk {}, the one in memory {}. Container: the mark on disk {}, the one in memory {}. {machine}; {container}.",
        word(v_disk),
        word(v_memory),
        word(c_disk),
        word(c_memory),
    )
}
