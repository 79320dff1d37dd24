use std::path::PathBuf;

use clap::{Args, Subcommand};
use tandem_app::PruneFilter;
use tandem_model::{MountSource, MountSpec, parse_mount, parse_size, parse_tmpfs, parse_volume};

use super::Filtered;
use crate::format::Template;

/// Options of `run` and `create` about files.
#[derive(Debug, Args)]
pub(crate) struct StorageOptions {
    /// Mount a volume or a folder; SRC is a path when it begins with /, . or ~
    #[arg(short, long, value_parser = parse_volume, value_name = "[SRC:]DST[:ro]")]
    volume: Vec<MountSpec>,
    /// Mount the volumes and folders that another instance has; own mounts go before
    #[arg(long, value_name = "INSTANCE[:ro]")]
    pub(crate) volumes_from: Vec<String>,
    /// Mount something, e.g. type=bind,source=/srv,target=/data,readonly
    #[arg(long, value_parser = parse_mount, value_name = "KEY=VALUE,…")]
    mount: Vec<MountSpec>,
    /// Size of /dev/shm, e.g. 1g [default: 64m]
    #[arg(long, value_parser = parse_size, value_name = "SIZE")]
    pub(crate) shm_size: Option<u64>,
    /// Mount memory, e.g. /run:size=64m,mode=755
    #[arg(long, value_parser = parse_tmpfs, value_name = "DST[:OPTIONS]")]
    tmpfs: Vec<MountSpec>,
}

impl StorageOptions {
    /// The mounts, with paths of the host made absolute.
    pub(crate) fn mounts(self) -> std::io::Result<Vec<MountSpec>> {
        let all = self.volume.into_iter().chain(self.mount).chain(self.tmpfs);
        all.map(|mut mount| {
            if let MountSource::Bind { path } = &mut mount.source {
                let home = std::env::var_os("HOME").map(PathBuf::from);
                if let (Ok(rest), Some(home)) = (path.strip_prefix("~"), home) {
                    *path = home.join(rest);
                }
                *path = std::path::absolute(&path)?;
            }
            Ok(mount)
        })
        .collect()
    }
}

/// `tandem volume …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Volume {
    /// Make a volume and print its name
    Create {
        /// Where its files are: only local, a folder of this machine
        #[arg(short, long, default_value = "local", hide_default_value = true, value_parser = ["local"])]
        driver: String,
        /// Label of the volume
        #[arg(long, value_name = "K=V")]
        label: Vec<String>,
        /// Its name [default: a random one]
        name: Option<String>,
    },
    /// List the volumes
    #[command(alias = "list")]
    Ls(Filtered),
    /// Print everything known of volumes, as JSON
    Inspect {
        /// A template of Go's for each, e.g. {{.Mountpoint}}, or json
        #[arg(short, long, value_name = "TEMPLATE")]
        format: Option<Template>,
        /// Names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Remove volumes that no instance has
    #[command(alias = "remove")]
    Rm {
        /// Do not mind those that are not there
        #[arg(short, long)]
        force: bool,
        /// Names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Remove the volumes without a name of yours that no instance has
    Prune {
        /// Also those with a name
        #[arg(short, long)]
        all: bool,
        /// Only those that fit: label=NAME[=VALUE] or label!=NAME[=VALUE]
        #[arg(long, value_name = "KEY=VALUE")]
        filter: Vec<PruneFilter>,
        /// As Docker's, which asks without it; nobody is asked here
        #[arg(short, long)]
        force: bool,
    },
}
