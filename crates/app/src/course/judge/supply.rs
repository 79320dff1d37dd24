//! The claim about who gets more when an app wants more.

use tandem_model::{
    VerdictOutcome,
    format::{format_duration, format_number},
};

use super::{Judged, Pair, bytes};

/// As good as all of it: a program's own code and the kernel's share are
/// counted too.
const ALL: f64 = 0.95;

/// By how much a count of processors may be off: it is taken in a second, and
/// QEMU works beside its guest.
const OFF: f64 = 1.2;

impl Pair<'_> {
    pub(super) fn elasticity(&self) -> Judged {
        let (container, vm) = self.both("reached_bytes")?;
        let demand = self.of(self.container, "demand_bytes")?;
        let free = self.of(self.container, "reached_without_limit_bytes")?;
        let mut outcome = if free >= demand * ALL && vm < demand * ALL {
            VerdictOutcome::Supported
        } else {
            VerdictOutcome::Refuted
        };
        let mut told = vec![format!(
            "Asked for {}, a container without a limit got {}, one with a limit {}, and the VM {} of what it was given.",
            bytes(demand),
            bytes(free),
            bytes(container),
            bytes(vm)
        )];
        // Results of earlier versions asked for memory alone.
        if let Some((found, sentence)) = self.processors() {
            told.push(sentence);
            if outcome == VerdictOutcome::Supported {
                outcome = found;
            }
        }
        told.extend(self.throttled());
        told.extend(self.allocated());
        Some((outcome, told.join(" ")))
    }

    /// What came of asking for more processors than the limit.
    fn processors(&self) -> Judged {
        let (limited, vm) = self.both("got_cpus")?;
        let free = self.of(self.container, "got_without_limit_cpus")?;
        let limit = self.of(self.vm, "limit_cpus")?;
        let mut sentence = format!(
            "Asked for {} processors, they got {}, {} and {}.",
            format_number(self.of(self.container, "demand_cpus")?),
            format_number(free),
            format_number(limited),
            format_number(vm)
        );
        let outcome = if vm > limit * OFF {
            VerdictOutcome::Refuted
        } else if free > limit * OFF {
            VerdictOutcome::Supported
        } else {
            sentence.push_str(
                " Without a limit it got no more either, so others kept this machine's processors busy.",
            );
            VerdictOutcome::Inconclusive
        };
        Some((outcome, sentence))
    }

    fn throttled(&self) -> Option<String> {
        let [held, of] =
            ["throttled_periods", "periods"].map(|metric| self.of(self.container, metric));
        Some(format!(
            "The limit held the container back in {} of {} periods.",
            format_number(held?),
            format_number(of?)
        ))
    }

    /// What came of giving the VM more while it ran.
    fn allocated(&self) -> Option<String> {
        let reached = self.of(self.vm, "reached_when_given_bytes")?;
        let mut sentence = format!(
            "Given more while it ran, which took {}, the VM got {} and {} processors.",
            format_duration(self.of(self.vm, "allocate_lag")?),
            bytes(reached),
            format_number(self.of(self.vm, "got_when_given_cpus")?)
        );
        let freed = self.both("memory_host_freed");
        if let Some(((container, vm), back)) = freed.zip(self.of(self.vm, "memory_host_taken_back"))
        {
            let more = format!(
                " When the app wanted its memory no more, the container held {} of the host's and the VM {}, and {} after its balloon and its devices had taken some back.",
                bytes(container),
                bytes(vm),
                bytes(back)
            );
            sentence.push_str(&more);
        }
        Some(sentence)
    }
}
