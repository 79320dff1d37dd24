//! The commands for a machine's state: running or not, saved, brought back.

use std::{fs::File, io, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Qmp, QmpError};
use crate::machine::{
    Access, FIRMWARE_EVENT, file_node, layer_set, node_name, openings, set_name, unlocked,
};

/// How a migration stands (QEMU, `qapi/migration.json`, `MigrationInfo`).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Migration {
    /// `setup`, `active`, `pre-switchover`, `completed`, `failed`, …
    #[serde(default)]
    pub(crate) status: String,
    /// Why it failed.
    #[serde(default)]
    error_desc: Option<String>,
    /// How far the memory is.
    #[serde(default)]
    ram: Option<Written>,
}

/// Bytes of memory (QEMU, `MigrationStats`).
#[derive(Debug, Clone, Copy, Deserialize)]
struct Written {
    /// Written until now.
    transferred: u64,
    /// All of it.
    total: u64,
}

impl Migration {
    /// Whether something is still to come of it. One that was refused has never
    /// begun, and has no status at all.
    pub(crate) fn is_at_work(&self) -> bool {
        !matches!(self.status.as_str(), "" | "none" | "completed" | "failed" | "cancelled")
    }

    /// Whether more was written than twice the memory: the guest changes it as
    /// fast as that.
    pub(crate) fn repeats(&self) -> bool {
        self.ram.is_some_and(|ram| ram.transferred > ram.total.saturating_mul(2))
    }
}

/// How the memory goes into the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// All of it, each page at its own place (`mapped-ram`), or by an older
    /// QEMU as a stream; what changes meanwhile is written again.
    Whole,
    /// Only the devices: the memory is a file already (`x-ignore-shared`).
    DevicesOnly,
}

/// No limit worth the name, bytes a second.
const BANDWIDTH: u64 = 1 << 40;

/// How often the monitor is asked.
const INTERVAL: Duration = Duration::from_millis(1);

impl Qmp {
    /// Whether the processors run.
    pub(crate) async fn is_running(&self) -> Result<bool, QmpError> {
        let status = self.execute("query-status", None).await?;
        Ok(status["running"] == true)
    }

    /// Holds the processors still.
    pub(crate) async fn stop(&self) -> Result<(), QmpError> {
        self.execute("stop", None).await.map(drop)
    }

    /// Lets them go on.
    pub(crate) async fn cont(&self) -> Result<(), QmpError> {
        self.execute("cont", None).await?;
        self.let_go().await;
        Ok(())
    }

    /// Lets QEMU tell on its standard error, or no more, what its firmware asks
    /// for. What cannot tell is none the worse for it.
    pub(crate) async fn tell_firmware(&self, on: bool) {
        let event = json!({"name": FIRMWARE_EVENT, "enable": on});
        let _ = self.execute("trace-event-set-state", Some(event)).await;
    }

    /// Begins to save the state. The machine stands still before the devices
    /// are saved, in `pre-switchover`, until [`Self::switch_over`].
    pub(crate) async fn save_to(&self, file: &Path, form: Form) -> Result<(), QmpError> {
        self.capabilities(form, true).await?;
        let parameters = json!({"max-bandwidth": BANDWIDTH, "downtime-limit": 50});
        self.execute("migrate-set-parameters", Some(parameters)).await?;
        let mut options = File::options();
        let made = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
        let channel = self.channel(&made).await?;
        self.execute("migrate", Some(channel)).await.map(drop)
    }

    /// Closes the file of [`Self::save_to`] or [`Self::restore_from`].
    pub(crate) async fn close_state(&self) {
        // Without a file it has nothing to close, and an older QEMU closes a
        // stream itself once it has begun.
        let _ = if self.maps_memory() {
            self.forget(STATE).await
        } else {
            self.execute("closefd", Some(json!({"fdname": STREAM}))).await.map(drop)
        };
    }

