use std::io;

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use tandem_backend::BackendError;
use tandem_rootless::Standing;

use super::Root;

/// Who the app runs as, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups, the primary one among them, as in Docker.
    pub(crate) groups: Vec<u32>,
    /// The home directory; `/` when `/etc/passwd` does not know the user.
    pub(crate) home: String,
}

impl User {
    /// Finds `USER[:GROUP]` in the files of a root. Where root is the only
    /// user that there is, the answer is root, with a sentence that says so
    /// when somebody else was wanted.
    pub(crate) fn find(root: &Root, wanted: &str) -> Result<(Self, Option<String>), BackendError> {
        let text = |path: &str| {
            let read = root.read(path).map(Option::unwrap_or_default);
            read.map_err(|e| BackendError::io("read", path, e))
        };
        let user = find_user(wanted, &text("/etc/passwd")?, &text("/etc/group")?)?;
        Ok(if Standing::of_process().is_single() { user.alone(wanted) } else { (user, None) })
    }

    /// The same person as the only user of a namespace; nor are there groups.
    fn alone(self, wanted: &str) -> (Self, Option<String>) {
        let told = (self.uid != 0).then(|| lost_user(wanted));
        (Self { uid: 0, gid: 0, groups: Vec::new(), home: self.home }, told)
    }
}

/// What is said where an app cannot run as the user that was asked for.
pub(crate) fn lost_user(wanted: &str) -> String {
    format!(
        "the app wants to run as `{wanted}` and runs as root instead, who is you: only one user \
         id is there; `tandem doctor` says how to get more"
    )
}

/// Takes the user's groups and ids, for good. Done as root. Without any group
/// it keeps those that it has.
pub(crate) fn become_user(user: &User) -> io::Result<()> {
    let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    if !groups.is_empty() {
        setgroups(&groups)?;
    }
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    setresgid(gid, gid, gid)?;
    Ok(setresuid(uid, uid, uid)?)
}

/// An id of a user or a group; no larger one than Docker takes. To the kernel
/// the last 32-bit number means nobody, and an app would stay root.
fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id <= i32::MAX.unsigned_abs())
}

/// Whether a text may be looked up as a name. A number that is no id may not:
/// somebody who reads it would not expect root behind it.
fn may_be_name(text: &str) -> bool {
    id(text).is_some() || !text.bytes().all(|byte| byte.is_ascii_digit())
}

struct PasswdEntry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// Finds `USER[:GROUP]` (an image configuration's `User`, by name or number,
/// empty for root) in the texts of `/etc/passwd` and `/etc/group` (passwd(5),
/// group(5)). A name wins over a number; a number need not be listed. Without
/// a group the user's own one counts and all that list him; with one only
/// that, as in Docker.
pub(crate) fn find_user(text: &str, passwd: &str, group: &str) -> Result<User, BackendError> {
    let (user, wanted_group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    if let Some(absurd) = [user].into_iter().chain(wanted_group).find(|it| !may_be_name(it)) {
        return Err(BackendError::NoUser(absurd.to_owned()));
    }
    let number = id(user);
    let by_name = entries(passwd).find(|entry| entry.name == user);
    let entry = by_name.or_else(|| entries(passwd).find(|entry| Some(entry.uid) == number));
    let (uid, own_gid, name, home) = match (&entry, number) {
        (Some(entry), _) => (entry.uid, entry.gid, entry.name, entry.home),
        (None, Some(uid)) => (uid, 0, "", "/"),
        (None, None) => return Err(BackendError::NoUser(user.to_owned())),
    };
    let (gid, others) = match wanted_group {
        Some(wanted) => (find_group(wanted, group)?, Vec::new()),
        None => (own_gid, groups_of(name, group)),
    };
    let mut groups = vec![gid];
    groups.extend(others.into_iter().filter(|other| *other != gid));
    let home = if home.is_empty() { "/" } else { home };
    Ok(User { uid, gid, groups, home: home.to_owned() })
}

fn entries(passwd: &str) -> impl Iterator<Item = PasswdEntry<'_>> {
    passwd.lines().filter_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields[..] else { return None };
        Some(PasswdEntry { name, uid: id(uid)?, gid: id(gid)?, home })
    })
}

