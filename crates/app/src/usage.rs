use std::time::Duration;

use serde::Serialize;
use tandem_model::{BackendKind, InstanceRecord, InstanceState};
use tandem_probe::{
    cgroup_limits, cgroup_usage, io_of, machine, network_of, processes, sample_tree,
};

use crate::{App, AppError};

/// What one running instance uses, as `tandem stats` shows it. A number that
/// cannot be read on this machine or for this kind of instance is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct UsageRow {
    /// The instance.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Processors busy since the reading before, in per cent of one.
    pub cpu_percent: Option<f64>,
    /// Processor time since its start, nanoseconds.
    pub cpu_ns: u64,
    /// Memory charged to the cgroup without page cache that nobody used
    /// lately, bytes (as Docker counts).
    pub memory_bytes: Option<u64>,
    /// Proportional set size of all its processes, bytes.
    pub memory_pss_bytes: u64,
    /// Memory limit in bytes; the machine's memory without one.
    pub memory_limit_bytes: u64,
    /// Share of the limit, in per cent.
    pub memory_percent: f64,
    /// Bytes read from disks.
    pub io_read_bytes: Option<u64>,
    /// Bytes written to disks.
    pub io_written_bytes: Option<u64>,
    /// Bytes received.
    pub net_received_bytes: Option<u64>,
    /// Bytes sent.
    pub net_sent_bytes: Option<u64>,
    /// Tasks; processes where tasks are not counted.
    pub pids: u32,
    /// What a virtual machine's own kernel tells beside that.
    pub guest: Option<GuestUsage>,
    /// When it was read, on the monotonic clock, nanoseconds.
    at_ns: u64,
}

/// What a virtual machine uses as its own kernel tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GuestUsage {
    /// Memory that its kernel manages, bytes.
    pub memory_total_bytes: u64,
    /// Memory that new programs could have, bytes.
    pub memory_available_bytes: u64,
    /// Memory that holds files, bytes.
    pub memory_cached_bytes: u64,
    /// Processors online.
    pub cpus: u32,
    /// Processor time of everything but idling, nanoseconds.
    pub cpu_ns: u64,
    /// Processes.
    pub processes: u32,
    /// Bytes of the root file system in use.
    pub disk_used_bytes: u64,
    /// Bytes received, loopback left out.
    pub net_received_bytes: u64,
    /// Bytes sent, loopback left out.
    pub net_sent_bytes: u64,
}

/// One process of an instance, as `tandem top` shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopRow {
    /// Id on the host; of a virtual machine's, which has none there, inside.
    pub pid: u32,
    /// Id inside.
    pub inside: u32,
    /// Parent's id, where `pid` is one.
    pub parent: u32,
    /// User's name inside, or number.
    pub user: String,
    /// One letter, see `ps`.
    pub state: char,
    /// Processor time, nanoseconds.
    pub cpu_ns: u64,
    /// Program and arguments.
    pub command: String,
}

/// Time between the two readings that one figure of processor use needs.
const BETWEEN: Duration = Duration::from_millis(500);

impl App {
    /// What the named instances use; all that run when none is named.
    /// `earlier` is the last reading, from which processor use is told.
    pub fn usage(
        &self,
        instances: &[String],
        earlier: &[UsageRow],
    ) -> Result<Vec<UsageRow>, AppError> {
        let records = if instances.is_empty() {
            let all = self.instances.list()?.into_iter();
            all.filter(|record| is_there(record.state)).collect()
        } else {
            let mut named = Vec::new();
            for name in instances {
                named.push(self.running(name)?);
            }
            named
        };
        let memory = machine().memory_bytes;
        let row = |record: &InstanceRecord| {
            let mut row = read(record, memory)?;
            let before = earlier.iter().find(|before| before.id == row.id);
            row.cpu_percent = before.and_then(|before| percent(before, &row));
            Some(row)
        };
        Ok(records.iter().filter_map(row).collect())
    }

    /// [`Self::usage`] with two readings, so that processor use is told.
    pub async fn usage_now(&self, instances: &[String]) -> Result<Vec<UsageRow>, AppError> {
        let first = self.usage(instances, &[])?;
        tokio::time::sleep(BETWEEN).await;
        let mut rows = self.usage(instances, &first)?;
        self.ask_guests(&mut rows).await;
        Ok(rows)
    }

