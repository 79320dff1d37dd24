use std::{fs, os::unix::fs::MetadataExt as _};

/// Bytes that went through the network devices of an instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetworkUse {
    /// Received.
    pub received: u64,
    /// Sent.
    pub sent: u64,
}

/// What went through the devices of the network namespace of a process,
/// loopback left out. `None` for a process in our own network: what passes
/// there belongs to the whole machine.
pub fn network_of(pid: u32) -> Option<NetworkUse> {
    let namespace = |who: &str| fs::metadata(format!("/proc/{who}/ns/net")).map(|ns| ns.ino()).ok();
    if namespace(&pid.to_string())? == namespace("self")? {
        return None;
    }
    parse(&fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?)
}

/// Two lines of headings, then `NAME: RECEIVED … SENT …` with eight numbers
/// for each direction (proc_pid_net(5)).
fn parse(text: &str) -> Option<NetworkUse> {
    let mut total = NetworkUse::default();
    for line in text.lines().skip(2) {
        let (name, numbers) = line.split_once(':')?;
        if name.trim() == "lo" {
            continue;
        }
        let mut numbers = numbers.split_ascii_whitespace();
        let received: u64 = numbers.next()?.parse().ok()?;
        let sent: u64 = numbers.nth(7)?.parse().ok()?;
        total.received = total.received.saturating_add(received);
        total.sent = total.sent.saturating_add(sent);
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn devices_are_summed_without_loopback() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes packets\n    \
                    lo: 99 1 0 0 0 0 0 0 99 1 0 0 0 0 0 0\n  \
                    eth0: 10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n  \
                    eth1:1 1 0 0 0 0 0 0 2 1 0 0 0 0 0 0\n";
        assert_eq!(parse(text), Some(NetworkUse { received: 11, sent: 22 }));
        assert_eq!(network_of(std::process::id()), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_fatal(text in "(a\n){0,3}([a-z]{0,5}:[0-9 ]{0,60}\n)*|\\PC*") {
            let _ = parse(&text);
        }
    }
}
