//! The app's user, as an image names it.

use tandem_guest::wire::Failure;

/// A user as the kernel knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Supplementary groups, the primary one among them, as in a container.
    pub(super) groups: Vec<u32>,
    pub(super) home: String,
}

/// Finds `USER[:GROUP]` (OCI image specification, config.md, `User`) in the
/// texts of `/etc/passwd` and `/etc/group`. A name wins over a number, and a
/// number need not be listed.
pub(super) fn find(wanted: &str, passwd: &str, group: &str) -> Result<User, Failure> {
    let (user, wanted_group) = wanted.split_once(':').unwrap_or((wanted, ""));
    let user = if user.is_empty() { "0" } else { user };
    let group_name = Some(wanted_group).filter(|it| !it.is_empty());
    if let Some(absurd) = [user].into_iter().chain(group_name).find(|it| !may_be_name(it)) {
        return Err(Failure::NoUser { name: absurd.to_owned() });
    }
    let number = id(user);
    let entry = entries(passwd)
        .find(|entry| entry.name == user)
        .or_else(|| entries(passwd).find(|entry| Some(entry.uid) == number));
    let mut found = match (entry, number) {
        (Some(entry), _) => User {
            uid: entry.uid,
            gid: entry.gid,
            groups: groups_of(entry.name, group),
            home: entry.home.to_owned(),
        },
        (None, Some(uid)) => User { uid, gid: 0, groups: Vec::new(), home: String::new() },
        (None, None) => return Err(Failure::NoUser { name: user.to_owned() }),
    };
    if !wanted_group.is_empty() {
        found.gid = find_group(wanted_group, group)?;
        found.groups.clear();
    }
    found.groups.retain(|other| *other != found.gid);
    found.groups.insert(0, found.gid);
    if found.home.is_empty() {
        "/".clone_into(&mut found.home);
    }
    Ok(found)
}

/// An id of a user or a group; no larger one than in a container. To the
/// kernel the last 32-bit number means nobody, and an app would stay root.
fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id <= i32::MAX.unsigned_abs())
}

/// Whether a text may be looked up as a name: a number that is no id may not.
fn may_be_name(text: &str) -> bool {
    id(text).is_some() || !text.bytes().all(|byte| byte.is_ascii_digit())
}

struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// passwd(5); lines that are not entries are passed over.
fn entries(passwd: &str) -> impl Iterator<Item = Entry<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = id(fields.nth(1)?)?;
        let gid = id(fields.next()?)?;
        Some(Entry { name, uid, gid, home: fields.nth(1)? })
    })
}

/// group(5): name, number, members.
fn groups(text: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = id(fields.nth(1)?)?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

fn groups_of(user: &str, text: &str) -> Vec<u32> {
    // Nobody's name is in no group, though a list without members looks so.
    if user.is_empty() {
        return Vec::new();
    }
    groups(text)
        .filter(|(_, _, members)| members.split(',').any(|member| member == user))
        .map(|(_, gid, _)| gid)
        .collect()
}

fn find_group(wanted: &str, text: &str) -> Result<u32, Failure> {
    groups(text)
        .find(|(name, ..)| *name == wanted)
        .map(|(_, gid, _)| gid)
        .or_else(|| id(wanted))
        .ok_or_else(|| Failure::NoUser { name: wanted.to_owned() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nnot an entry\nweb:x:33:34::/srv:/bin/sh\n33x:x:5:6::/five:\n";
    const GROUP: &str = "root:x:0:\nlog:x:4:web,root\nweb:x:34:\n";

    #[test]
    fn users_are_found_by_name_and_number() {
        let found = |wanted| {
            let user = find(wanted, PASSWD, GROUP).unwrap();
            (user.uid, user.gid, user.groups, user.home)
        };
        assert_eq!(found(""), (0, 0, vec![0, 4], "/root".into()));
        assert_eq!(found("web"), (33, 34, vec![34, 4], "/srv".into()));
        assert_eq!(found("33"), (33, 34, vec![34, 4], "/srv".into()));
        assert_eq!(found("33x"), (5, 6, vec![6], "/five".into()));
        assert_eq!(found("web:log"), (33, 4, vec![4], "/srv".into()));
        assert_eq!(found("77:78"), (77, 78, vec![78], "/".into()));
        let nameless = find("0", ":x:0:0::/:\n", "wheel:x:10:\n").unwrap();
        assert_eq!(nameless.groups, [0], "{nameless:?}");
        for unknown in ["nobody", "web:nothing", "4294967295", "2147483648", "0:4294967295"] {
            assert!(matches!(find(unknown, PASSWD, GROUP), Err(Failure::NoUser { .. })));
        }
        for absurd in ["4294967296", "0:4294967296"] {
            let found = find(absurd, "4294967296:x:0:0::/:\n", "4294967296:x:0:\n");
            assert!(matches!(found, Err(Failure::NoUser { name }) if name == "4294967296"));
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(wanted in ".{0,9}", passwd in "[a-c0-2:\n]{0,99}", group in "[a-c0-2:,\n]{0,99}") {
            let _ = find(&wanted, &passwd, &group);
        }
    }
}
