use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use tandem_app::{DiskFormat, ForeignFormat, UpdateMode, UpdateWishes};
use tandem_model::{
    AcceleratorChoice, ImageRef, PortMaps, Resources, RestartPolicy, parse_cpus,
    parse_restart_policy, parse_size,
};

use super::{Json, Listing};

/// Commands that look at or change what an instance is.
#[derive(Debug, Subcommand)]
pub(crate) enum State {
    /// Change limits and restart policies of instances, and print how long it took and the downtime
    Update(Update),
    /// Show what running instances use, live
    Stats {
        /// Read once and end
        #[arg(long)]
        no_stream: bool,
        #[command(flatten)]
        listing: Listing,
        /// Names or ids [default: all that run]
        instances: Vec<String>,
    },
    /// List what an instance changed of its image's files: A added, C changed, D deleted
    Diff {
        #[command(flatten)]
        json: Json,
        /// Name or id
        instance: String,
    },
    /// Make an image of what an instance changed
    Commit(Commit),
    /// Keep and bring back the state of an instance's disk, and of a virtual machine's memory
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Write an instance with its image, volumes and snapshots to one file
    Export {
        /// Write only the disk of a full virtual machine: qcow2 or raw, which boot in any QEMU, or
        /// ova, for VirtualBox, VMware and others
        #[arg(long, value_name = "FORMAT")]
        disk: Option<DiskFormat>,
        /// The file
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Name or id
        instance: String,
    },
    /// Make the instance of a file that `tandem export` wrote, or a machine of another's disk
    Import(Import),
    /// Copy files between an instance and the host
    Cp(Cp),
    /// List the processes of an instance
    Top {
        #[command(flatten)]
        json: Json,
        /// Name or id
        instance: String,
    },
}

/// `tandem import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Its name [default: the one it had, or with --disk the file's]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The file is a disk with an operating system on it, made elsewhere: qcow2, raw, vmdk or ova
    #[arg(long)]
    pub(crate) disk: bool,
    /// What the disk's file is [default: as it begins]
    #[arg(long, value_name = "FORMAT", requires = "disk")]
    pub(crate) format: Option<ForeignFormat>,
    /// Memory of its machine, e.g. 1g [default: what an ova says, else 1g]
    #[arg(short, long, value_parser = parse_size, value_name = "SIZE", requires = "disk")]
    pub(crate) memory: Option<u64>,
    /// Processors of its machine [default: what an ova says, else 1]
    #[arg(long, value_parser = parse_cpus, value_name = "N", requires = "disk")]
    pub(crate) cpus: Option<u32>,
    /// Publish a port of its machine: [IP:]HOST:PORT[/udp]
    #[arg(short, long, value_name = "PORTS", requires = "disk")]
    pub(crate) publish: Vec<PortMaps>,
    /// How QEMU executes: auto, kvm or tcg
    #[arg(long, default_value = "auto", value_name = "ACCELERATOR", requires = "disk")]
    pub(crate) accelerator: AcceleratorChoice,
    /// The file
    pub(crate) file: PathBuf,
}

/// `tandem commit`.
#[derive(Debug, Args)]
pub(crate) struct Commit {
    /// Note for the image's history
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: Option<String>,
    /// Who made it, e.g. "Name <name@example.org>"
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) author: Option<String>,
    /// Change the configuration: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME, WORKDIR
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub(crate) change: Vec<String>,
    /// Hold a running instance still while its files are copied
    #[arg(short, long, default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) pause: bool,
    /// Name or id
    pub(crate) instance: String,
    /// Name of the image [default: localhost/tandem/commit:DIGITS]
    pub(crate) name: Option<ImageRef>,
}

/// `tandem snapshot …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Take a snapshot; a running instance is held still meanwhile
    Create {
        /// With its memory, so that it goes on where it was: of a virtual machine,
        /// and of a container where CRIU works (`tandem doctor`); its open
        /// connections are closed by a restore
        #[arg(long)]
        memory: bool,
        #[command(flatten)]
        json: Json,
        /// Name or id of the instance
        instance: String,
        /// Name of the snapshot
        name: String,
    },
    /// List the snapshots of an instance
    Ls {
        #[command(flatten)]
        json: Json,
        /// Name or id of the instance
        instance: String,
    },
    /// Give an instance the files of a snapshot again, or make a new one of them
    Restore {
        /// Make a new instance of this name
        #[arg(long = "as", value_name = "NEW")]
        into: Option<String>,
        /// Only the disk, also when the snapshot has the memory
        #[arg(long)]
        without_memory: bool,
        #[command(flatten)]
        json: Json,
        /// Name or id of the instance
        instance: String,
        /// Name of the snapshot
        name: String,
    },
    /// Remove a snapshot; the others stay whole
    Rm {
        /// Name or id of the instance
        instance: String,
        /// Name of the snapshot
        name: String,
    },
    /// Show which snapshot came from which, and their sizes
    Tree {
        /// Name or id of the instance
        instance: String,
    },
}

/// `tandem cp`.
#[derive(Debug, Args)]
pub(crate) struct Cp {
    /// Keep owners and privileges
    #[arg(short, long)]
    pub(crate) archive: bool,
    /// Copy what a link at the source leads to
    #[arg(short = 'L', long)]
    pub(crate) follow_link: bool,
    /// INSTANCE:PATH, a path of the host, or - for a tar archive on standard input
    pub(crate) from: String,
    /// INSTANCE:PATH, a path of the host, or - for a tar archive on standard output
    pub(crate) to: String,
}

/// `tandem update`.
#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Memory limit, e.g. 256m
    #[arg(short, long, value_parser = parse_size, value_name = "SIZE")]
    memory: Option<u64>,
    /// Number of processors, e.g. 1.5
    #[arg(long, value_parser = parse_cpus, value_name = "N")]
    cpus: Option<u32>,
    /// Largest number of processes
    #[arg(long, value_name = "N")]
    pids_limit: Option<u32>,
    /// When to start the app again: no, always, unless-stopped or on-failure[:N]
    #[arg(long, value_parser = parse_restart_policy, value_name = "POLICY")]
    restart: Option<RestartPolicy>,
    /// While the app runs (hot), with a stop and a start (cold), or hot where that works
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) mode: Mode,
    #[command(flatten)]
    pub(crate) json: Json,
    /// Names or ids
    #[arg(required = true)]
    pub(crate) instances: Vec<String>,
}

impl Update {
    /// What is to change; `None` when nothing is.
    pub(crate) fn wishes(&self) -> Option<UpdateWishes> {
        let resources =
            Resources { memory_bytes: self.memory, milli_cpus: self.cpus, pids: self.pids_limit };
        let wishes = UpdateWishes { resources, restart: self.restart };
        (wishes != UpdateWishes::default()).then_some(wishes)
    }
}

/// How limits are changed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Mode {
    Auto,
    Hot,
    Cold,
}

impl From<Mode> for UpdateMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Auto => Self::Auto,
            Mode::Hot => Self::Hot,
            Mode::Cold => Self::Cold,
        }
    }
}
