//! What an app may do, worked out from its record.

use oci_spec::runtime::Capability;
use tandem_backend::BackendError;
use tandem_home::Home;
use tandem_model::{SeccompChoice, SecurityOptions, Ulimit, ulimit_number};
use tandem_rootless::Standing;

use super::executor::LastCapabilities;
use crate::confine::{Filter, User, bit, out_of_reach, own, wanted};

/// An app's capabilities and its filter.
pub(super) struct Security {
    pub(super) capabilities: u64,
    /// Needed to install the filter, and given back then.
    pub(super) lent: u64,
    pub(super) last: Option<LastCapabilities>,
    pub(super) filter: Option<Filter>,
}

impl Security {
    /// # Errors
    /// [`BackendError::BadSetting`] for a system call profile that is none.
    pub(super) fn of(
        home: &Home,
        options: &SecurityOptions,
        user: &User,
        devices_filtered: bool,
    ) -> Result<Self, BackendError> {
        let missing = out_of_reach(options);
        if !missing.is_empty() {
            return Err(BackendError::Unavailable {
                what: missing.join(", "),
                why: "this machine does not give it to Tandem itself".into(),
                fix: "leave --cap-add of it out".into(),
            });
        }
        let capabilities = wanted(options, devices_filtered);
        let filter = filter(home, options, capabilities)?;
        let mut security = Self { capabilities, lent: 0, last: None, filter };
        // Without no-new-privileges a filter is installed with privilege only.
        if security.filter.is_some() && !options.no_new_privileges {
            security.lent = bit(Capability::SysAdmin) | bit(Capability::Setpcap);
            let held = if user.uid == 0 { capabilities } else { 0 };
            security.last = Some(LastCapabilities { bounding: capabilities, held });
        }
        Ok(security)
    }
}

/// Refuses limits above those that this process may set (setrlimit(2)).
pub(super) fn check_ulimits(limits: &[Ulimit]) -> Result<(), BackendError> {
    // Counts in the machine's own user namespace only (setrlimit(2)).
    let machine_root = Standing::of_process().is_machine_root();
    if machine_root && own() & bit(Capability::SysResource) != 0 {
        return Ok(());
    }
    for limit in limits {
        let number = ulimit_number(&limit.name).unwrap_or(u32::MAX);
        let mut held = libc::rlimit64 { rlim_cur: 0, rlim_max: u64::MAX };
        // SAFETY: the structure lives through the call; a number that is none
        // is refused and leaves it alone.
        unsafe { libc::getrlimit64(number, &raw mut held) };
        if limit.hard > held.rlim_max {
            return Err(BackendError::Unavailable {
                what: format!("--ulimit {}={}", limit.name, told(limit.hard)),
                why: format!("Tandem itself may have {} at most here", held.rlim_max),
                fix: "give a lower one".into(),
            });
        }
    }
    Ok(())
}

/// A limit as it is typed.
fn told(value: u64) -> String {
    if value == u64::MAX { "unlimited".to_owned() } else { value.to_string() }
}

/// The system call filter that belongs to the options; `None` for none.
pub(crate) fn filter(
    home: &Home,
    options: &SecurityOptions,
    capabilities: u64,
) -> Result<Option<Filter>, BackendError> {
    let failed = |e| BackendError::engine("the system call filter", e);
    match &options.seccomp {
        SeccompChoice::Unconfined => Ok(None),
        SeccompChoice::Default => Filter::cached_for(home, capabilities).map(Some).map_err(failed),
        SeccompChoice::Profile { json } => {
            Filter::from_profile(json, capabilities).map(Some).map_err(|e| {
                BackendError::BadSetting(format!("the seccomp profile cannot be used: {e}"))
            })
        }
    }
}
