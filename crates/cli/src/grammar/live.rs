use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::attach::DetachKeys;

/// Commands that act on what runs.
#[derive(Debug, Subcommand)]
pub(crate) enum Live {
    /// Send a signal to the apps of instances
    Kill {
        /// The signal, by name or number
        #[arg(short, long, default_value = "KILL", value_name = "SIGNAL")]
        signal: String,
        /// Names or ids
        #[arg(required = true)]
        instances: Vec<String>,
    },
    /// Stop instances and start them again
    Restart {
        /// Seconds to wait before killing [default: the instance's own, usually 10]
        #[arg(short = 't', long = "time", alias = "timeout", value_name = "SECONDS")]
        time: Option<u32>,
        /// The signal, by name or number [default: the instance's own, usually SIGTERM]
        #[arg(short, long, value_name = "SIGNAL")]
        signal: Option<String>,
        /// Names or ids
        #[arg(required = true)]
        instances: Vec<String>,
    },
    /// Hold every process of instances still
    Pause {
        /// Names or ids
        #[arg(required = true)]
        instances: Vec<String>,
    },
    /// Let paused instances go on
    Unpause {
        /// Names or ids
        #[arg(required = true)]
        instances: Vec<String>,
    },
    /// Execute a command in a running instance
    Exec(Exec),
    /// Show the output of a running app as it comes, and pass input on
    Attach(Attach),
    /// Show the serial console of a virtual machine, and type there
    Console(Console),
}

/// `tandem console`.
#[derive(Debug, Args)]
pub(crate) struct Console {
    /// Keys that leave the console
    #[arg(long, default_value = DetachKeys::DEFAULT, value_name = "KEYS")]
    pub(crate) detach_keys: DetachKeys,
    /// Name or id
    pub(crate) instance: String,
}

/// `tandem attach`.
#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// Pass no input on
    #[arg(long)]
    pub(crate) no_stdin: bool,
    /// Keys that leave the app alone
    #[arg(long, default_value = DetachKeys::DEFAULT, value_name = "KEYS")]
    pub(crate) detach_keys: DetachKeys,
    /// Pass signals on to an app without a terminal
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) sig_proxy: bool,
    /// Name or id
    pub(crate) instance: String,
}

/// `tandem exec`.
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// Pass standard input on
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give the command a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Leave the command alone in the background
    #[arg(short, long, conflicts_with_all = ["interactive", "tty"])]
    pub(crate) detach: bool,
    /// Set a variable; without =V the caller's own
    #[arg(short, long, value_name = "K[=V]")]
    pub(crate) env: Vec<String>,
    /// Read variables from a file, one K=V a line
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Working directory [default: the instance's own]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) workdir: Option<String>,
    /// User inside [default: the instance's own]
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub(crate) user: Option<String>,
    /// Name or id
    pub(crate) instance: String,
    /// Program and arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}
