use tandem_model::Accelerator;

/// What the guest's kernel is told (Linux,
/// `Documentation/admin-guide/kernel-parameters.rst`).
pub(super) fn kernel_command_line(accelerator: Accelerator, has_room: bool) -> String {
    let mut line = vec![
        // Warnings and worse go to the console; a panic ends the machine.
        "console=ttyS0 quiet loglevel=4 8250.nr_uarts=1 panic=-1 reboot=t",
        // The host's memory is fresh, and its random numbers are good.
        "init_on_alloc=0 random.trust_cpu=on random.trust_bootloader=on",
        // Self-tests of drivers that nobody changed, and locks for more
        // processors than there are.
        "cryptomgr.notests nokaslr",
        "audit=0 ipv6.disable_ipv6=1",
    ];
    match accelerator {
        // Software emulation gives no isolation that mitigations could save,
        // and its time stamp counter is the host's. Whether the timer's
        // interrupts come is tried within a few milliseconds, in which a busy
        // host may not run the guest at all: the kernel would panic.
        Accelerator::Tcg => line.push("mitigations=off tsc=reliable no_timer_check"),
        Accelerator::Kvm => {}
    }
    if has_room {
        // New memory is used at once, and for nothing that cannot be moved
        // away again.
        line.push("memhp_default_state=online_movable");
        // Memory above 4 GB makes the kernel set 64 MB aside for devices that
        // cannot reach it; ours can.
        line.push("swiotlb=noforce");
    }
    line.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_the_machine_needs() {
        let plain = kernel_command_line(Accelerator::Kvm, false);
        assert!(plain.contains("panic=-1") && !plain.contains("mitigations"), "{plain}");
        assert!(!plain.contains("movable"), "{plain}");
        assert!(kernel_command_line(Accelerator::Tcg, false).contains("no_timer_check"));
        let growing = kernel_command_line(Accelerator::Kvm, true);
        assert!(growing.contains("=online_movable") && growing.contains("noforce"), "{growing}");
    }
}
