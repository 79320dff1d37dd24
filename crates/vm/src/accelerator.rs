//! Which accelerator runs a machine, and why.
//!
//! KVM counts only when a guest has come up with it: `/dev/kvm` may open and
//! yet every guest abort or hang, where a hypervisor beneath does not do all
//! that it announces.

use std::{
    fs::{self, OpenOptions},
    io,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tandem_backend::BackendError;
use tandem_home::{Home, Lock, read_json, write_json};
use tandem_model::{Accelerator, AcceleratorChoice};

use crate::{
    kernel::Kernel,
    machine::{Board, Qemu},
    probe::{Boots, boots_with_kvm},
};

/// What is known of KVM on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finding {
    /// Whether a guest came up.
    pub(crate) usable: bool,
    /// What was seen, the end of a sentence.
    pub(crate) reason: String,
    /// Whether one came up on the small board too.
    #[serde(default)]
    pub(crate) on_microvm: bool,
}

impl Finding {
    fn unusable(reason: String) -> Self {
        Self { usable: false, reason, on_microvm: false }
    }
}

/// A finding with what it holds for.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    /// `/proc/sys/kernel/random/boot_id`.
    boot: String,
    /// QEMU's file and when it was changed.
    qemu: (PathBuf, u64),
    /// Release of the guests' kernel.
    kernel: String,
    finding: Finding,
}

/// An accelerator with the reason for it, one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) accelerator: Accelerator,
    pub(crate) reason: String,
    /// The small board was seen to work.
    pub(crate) on_microvm: bool,
}

/// Chooses as asked. May boot a probe, once for each boot of this machine.
pub(crate) async fn choose(
    choice: AcceleratorChoice,
    home: &Home,
    qemu: &Qemu,
    kernel: &Kernel,
    guest: &Path,
) -> Result<Chosen, BackendError> {
    if choice == AcceleratorChoice::Tcg {
        return Ok(chosen(choice, None));
    }
    let finding = finding(home, qemu, kernel, guest).await?;
    if choice == AcceleratorChoice::Kvm && !finding.usable {
        return Err(BackendError::Unavailable {
            what: "KVM".to_owned(),
            why: finding.reason,
            fix: "use --accelerator tcg for software emulation".to_owned(),
        });
    }
    Ok(chosen(choice, Some(&finding)))
}

fn chosen(choice: AcceleratorChoice, finding: Option<&Finding>) -> Chosen {
    const NO_GUARANTEE: &str =
        "software emulation is slower and QEMU gives no isolation guarantee under it";
    let tcg = |reason| Chosen { accelerator: Accelerator::Tcg, reason, on_microvm: false };
    match finding {
        Some(finding) if finding.usable => Chosen {
            accelerator: Accelerator::Kvm,
            reason: format!("KVM: {}", finding.reason),
            on_microvm: finding.on_microvm,
        },
        Some(finding) => {
            tcg(format!("TCG, because KVM cannot be used: {}; {NO_GUARANTEE}", finding.reason))
        }
        None => tcg(format!("TCG, because {choice} was asked for; {NO_GUARANTEE}")),
    }
}

/// What is known of KVM; found out when nobody has asked since the machine
/// was started.
pub(crate) async fn finding(
    home: &Home,
    qemu: &Qemu,
    kernel: &Kernel,
    guest: &Path,
) -> Result<Finding, BackendError> {
    if let Err(reason) = device_answers() {
        return Ok(Finding::unusable(reason));
    }
    let holds_for = Answer::holds_for(qemu, kernel);
    if let Some(finding) = holds_for.cached(home)? {
        return Ok(finding);
    }
    let lock = home.cache().join("accelerator.lock");
    let waiting = tokio::task::spawn_blocking(move || Lock::exclusive(&lock)).await;
    let _lock = waiting.map_err(|e| BackendError::engine("waiting for a probe", e))??;
    // Somebody else may have found out while this one waited.
    if let Some(finding) = holds_for.cached(home)? {
        return Ok(finding);
    }
    let finding = match boots_with_kvm(home, qemu, kernel, guest, Board::Q35).await? {
        Boots::Yes(took) => {
            let seconds = took.as_secs_f64();
            let small = kernel.drives_microvm()
                && matches!(
                    boots_with_kvm(home, qemu, kernel, guest, Board::Microvm).await?,
                    Boots::Yes(_)
                );
            Finding {
                usable: true,
                reason: format!("a Linux guest reached user space with it in {seconds:.1} s"),
                on_microvm: small,
            }
        }
        Boots::No(reason) => Finding::unusable(reason),
    };
    let answer = Answer { finding: finding.clone(), ..holds_for };
    write_json(&cache_path(home), &answer)?;
    Ok(finding)
}

