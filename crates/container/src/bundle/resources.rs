use oci_spec::{
    OciSpecError,
    runtime::{
        LinuxCpuBuilder, LinuxDeviceCgroupBuilder, LinuxMemoryBuilder, LinuxPidsBuilder,
        LinuxResources, LinuxResourcesBuilder, PosixRlimit, PosixRlimitBuilder, PosixRlimitType,
    },
};
use tandem_model::{Resources, Ulimit};

use crate::cgroup::{CPU_PERIOD, Layout, counts_swap, cpu_quota};

/// Limits of each process; `None` when there are none.
pub(super) fn rlimits(limits: &[Ulimit]) -> Result<Option<Vec<PosixRlimit>>, OciSpecError> {
    let limit = |limit: &Ulimit| {
        let name = format!("RLIMIT_{}", limit.name.to_ascii_uppercase());
        let kind: PosixRlimitType = serde_json::from_value(name.into())
            .map_err(|e| OciSpecError::Other(format!("the limit {}: {e}", limit.name)))?;
        PosixRlimitBuilder::default().typ(kind).soft(limit.soft).hard(limit.hard).build()
    };
    let all = limits.iter().map(limit).collect::<Result<Vec<_>, _>>()?;
    Ok((!all.is_empty()).then_some(all))
}

/// Limits for the control group. Devices are all denied; libcontainer then
/// allows the harmless ones (null, zero, full, random, urandom, tty,
/// pseudo-terminals) and making nodes.
pub(super) fn resources(
    layout: &Layout,
    limits: &Resources,
) -> Result<LinuxResources, OciSpecError> {
    let deny = LinuxDeviceCgroupBuilder::default().allow(false).access("rwm").build()?;
    let mut resources = LinuxResourcesBuilder::default().devices(vec![deny]).build()?;
    if let Some(bytes) = limits.memory_bytes {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let mut memory = LinuxMemoryBuilder::default().limit(bytes).build()?;
        if counts_swap(layout) {
            // Memory and swap together; as much swap as memory, as in Docker.
            memory.set_swap(Some(bytes.saturating_mul(2)));
        }
        resources.set_memory(Some(memory));
    }
    if let Some(milli_cpus) = limits.milli_cpus {
        let cpu =
            LinuxCpuBuilder::default().quota(cpu_quota(milli_cpus)).period(CPU_PERIOD).build()?;
        resources.set_cpu(Some(cpu));
    }
    if let Some(pids) = limits.pids {
        resources.set_pids(Some(LinuxPidsBuilder::default().limit(i64::from(pids)).build()?));
    }
    Ok(resources)
}
