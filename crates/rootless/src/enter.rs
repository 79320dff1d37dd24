use std::{fs, io, sync::OnceLock};

use nix::sched::{CloneFlags, setns};
use tandem_home::{Home, HomeError};

use crate::{Standing, ids, maps, members, scope};

/// Why an ordinary user's commands cannot work.
#[derive(Debug, thiserror::Error)]
pub enum RootlessError {
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The system refused.
    #[error("cannot {action} a user namespace: {source}")]
    Refused {
        /// What was tried, a verb.
        action: &'static str,
        /// The answer.
        source: io::Error,
    },
    /// Another command made a namespace while this process was on its way.
    #[error(
        "another command began a new user namespace for this home meanwhile: run the command again"
    )]
    Overtaken,
}

static WHY_NOT: OnceLock<String> = OnceLock::new();

/// Why this process is an ordinary one and in no namespace; `None` when it is
/// root of something.
pub fn why_not() -> Option<&'static str> {
    WHY_NOT.get().map(String::as_str)
}

/// Enters the user namespace of a home: that of a living process of it, or a
/// new one. Root stays where it is. Where the system allows no user namespace
/// the process stays an ordinary one, and [`why_not`] says why; much works
/// without. The process must have a single thread. Who `starts` apps is given
/// control groups by the person's systemd before, where that is there.
pub fn enter(home: &Home, starts: bool) -> Result<(), RootlessError> {
    if Standing::of_process() != Standing::Ordinary {
        return Ok(());
    }
    if starts {
        scope::settle();
    }
    let members = members::Members::open(home)?;
    let refused = |action| move |source: io::Error| RootlessError::Refused { action, source };
    let other = |namespace: &fs::File| !members::is_own(namespace).unwrap_or(true);
    if let Some(namespace) = members.namespace().filter(other) {
        setns(&namespace, CloneFlags::CLONE_NEWUSER)
            .map_err(io::Error::from)
            .map_err(refused("join"))?;
        return Ok(members.add()?);
    }
    match maps::make(&ids::ranges_of_caller()) {
        Ok(_) => Ok(members.add()?),
        Err(e) => {
            let _ = WHY_NOT.set(explain(&e));
            Ok(())
        }
    }
}

/// Registers a process that inherited the namespace and outlives the command
/// that entered it.
pub fn register(home: &Home) -> Result<(), RootlessError> {
    if !matches!(Standing::of_process(), Standing::Namespace { .. }) {
        return Ok(());
    }
    let members = members::Members::open(home)?;
    if let Some(namespace) = members.namespace() {
        let own = members::is_own(&namespace)
            .map_err(|source| RootlessError::Refused { action: "look at", source })?;
        if !own {
            return Err(RootlessError::Overtaken);
        }
    }
    Ok(members.add()?)
}

/// What stands in the way, with the command that mends it.
fn explain(error: &io::Error) -> String {
    let set = |name: &str, value: &str| {
        fs::read_to_string(format!("/proc/sys/{name}")).is_ok_and(|text| text.trim() == value)
    };
    let mend = |setting: &str| format!("the setting {setting} forbids user namespaces");
    if set("kernel/unprivileged_userns_clone", "0") {
        mend("kernel.unprivileged_userns_clone=0")
    } else if set("kernel/apparmor_restrict_unprivileged_userns", "1") {
        mend("kernel.apparmor_restrict_unprivileged_userns=1")
    } else if set("user/max_user_namespaces", "0") {
        mend("user.max_user_namespaces=0")
    } else {
        format!("the system allows no user namespace: {error}")
    }
}
