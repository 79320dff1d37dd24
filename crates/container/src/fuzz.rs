//! What the fuzz targets (`tests/fuzz`) reach of this crate; nobody else may.

use std::net::IpAddr;

pub use crate::network::dns_fuzz as dns;
use crate::{confine::find_user, network::name_servers};

/// A user as `(uid, gid, other groups, home)`, or nobody of that name.
pub type Found = Option<(u32, u32, Vec<u32>, String)>;

/// Finds `USER[:GROUP]` in the texts of `/etc/passwd` and `/etc/group`.
pub fn user(wanted: &str, passwd: &str, group: &str) -> Found {
    let user = find_user(wanted, passwd, group).ok()?;
    let others = user.groups.into_iter().filter(|gid| *gid != user.gid).collect();
    Some((user.uid, user.gid, others, user.home))
}

/// The names of users by number, as a listing of processes shows them.
pub fn user_names(passwd: &str, map: &str) -> Vec<(u32, String)> {
    crate::users::named(passwd, map).into_iter().collect()
}

/// The name servers of a `resolv.conf`.
pub fn servers(text: &str) -> Vec<IpAddr> {
    name_servers(text).collect()
}
