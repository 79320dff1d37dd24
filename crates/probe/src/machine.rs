use std::fs;

use sha2::{Digest as _, Sha256};
use tandem_model::Machine;

use crate::cgroup_setup;

/// Describes this machine. The fingerprint is the first 128 bits, in
/// hexadecimal, of the SHA-256 of the other fields, a line each in the order
/// in which [`Machine`] declares them: measurements with different
/// fingerprints may not be pooled.
pub fn machine() -> Machine {
    let unknown = || "unknown".to_owned();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let uname = rustix::system::uname();
    let mut machine = Machine {
        fingerprint: String::new(),
        cpu: cpu_model(&cpuinfo).unwrap_or_else(unknown),
        cores: cores(&cpuinfo),
        memory_bytes: memory_bytes().unwrap_or_default(),
        kernel: uname.release().to_string_lossy().into_owned(),
        os: os_name().unwrap_or_else(unknown),
        cgroup: cgroup_setup().as_str().to_owned(),
        virtualised: hypervisor(&cpuinfo),
    };
    machine.fingerprint = fingerprint(&machine);
    machine
}

fn fingerprint(machine: &Machine) -> String {
    let text = format!(
        "{}\n{}\n{}\n{}\n{}\n{}\n{}\n",
        machine.cpu,
        machine.cores,
        machine.memory_bytes,
        machine.kernel,
        machine.os,
        machine.cgroup,
        machine.virtualised.as_deref().unwrap_or_default(),
    );
    let digest = tandem_model::Digest::from_sha256(&Sha256::digest(text.as_bytes()).into());
    digest.hex()[..32].to_owned()
}

/// `model name` on x86, `Model` or `Hardware` on Arm boards.
fn cpu_model(cpuinfo: &str) -> Option<String> {
    ["model name", "Model", "Hardware"].into_iter().find_map(|key| {
        let mut fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = fields.find(|(name, _)| name.trim() == key)?;
        Some(value.trim().to_owned()).filter(|value| !value.is_empty())
    })
}

/// Logical processors that are online.
fn cores(cpuinfo: &str) -> u32 {
    let listed = cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, value)| name.trim() == "processor" && value.trim().parse::<u32>().is_ok())
        .count();
    u32::try_from(listed).unwrap_or(u32::MAX).max(1)
}

/// `MemTotal`: physical memory less what the kernel keeps for itself.
fn memory_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// `PRETTY_NAME` of os-release(5).
fn os_name() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release")
        .or_else(|_| fs::read_to_string("/usr/lib/os-release"))
        .ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    let bare = value.trim().trim_matches(['"', '\'']);
    (!bare.is_empty()).then(|| bare.to_owned())
}

/// The hypervisor beneath this machine, `None` on bare metal.
fn hypervisor(cpuinfo: &str) -> Option<String> {
    let flagged = cpuinfo
        .lines()
        .find(|line| line.starts_with("flags"))
        .is_some_and(|line| line.split_ascii_whitespace().any(|flag| flag == "hypervisor"));
    let xen = fs::read_to_string("/sys/hypervisor/type").ok();
    let xen = xen.map(|kind| kind.trim().to_owned()).filter(|kind| !kind.is_empty());
    if !flagged {
        return xen;
    }
    let named = vendor_of(&signature()).map(str::to_owned).or(xen);
    let maker = || fs::read_to_string("/sys/class/dmi/id/sys_vendor").ok();
    Some(named.or_else(maker).map_or_else(|| "unknown".to_owned(), |name| name.trim().to_owned()))
}

/// What hypervisors call themselves in CPUID leaf 0x4000_0000.
fn vendor_of(signature: &[u8; 12]) -> Option<&'static str> {
    Some(match signature {
        b"KVMKVMKVM\0\0\0" | b"Linux KVM Hv" => "KVM",
        b"TCGTCGTCGTCG" => "QEMU TCG",
        b"Microsoft Hv" => "Hyper-V",
        b"VMwareVMware" => "VMware",
        b"XenVMMXenVMM" => "Xen",
        b"VBoxVBoxVBox" => "VirtualBox",
        b"bhyve bhyve " => "bhyve",
        b" prl hyperv " | b" lrpepyh  vr" => "Parallels",
        b"ACRNACRNACRN" => "ACRN",
        _ => return None,
    })
}

#[cfg(target_arch = "x86_64")]
fn signature() -> [u8; 12] {
    let leaf = std::arch::x86_64::__cpuid(0x4000_0000);
    let mut bytes = [0; 12];
    for (part, register) in bytes.chunks_exact_mut(4).zip([leaf.ebx, leaf.ecx, leaf.edx]) {
        part.copy_from_slice(&register.to_le_bytes());
    }
    bytes
}

#[cfg(not(target_arch = "x86_64"))]
fn signature() -> [u8; 12] {
    [0; 12]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_described_the_same_twice() {
        let first = machine();
        assert_eq!(first, machine());
        assert!(first.cores >= 1 && first.memory_bytes > 1 << 20, "{first:?}");
        assert_eq!(first.fingerprint.len(), 32);
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert_eq!(first.kernel, release.trim());
    }

    #[test]
    fn every_field_changes_the_fingerprint() {
        let one = machine();
        let other = Machine { cores: one.cores + 1, ..one.clone() };
        assert_ne!(fingerprint(&one), fingerprint(&other));
        let other = Machine { virtualised: Some("another".into()), ..one.clone() };
        assert_ne!(fingerprint(&one), fingerprint(&other));
    }

    #[test]
    fn processors_are_counted_and_named() {
        let text = "processor\t: 0\nmodel name\t: Some CPU: fast\n\nprocessor\t: 1\n";
        assert_eq!((cpu_model(text).as_deref(), cores(text)), (Some("Some CPU: fast"), 2));
        assert_eq!((cpu_model(""), cores("")), (None, 1));
    }

    #[test]
    fn hypervisors_are_known_by_their_signature() {
        assert_eq!(vendor_of(b"KVMKVMKVM\0\0\0"), Some("KVM"));
        assert_eq!(vendor_of(&[0; 12]), None);
    }
}
