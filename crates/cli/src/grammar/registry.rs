use clap::{Args, Subcommand};

/// The registry of names without one.
const HUB: &str = "docker.io";

/// Commands that speak with registries.
#[derive(Debug, Subcommand)]
pub(crate) enum Registry {
    /// Fetch an image from a registry
    Pull(Pull),
    /// Send an image to a registry
    Push {
        /// The local image
        reference: String,
        /// Its name there [default: the same]
        destination: Option<String>,
    },
    /// Keep a user name and a password for a registry
    Login(Login),
    /// Forget the login for a registry
    Logout {
        /// The registry, e.g. localhost:5000
        #[arg(default_value = HUB)]
        registry: String,
    },
}

/// `tandem pull`.
#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// For another machine, e.g. linux/arm64
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<String>,
    /// The image, e.g. python:3.12-slim
    pub(crate) reference: String,
}

/// `tandem login`.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// User name [default: asked for]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// Password; others may see it in the list of processes
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    pub(crate) password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// The registry, e.g. localhost:5000
    #[arg(default_value = HUB)]
    pub(crate) registry: String,
}
