//! Who the users of a running container are.

use std::{collections::BTreeMap, fs, path::Path};

use crate::confine::Root;

/// The names that a container's own `/etc/passwd` has for users, by the
/// number that the host knows them by. Empty when it cannot be read.
pub fn user_names(pid: u32) -> BTreeMap<u32, String> {
    let root = Root::open(Path::new(&format!("/proc/{pid}/root")));
    let text = root.and_then(|root| root.read("/etc/passwd")).ok().flatten().unwrap_or_default();
    let process = format!("/proc/{pid}");
    let map = if in_our_namespace(&process) {
        // Whoever reads the map of its own namespace is told of the parent's
        // numbers (user_namespaces(7)), and sees its own everywhere else.
        "0 0 4294967295".to_owned()
    } else {
        fs::read_to_string(format!("{process}/uid_map")).unwrap_or_default()
    };
    named(&text, &map)
}

fn in_our_namespace(process: &str) -> bool {
    let namespace = |process: &str| fs::read_link(format!("{process}/ns/user")).ok();
    namespace(process).is_some_and(|theirs| namespace("/proc/self") == Some(theirs))
}

/// The first name of each number wins, as in getpwuid(3).
pub(crate) fn named(passwd: &str, map: &str) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for line in passwd.lines() {
        let mut fields = line.split(':');
        let (Some(name), _, Some(uid)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let Some(uid) = uid.parse().ok().and_then(|uid| outside(map, uid)) else { continue };
        let plain = name.chars().filter(|c| !c.is_control()).collect();
        names.entry(uid).or_insert(plain);
    }
    names
}

/// A number inside as the reader of the map sees it (user_namespaces(7)).
fn outside(map: &str, uid: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
        let (inside, outside, count) =
            (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        let at = uid.checked_sub(inside).filter(|at| *at < count)?;
        outside.checked_add(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_named_by_their_number_outside() {
        let passwd = "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:\nbroken\nalias:x:33:33::/:\n";
        let names = named(passwd, "0 0 4294967295\n");
        assert_eq!(names.get(&33).map(String::as_str), Some("web"));
        let evil = named("a\u{1b}[31mb:x:7:7::/:\n", "0 0 4294967295\n");
        assert_eq!(evil[&7], "a[31mb");
        let names = named(passwd, "0 1000 1\n1 100000 65536\n");
        assert_eq!(names.get(&1000).map(String::as_str), Some("root"));
        assert_eq!(names.get(&100_032).map(String::as_str), Some("web"));
    }
}