fn cache_path(home: &Home) -> PathBuf {
    home.cache().join("accelerator.json")
}

impl Answer {
    fn holds_for(qemu: &Qemu, kernel: &Kernel) -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let changed = fs::metadata(&qemu.program).and_then(|metadata| metadata.modified());
        let changed = changed.ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        Self {
            boot: boot.trim().to_owned(),
            qemu: (qemu.program.clone(), changed.map_or(0, |changed| changed.as_secs())),
            kernel: kernel.release.clone(),
            finding: Finding::unusable(String::new()),
        }
    }

    fn cached(&self, home: &Home) -> Result<Option<Finding>, BackendError> {
        let answer: Option<Self> = read_json(&cache_path(home))?;
        let holds = |answer: &Self| {
            answer.boot == self.boot && answer.qemu == self.qemu && answer.kernel == self.kernel
        };
        Ok(answer.filter(holds).map(|answer| answer.finding))
    }
}

/// Whether `/dev/kvm` is there, may be used and speaks the version that
/// everybody speaks (Linux, `Documentation/virt/kvm/api.rst`, 4.1).
fn device_answers() -> Result<(), String> {
    const KVM_GET_API_VERSION: libc::c_ulong = 0xae00;
    let device = OpenOptions::new().read(true).write(true).open("/dev/kvm");
    let device = device.map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => {
            "there is no /dev/kvm (virtualisation is off in the firmware, or not passed on to this machine)".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not open /dev/kvm (`sudo usermod -aG kvm $USER` and a new login mend it)".to_owned()
        }
        _ => format!("/dev/kvm cannot be opened ({e})"),
    })?;
    // SAFETY: the request takes no argument and changes nothing.
    match unsafe { libc::ioctl(device.as_raw_fd(), KVM_GET_API_VERSION, 0) } {
        12 => Ok(()),
        other => Err(format!("/dev/kvm speaks version {other}, not 12")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_for_one_boot_one_qemu_and_one_kernel() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(dir.path())).unwrap();
        let answer = |boot: &str, changed, kernel: &str| Answer {
            boot: boot.to_owned(),
            qemu: ("/usr/bin/qemu".into(), changed),
            kernel: kernel.to_owned(),
            finding: Finding { usable: true, reason: "seen".to_owned(), on_microvm: true },
        };
        assert_eq!(answer("a", 1, "6.1").cached(&home).unwrap(), None);
        write_json(&cache_path(&home), &answer("a", 1, "6.1")).unwrap();
        assert!(answer("a", 1, "6.1").cached(&home).unwrap().is_some());
        for other in [answer("b", 1, "6.1"), answer("a", 2, "6.1"), answer("a", 1, "6.2")] {
            assert_eq!(other.cached(&home).unwrap(), None);
        }
    }

    #[test]
    fn software_emulation_is_always_said_with_its_reason() {
        let finding = Finding::unusable("it hung".to_owned());
        let fallback = chosen(AcceleratorChoice::Auto, Some(&finding));
        assert_eq!(fallback.accelerator, Accelerator::Tcg);
        assert!(fallback.reason.contains("it hung") && fallback.reason.contains("no isolation"));
        assert!(chosen(AcceleratorChoice::Tcg, None).reason.contains("no isolation"));
        let seen = Finding { usable: true, reason: "it boots".to_owned(), on_microvm: true };
        let fast = chosen(AcceleratorChoice::Auto, Some(&seen));
        assert_eq!((fast.accelerator, fast.on_microvm), (Accelerator::Kvm, true));
    }
}
