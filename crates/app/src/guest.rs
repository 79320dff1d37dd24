//! What a virtual machine's agent tells of it.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use serde::de::DeserializeOwned;
use tandem_backend::BackendError;
use tandem_model::{BackendKind, ErrorCode, Failure, InstanceRecord, InstanceState};
use tandem_vm::{GuestProcess, GuestStats, GuestTool};

use crate::{App, AppError, GuestUsage, TopRow};

/// How long an agent may take to tell something.
const LIMIT: Duration = Duration::from_secs(30);

impl App {
    /// A command that, run, is one of the tools of a machine's agent.
    pub(crate) async fn guest_tool(
        &self,
        record: &InstanceRecord,
        tool: GuestTool,
    ) -> Result<Command, AppError> {
        if !record.state.is_up() {
            let name = record.spec.name.clone();
            let next = format!(
                "its files and processes are reached through its own kernel, start it with `tandem start {name}`"
            );
            return Err(BackendError::WrongState { name, state: "not running", next }.into());
        }
        let backend = self.backend(record.spec.backend);
        Ok(backend.exec_command(&record.id, &tool.command()).await?)
    }

    /// The processes inside a machine.
    pub(crate) async fn guest_top(&self, record: &InstanceRecord) -> Result<Vec<TopRow>, AppError> {
        let processes: Vec<GuestProcess> = self.told(record, GuestTool::Processes).await?;
        let row = |process: GuestProcess| TopRow {
            pid: process.pid,
            inside: process.pid,
            parent: process.parent,
            user: process.user,
            state: process.state,
            cpu_ns: process.cpu_ns,
            command: process.command,
        };
        Ok(processes.into_iter().map(row).collect())
    }

    /// What a machine uses, when it is one and answers.
    pub(crate) async fn guest_usage(&self, id: &str) -> Option<GuestUsage> {
        let record = self.instances.find(id).ok()?;
        if (record.spec.backend, record.state) != (BackendKind::Vm, InstanceState::Running) {
            return None;
        }
        let stats: Vec<GuestStats> = self.told(&record, GuestTool::Stats).await.ok()?;
        let stats = stats.first()?;
        Some(GuestUsage {
            memory_total_bytes: stats.memory_total,
            memory_available_bytes: stats.memory_available,
            memory_cached_bytes: stats.memory_cached,
            cpus: stats.cpus,
            cpu_ns: stats.cpu_ns,
            processes: stats.processes,
            disk_used_bytes: stats.disk_used,
            net_received_bytes: stats.net_received,
            net_sent_bytes: stats.net_sent,
        })
    }

    /// The lines of JSON that a tool writes.
    async fn told<T: DeserializeOwned>(
        &self,
        record: &InstanceRecord,
        tool: GuestTool,
    ) -> Result<Vec<T>, AppError> {
        let mut command = tokio::process::Command::from(self.guest_tool(record, tool).await?);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let failed = |reason: String| {
            let text = format!("the machine {} cannot be asked: {reason}", record.spec.name);
            AppError::from(Failure::new(ErrorCode::Internal, text))
        };
        let output = tokio::time::timeout(LIMIT, command.output()).await;
        let output = output
            .map_err(|_| failed(format!("no answer came within {} s", LIMIT.as_secs())))?
            .map_err(|e| failed(e.to_string()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(failed(said.trim().trim_start_matches("tandem: ").to_owned()));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = text.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        lines.map_err(|e| failed(format!("its answer is unreadable ({e})")))
    }
}
