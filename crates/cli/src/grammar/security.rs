use std::fs;

use clap::Args;
use tandem_app::AppError;
use tandem_model::{
    SeccompChoice, SecurityOption, SecurityOptions, Ulimit, parse_capability,
    parse_security_option, parse_ulimit,
};

/// Options of `run` and `create` about what the app may do.
#[derive(Debug, Args)]
pub(crate) struct SecurityArguments {
    /// Let the app change nothing but what is mounted
    #[arg(long)]
    read_only: bool,
    /// Give a capability (`man 7 capabilities`), or ALL
    #[arg(long, value_parser = parse_capability, value_name = "CAPABILITY")]
    cap_add: Vec<String>,
    /// Take a capability (`man 7 capabilities`), or ALL
    #[arg(long, value_parser = parse_capability, value_name = "CAPABILITY")]
    cap_drop: Vec<String>,
    /// seccomp=unconfined, seccomp=FILE or no-new-privileges=true|false
    #[arg(long, value_parser = parse_security_option, value_name = "OPTION")]
    security_opt: Vec<SecurityOption>,
    /// Limit of each process, e.g. nofile=1024:4096
    #[arg(long, value_parser = parse_ulimit, value_name = "NAME=SOFT[:HARD]")]
    pub(crate) ulimit: Vec<Ulimit>,
    /// Run a small init that passes signals on and collects orphans
    #[arg(long)]
    pub(crate) init: bool,
}

impl SecurityArguments {
    /// The options, with profiles read from their files.
    pub(crate) fn security(&self) -> anyhow::Result<SecurityOptions> {
        let mut options = SecurityOptions {
            read_only: self.read_only,
            cap_add: self.cap_add.clone(),
            cap_drop: self.cap_drop.clone(),
            ..SecurityOptions::default()
        };
        for option in &self.security_opt {
            match option {
                SecurityOption::SeccompUnconfined => options.seccomp = SeccompChoice::Unconfined,
                SecurityOption::SeccompDefault => options.seccomp = SeccompChoice::Default,
                SecurityOption::SeccompFile(path) => {
                    let json = fs::read_to_string(path).map_err(|e| {
                        let path = path.display();
                        AppError::Usage(format!(
                            "cannot read the seccomp profile {path}: {e}; write a file's path or seccomp=unconfined"
                        ))
                    })?;
                    options.seccomp = SeccompChoice::Profile { json };
                }
                SecurityOption::NoNewPrivileges(on) => options.no_new_privileges = *on,
                SecurityOption::Nothing => {}
            }
        }
        Ok(options)
    }
}
