//! Installing a package without its services: Tandem's benchmark starts a
//! private dockerd of its own, so the machine's must not come up.

use std::path::Path;

use anyhow::Result;

use super::privilege;
use crate::shell;

/// invoke-rc.d and deb-systemd-invoke ask this program (Debian policy 9.3.3).
const POLICY: &str = "/usr/sbin/policy-rc.d";

const TEXT: &str = "#!/bin/sh
# Made by `cargo xtask` while it installs packages, removed afterwards.
case \"$1\" in
docker|docker.service|docker.socket|containerd|containerd.service) exit 101 ;;
esac
exit 0
";

/// Services that come with the packages of the `bench` group.
const SERVICES: [&str; 3] = ["docker.socket", "docker.service", "containerd.service"];

/// While this lives, the services of Docker are not started by an installation.
pub(crate) struct Quiet {
    made: bool,
}

impl Quiet {
    /// Puts the policy in place; a policy that is already there stays.
    pub(crate) fn begin() -> Result<Self> {
        let made = !Path::new(POLICY).exists();
        if made {
            privilege::write(POLICY, TEXT, true)?;
        }
        Ok(Self { made })
    }

    /// Keeps the services from coming up at the next start of the machine.
    /// Only for an installation that we made.
    pub(crate) fn disable_services() -> Result<()> {
        if Path::new("/run/systemd/system").is_dir() {
            let args = [&["disable", "--now"][..], &SERVICES[..]].concat();
            shell::run(&mut privilege::command("systemctl", &args)?)?;
        }
        Ok(())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if self.made {
            let removed = privilege::command("rm", &["-f", POLICY])
                .and_then(|mut command| shell::run(&mut command));
            if let Err(error) = removed {
                eprintln!("remove {POLICY} by hand: {error:#}");
            }
        }
    }
}
