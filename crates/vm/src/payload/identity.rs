//! Who an instance is to its guest and to its network.

use tandem_model::{InstanceId, InstanceRecord};

use crate::running::NewIdentity;

/// The guest's network device.
pub(super) const DEVICE: &str = "eth0";

/// Hardware address of an instance's network device: one of those that nobody
/// owns, made from its id.
pub(super) fn mac_of(id: &InstanceId) -> [u8; 6] {
    let number = u64::from_str_radix(id.as_str(), 16).unwrap_or_default();
    let [.., a, b, c, d] = number.to_be_bytes();
    [0x52, 0x54, a, b, c, d]
}

/// The address as it is written.
pub(super) fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// The host name inside.
pub(super) fn hostname_of(record: &InstanceRecord) -> String {
    record.spec.hostname.clone().unwrap_or_else(|| record.id.to_string())
}

/// The identity of an instance that goes on from another one's state.
pub(super) fn new_identity(record: &InstanceRecord) -> NewIdentity {
    NewIdentity { hostname: hostname_of(record), mac: mac_of(&record.id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_local_and_differ() {
        let mac = |digits: &str| mac_of(&digits.parse().unwrap());
        assert_eq!(mac_text(mac("0123456789ab")), "52:54:45:67:89:ab");
        assert_ne!(mac("0123456789ab"), mac("0123456789ac"));
        // Neither a group's address nor one that a maker owns.
        assert_eq!(mac("0123456789ab")[0] & 3, 2);
    }
}
