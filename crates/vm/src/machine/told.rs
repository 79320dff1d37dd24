//! What QEMU says on standard error: complaints, and how far its firmware is.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use tandem_model::HostInstant;
use tandem_probe::now;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    task::JoinHandle,
    time::timeout,
};

/// QEMU's trace event for each item that firmware asks for. With the log back
/// end, which Debian's and most others have, it is a line on standard error.
pub(crate) const EVENT: &str = "fw_cfg_select";

/// `FW_CFG_KERNEL_ENTRY`: the last that qboot asks for before it jumps there.
const ENTRY: &str = " key 0x0010 ";

/// How much of what QEMU complains of is kept, in bytes.
const MOST: usize = 64 * 1024;

/// How much of one line is read at once, in bytes.
const LINE: u64 = 4096;

/// How long the end is waited for, once somebody asks for the last complaint.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads a QEMU's standard error to its end in the background.
pub(crate) struct Told {
    notes: Arc<Notes>,
    reading: JoinHandle<()>,
}

#[derive(Default)]
struct Notes {
    complaints: Mutex<String>,
    entered: OnceLock<HostInstant>,
}

impl Told {
    pub(crate) fn by(stderr: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let notes = Arc::<Notes>::default();
        let reading = tokio::spawn(read(stderr, Arc::clone(&notes)));
        Self { notes, reading }
    }

    /// When the firmware had all that it needs to enter the kernel; `None`
    /// before that, and where QEMU does not tell.
    pub(crate) fn entered(&self) -> Option<HostInstant> {
        self.notes.entered.get().copied()
    }

    /// The last complaint, without QEMU's own name, once QEMU has closed its
    /// standard error.
    pub(crate) async fn complaint(&mut self) -> String {
        let _ = timeout(PATIENCE, &mut self.reading).await;
        last(&self.notes.complaints.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn read(stderr: impl AsyncRead + Unpin, notes: Arc<Notes>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut stderr).take(LINE).read_until(b'\n', &mut line).await {
            Ok(count) if count > 0 => {}
            _ => return,
        }
        let at = now();
        let text = String::from_utf8_lossy(&line);
        if !text.contains(EVENT) {
            let mut kept = notes.complaints.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < MOST {
                kept.push_str(&text);
            }
        } else if text.contains(ENTRY) {
            let _ = notes.entered.set(at);
        }
    }
}

fn last(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    // Warnings come before what made QEMU give up.
    let line = lines.rfind(|line| !line.to_lowercase().contains("warning: ")).unwrap_or_default();
    let line = line.split_once("qemu-system-x86_64: ").map_or(line, |(_, rest)| rest);
    line.chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_cut_out_of_what_qemu_says() {
        let text = "qemu-system-x86_64: warning: host doesn't support x\n\
                    qemu-system-x86_64: -netdev user: Could not set up host forwarding rule\n";
        assert_eq!(last(text), "-netdev user: Could not set up host forwarding rule");
        assert_eq!(last(&format!("{text}\n  \n")), last(text));
        assert_eq!(last(""), "");
    }

    #[tokio::test]
    async fn the_entry_is_the_firmwares_end_and_no_complaint() {
        let said = b"7@1.5:fw_cfg_select 0x5 key 0x0000 'signature', ret: 1\n\
                     7@1.6:fw_cfg_select 0x5 key 0x0008 'kernel_size', ret: 1\n";
        let mut before = Told::by(said.as_slice());
        assert_eq!(before.complaint().await, "");
        assert_eq!(before.entered(), None);

        let start = now();
        let entry = b"fw_cfg_select 0x5 key 0x0010 'kernel_entry', ret: 1\n\
                      qemu-system-x86_64: it broke\n\
                      fw_cfg_select 0x5 key 0x0010 'kernel_entry', ret: 1\n";
        let mut whole = Told::by(entry.as_slice());
        assert_eq!(whole.complaint().await, "it broke");
        let at = whole.entered().unwrap();
        assert!(at >= start && at <= now());
    }

    #[tokio::test]
    async fn a_flood_is_read_and_not_kept() {
        let line = format!("{}\n", "x".repeat(10_000));
        let flood = std::io::Cursor::new(line.repeat(50).into_bytes());
        let mut told = Told::by(flood);
        assert_eq!(told.complaint().await.len(), 400);
        let kept = told.notes.complaints.lock().unwrap().len();
        assert!(kept < MOST + 4096 + 1, "{kept}");
    }
}