fn group_entries(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = id(fields.nth(1)?)?;
        Some((name, gid, fields.next().unwrap_or("")))
    })
}

fn find_group(wanted: &str, group: &str) -> Result<u32, BackendError> {
    group_entries(group)
        .find(|(name, ..)| *name == wanted)
        .map(|(_, gid, _)| gid)
        .or_else(|| id(wanted))
        .ok_or_else(|| BackendError::NoUser(wanted.to_owned()))
}

fn groups_of(name: &str, group: &str) -> Vec<u32> {
    if name.is_empty() {
        return Vec::new();
    }
    group_entries(group)
        .filter(|(.., members)| members.split(',').any(|member| member == name))
        .map(|(_, gid, _)| gid)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\napp:x:1000:1001::/srv/app:/bin/sh\n7:x:99:99::/seven:\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,app\naudio:x:29:app\napp:x:1001:\n";

    fn user(text: &str) -> (u32, u32, Vec<u32>, String) {
        let user = find_user(text, PASSWD, GROUP).unwrap();
        (user.uid, user.gid, user.groups, user.home)
    }

    #[test]
    fn names_and_numbers_are_found() {
        assert_eq!(user(""), (0, 0, vec![0, 10], "/root".into()));
        assert_eq!(user("app"), (1000, 1001, vec![1001, 10, 29], "/srv/app".into()));
        assert_eq!(user("1000"), (1000, 1001, vec![1001, 10, 29], "/srv/app".into()));
        assert_eq!(user("app:audio"), (1000, 29, vec![29], "/srv/app".into()));
        assert_eq!(user("app:app"), (1000, 1001, vec![1001], "/srv/app".into()));
        let twice = find_user("app", PASSWD, "app:x:1001:app\nall:x:5:app\n").unwrap();
        assert_eq!(twice.groups, [1001, 5], "the primary group counts once");
        assert_eq!(user("4242:77"), (4242, 77, vec![77], "/".into()));
        assert_eq!(user("4242"), (4242, 0, vec![0], "/".into()));
        assert_eq!(user("7"), (99, 99, vec![99], "/seven".into()), "a name wins over a number");
    }

    #[test]
    fn the_only_user_is_root_and_says_so() {
        let (user, told) = find_user("app", PASSWD, GROUP).unwrap().alone("app");
        assert_eq!((user.uid, user.gid, user.groups.len()), (0, 0, 0));
        assert!(told.unwrap().contains("`app`"));
        assert_eq!(find_user("", PASSWD, GROUP).unwrap().alone("").1, None);
    }

    #[test]
    fn unknown_names_are_refused() {
        assert!(
            matches!(find_user("nobody", PASSWD, GROUP), Err(BackendError::NoUser(name)) if name == "nobody")
        );
        assert!(
            matches!(find_user("app:none", PASSWD, GROUP), Err(BackendError::NoUser(name)) if name == "none")
        );
        for nobody in ["4294967295", "2147483648", "0:4294967295"] {
            let passwd = "x:x:4294967295:0::/:\n";
            assert!(find_user(nobody, passwd, "").is_err(), "{nobody}");
            assert!(find_user("x", passwd, "").is_err());
        }
        // Nor is such a number a name, whatever the image's files say.
        for absurd in ["4294967296", "2147483648:0", "0:99999999999999999999"] {
            let (passwd, group) = ("NAME:x:0:0::/:\n", "NAME:x:0:\n");
            let name = absurd.split(':').find(|it| it.len() > 1).unwrap();
            let files = [passwd, group].map(|text| text.replace("NAME", name));
            let refused = find_user(absurd, &files[0], &files[1]);
            assert!(matches!(refused, Err(BackendError::NoUser(it)) if it == name), "{absurd}");
        }
        assert!(find_user("", "", "").is_ok(), "an image without /etc/passwd still has root");
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(text in ".{0,20}", passwd in "[a-z0-9:\n,]{0,200}", group in "[a-z0-9:\n,]{0,200}") {
            let _ = find_user(&text, &passwd, &group);
        }
    }
}
