#![no_main]
//! Who `USER` is, in the files of an image: the container and the machine must
//! find the same. The parts are who is wanted, passwd, and group, with a zero
//! byte between them.

use libfuzzer_sys::fuzz_target;
use tandem_container::fuzz::{user, user_names};

#[path = "../../../../crates/guest/src/agent/user.rs"]
mod guest;

fuzz_target!(|data: &[u8]| {
    let text = tandem_fuzz::text(data);
    let mut parts = text.splitn(3, '\0');
    let mut part = || parts.next().unwrap_or_default();
    let (wanted, passwd, group) = (part(), part(), part());
    let inside = guest::find(wanted, passwd, group).ok().map(|user| {
        let others = user.groups.into_iter().filter(|gid| *gid != user.gid).collect();
        (user.uid, user.gid, others, user.home)
    });
    let found = user(wanted, passwd, group);
    assert_eq!(found, inside, "`{wanted}` is somebody else in a machine");
    if let Some((_, _, _, home)) = &found {
        assert!(!home.is_empty());
    }
    for (_, name) in user_names(passwd, group) {
        assert!(!name.chars().any(char::is_control));
    }
});
