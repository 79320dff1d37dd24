use tandem_model::Capability;

use crate::{Standing, ranges_of_caller, why_not};

/// What mends a refusal that [`why_not`] tells.
pub fn mend(reason: &str) -> &'static str {
    if reason.contains("kernel.unprivileged_userns_clone") {
        "sudo sysctl kernel.unprivileged_userns_clone=1"
    } else if reason.contains("kernel.apparmor_restrict_unprivileged_userns") {
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    } else if reason.contains("user.max_user_namespaces") {
        "sudo sysctl user.max_user_namespaces=65536"
    } else {
        "use `sudo tandem`, outside of other containers"
    }
}

/// What an ordinary user has of users and groups; `None` for root.
pub fn capability() -> Option<Capability> {
    const ID: &str = "user_namespace";
    match Standing::of_process() {
        Standing::Root => None,
        Standing::Ordinary => {
            let detail = why_not().unwrap_or("this program does not enter one");
            Some(Capability::missing(ID, detail, Some(mend(detail))))
        }
        Standing::Namespace { ids: 0..=1, .. } => {
            let ranges = ranges_of_caller();
            let (why, fix) = if ranges.usable() {
                let why = "there is a range, but newuidmap and newgidmap do not map it";
                (why, "`sudo apt-get install uidmap`, and end what runs in this home".to_owned())
            } else {
                let fix = format!(
                    "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {}",
                    ranges.name
                );
                ("no range in /etc/subuid and /etc/subgid", fix)
            };
            let detail = format!(
                "only one user id, yours ({why}): every file of an image belongs to root inside, \
                 and apps that want another user run as root"
            );
            Some(Capability::limited(ID, detail, Some(&fix)))
        }
        Standing::Namespace { ids, .. } => {
            Some(Capability::ok(ID, format!("a user namespace with {ids} user ids")))
        }
    }
}
