use std::{fs, time::Duration};

use tokio::time::sleep;

/// A machine on which others keep more than this part of the processors busy
/// is called busy.
const BUSY: f64 = 0.25;

/// Looks at a machine until it is calm, a few times; the part of its
/// processors that others kept busy when it never was.
pub(crate) async fn wait_for_calm() -> Option<f64> {
    let mut busy = None;
    for _ in 0..6 {
        let before = Times::read()?;
        sleep(Duration::from_millis(400)).await;
        busy = Some(Times::read()?.busy_since(before));
        if busy.is_some_and(|busy| busy <= BUSY) {
            return None;
        }
    }
    busy
}

/// Time of all processors since boot, in clock ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    idle: u64,
    total: u64,
}

impl Times {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// The line `cpu`: user, nice, system, idle, iowait, irq, softirq, steal;
    /// guest time is part of user time (proc_stat(5)).
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let fields: Vec<u64> =
            line.split_ascii_whitespace().take(8).map_while(|word| word.parse().ok()).collect();
        let idle = fields.get(3)? + fields.get(4).unwrap_or(&0);
        Some(Self { idle, total: fields.iter().sum() })
    }

    fn busy_since(self, before: Self) -> f64 {
        let total = self.total.saturating_sub(before.total).max(1);
        1.0 - (self.idle.saturating_sub(before.idle) as f64 / total as f64).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_a_disk_is_not_work() {
        let times = |text: &str| Times::parse(text).unwrap();
        let before = times("cpu  100 0 100 1000 100 0 0 0 50 0\ncpu0 1 1 1 1\n");
        let after = times("cpu  130 0 110 1050 110 0 0 0 99 0\n");
        assert!((after.busy_since(before) - 0.4).abs() < 1e-9);
        assert_eq!(Times::parse("intr 5\n"), None);
        assert!(Times::read().is_some());
    }
}