    /// Adds what virtual machines tell of themselves. One that is paused, just
    /// starting or hung tells nothing.
    pub async fn ask_guests(&self, rows: &mut [UsageRow]) {
        for row in rows {
            row.guest = self.guest_usage(&row.id).await;
            // A machine's network is its own kernel's.
            if let Some(guest) = &row.guest {
                row.net_received_bytes = row.net_received_bytes.or(Some(guest.net_received_bytes));
                row.net_sent_bytes = row.net_sent_bytes.or(Some(guest.net_sent_bytes));
            }
        }
    }

    /// The processes of a running instance, by id.
    pub async fn top(&self, instance: &str) -> Result<Vec<TopRow>, AppError> {
        let record = self.running(instance)?;
        if record.spec.backend == BackendKind::Vm {
            return self.guest_top(&record).await;
        }
        let Some(process) = record.runtime.process else { return Ok(Vec::new()) };
        let names = tandem_container::user_names(process.pid);
        let rows = processes(process.pid, &record.runtime.cgroups);
        Ok(rows
            .into_iter()
            .map(|row| TopRow {
                user: names.get(&row.uid).cloned().unwrap_or_else(|| row.uid.to_string()),
                pid: row.pid,
                inside: row.inside,
                parent: row.parent,
                state: row.state,
                cpu_ns: row.cpu_ns,
                command: row.command,
            })
            .collect())
    }

    /// The record of an instance that runs.
    pub(crate) fn running(&self, instance: &str) -> Result<InstanceRecord, AppError> {
        let record = self.instances.find(instance)?;
        if is_there(record.state) && record.runtime.process.is_some_and(tandem_probe::alive) {
            return Ok(record);
        }
        let name = record.spec.name;
        let next = format!("start it with `tandem start {name}`");
        Err(tandem_backend::BackendError::WrongState { name, state: "not running", next }.into())
    }
}

fn is_there(state: InstanceState) -> bool {
    matches!(state, InstanceState::Running | InstanceState::Paused)
}

/// `None` when the instance has just ended.
fn read(record: &InstanceRecord, machine_memory: u64) -> Option<UsageRow> {
    let process = record.runtime.process?;
    let cgroups = record.runtime.cgroups.as_slice();
    let sample = sample_tree(process.pid, cgroups)?;
    let pids: Vec<u32> = processes(process.pid, cgroups).iter().map(|row| row.pid).collect();
    let charged = cgroup_usage(cgroups);
    let memory = charged.and_then(|usage| {
        Some(usage.memory?.saturating_sub(usage.inactive_file.unwrap_or_default()))
    });
    let limit = cgroup_limits(cgroups).memory_bytes.or(record.spec.resources.memory_bytes);
    let limit = limit.map_or(machine_memory, |limit| limit.min(machine_memory));
    let io = io_of(cgroups, &pids);
    let network = network_of(process.pid);
    Some(UsageRow {
        id: record.id.to_string(),
        name: record.spec.name.clone(),
        cpu_percent: None,
        cpu_ns: sample.cpu_ns,
        memory_bytes: memory,
        memory_pss_bytes: sample.memory.pss,
        memory_limit_bytes: limit,
        memory_percent: 100.0 * memory.unwrap_or(sample.memory.pss) as f64 / limit.max(1) as f64,
        io_read_bytes: io.map(|io| io.read),
        io_written_bytes: io.map(|io| io.written),
        net_received_bytes: network.map(|network| network.received),
        net_sent_bytes: network.map(|network| network.sent),
        pids: charged.and_then(|usage| usage.pids).unwrap_or(sample.processes),
        guest: None,
        at_ns: sample.at.0,
    })
}

fn percent(before: &UsageRow, after: &UsageRow) -> Option<f64> {
    let elapsed = after.at_ns.checked_sub(before.at_ns).filter(|elapsed| *elapsed > 0)?;
    // A start in between begins the count anew.
    let busy = after.cpu_ns.checked_sub(before.cpu_ns)?;
    Some(100.0 * busy as f64 / elapsed as f64)
}