    /// Gives QEMU the file of a state; the arguments of a command that writes
    /// or reads it.
    async fn channel(&self, file: &File) -> Result<Value, QmpError> {
        if !self.maps_memory() {
            self.execute_with("getfd", Some(json!({"fdname": STREAM})), Some(file)).await?;
            return Ok(json!({"uri": format!("fd:{STREAM}")}));
        }
        self.hand(STATE, file).await?;
        let address = json!({"transport": "file", "filename": set_name(STATE), "offset": 0});
        Ok(json!({"channels": [{"channel-type": "main", "addr": address}]}))
    }

    /// Saves the devices as well.
    pub(crate) async fn switch_over(&self) -> Result<(), QmpError> {
        let state = json!({"state": "pre-switchover"});
        self.execute("migrate-continue", Some(state)).await.map(drop)
    }

    /// Begins to bring a state back.
    pub(crate) async fn restore_from(&self, file: &Path, form: Form) -> Result<(), QmpError> {
        self.capabilities(form, false).await?;
        let channel = self.channel(&File::open(file)?).await?;
        self.execute("migrate-incoming", Some(channel)).await.map(drop)
    }

    async fn capabilities(&self, form: Form, out: bool) -> Result<(), QmpError> {
        let one = |capability: &str, state: bool| json!({"capability": capability, "state": state});
        let mut list = vec![
            one("x-ignore-shared", form == Form::DevicesOnly),
            one("pause-before-switchover", out),
        ];
        if self.maps_memory() {
            list.push(one("mapped-ram", form == Form::Whole));
        }
        let arguments = json!({"capabilities": list});
        self.execute("migrate-set-capabilities", Some(arguments)).await.map(drop)
    }

    /// How saving or bringing back stands.
    ///
    /// # Errors
    /// Also when it failed, with QEMU's reason.
    pub(crate) async fn migration(&self) -> Result<Migration, QmpError> {
        let info = self.execute("query-migrate", None).await?;
        let info: Migration =
            serde_json::from_value(info).map_err(|e| QmpError::Unreadable(e.to_string()))?;
        match info.status.as_str() {
            "failed" | "cancelled" => {
                let reason = info.error_desc.unwrap_or_else(|| "it gave no reason".to_owned());
                Err(QmpError::Refused { command: "migrate", reason })
            }
            _ => Ok(info),
        }
    }

    /// Waits for this status.
    pub(crate) async fn reach(&self, status: &str) -> Result<(), QmpError> {
        while self.migration().await?.status != status {
            tokio::time::sleep(INTERVAL).await;
        }
        Ok(())
    }

    /// Gives saving up.
    pub(crate) async fn cancel_saving(&self) -> Result<(), QmpError> {
        self.execute("migrate_cancel", None).await.map(drop)
    }

    /// Puts the new layer in the file `above` on top of the one that is in
    /// `below`.
    pub(crate) async fn put_layer(&self, below: &Path, above: &Path) -> Result<(), QmpError> {
        let done = self.put(below, above).await;
        // QEMU's lock for writing goes with the last descriptor that could.
        let useless = if done.is_ok() { below } else { above };
        let forgotten = self.forget(layer_set(useless)).await;
        done.and(forgotten)
    }

    async fn put(&self, below: &Path, above: &Path) -> Result<(), QmpError> {
        let (overlay, set) = (node_name(above), layer_set(above));
        let files = openings(above, Access::Write).map_err(io::Error::other)?;
        for file in files {
            self.hand(set, &file).await?;
        }
        let mut node = json!({
            "node-name": overlay,
            "driver": "qcow2",
            "file": file_node(&set_name(set)),
            "backing": null,
        });
        if !self.maps_memory() {
            unlocked(&mut node);
        }
        self.execute("blockdev-add", Some(node)).await?;
        let arguments = json!({"node": node_name(below), "overlay": overlay});
        let done = self.execute("blockdev-snapshot", Some(arguments)).await;
        if done.is_err() {
            let _ = self.execute("blockdev-del", Some(json!({"node-name": overlay}))).await;
        }
        done.map(drop)
    }
}

/// The set of descriptors with the file of a saved state.
const STATE: u32 = 200_000;

/// The name of the descriptor that an older QEMU has for it.
const STREAM: &str = "state";
