use clap::{Args, Subcommand, ValueEnum};
use tandem_app::{ImageFilter, PruneFilter};

use super::Json;
use crate::format::Template;

/// `tandem images`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Images {
    /// Also those that lost their name and stay for an instance
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Show the whole digests
    #[arg(long, alias = "no-trunc")]
    pub(crate) digests: bool,
    /// Only those that fit: dangling=true or false, reference=PATTERN with *, label=NAME[=VALUE], before=IMAGE, since=IMAGE or until=WHEN
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<ImageFilter>,
    /// A template of Go's for each, e.g. {{.Repository}}, below headings behind `table `, or json
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "json")]
    pub(crate) format: Option<Template>,
    /// Only those of this name, NAME[:TAG]
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `tandem history`.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// Show the commands whole
    #[arg(long)]
    pub(crate) no_trunc: bool,
    #[command(flatten)]
    pub(crate) json: Json,
    /// The image
    pub(crate) image: String,
}

/// `tandem image …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// List the local images
    #[command(alias = "list")]
    Ls(Images),
    /// Print an image's OCI configuration; of several a list
    Inspect {
        /// A template of Go's over its fields and Docker's, e.g. {{.Config.Cmd}}, or json
        #[arg(short, long, value_name = "TEMPLATE")]
        format: Option<Template>,
        /// The images
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Show the steps that made an image, the last one first
    History(History),
    /// Show an image's layers: sizes, what others share, files they add or hide
    Tree {
        /// List every file
        #[arg(long)]
        files: bool,
        #[command(flatten)]
        json: Json,
        /// The image
        image: String,
    },
    /// Give an image a further name
    Tag {
        /// The image
        image: String,
        /// The new name
        name: String,
    },
    /// Take names of images away, and with the last name the image
    #[command(alias = "remove")]
    Rm {
        /// By digest all names, and also where an instance was made from it
        #[arg(short, long)]
        force: bool,
        /// Names, or beginnings of digests
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Remove what no image needs any more
    Prune {
        /// Also the images that no instance was made from
        #[arg(short, long)]
        all: bool,
        /// With -a only those that fit: until=WHEN, label=NAME[=VALUE] or label!=NAME[=VALUE]
        #[arg(long, value_name = "KEY=VALUE")]
        filter: Vec<PruneFilter>,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
    /// Make a base image from Debian packages
    Bootstrap {
        /// Which
        #[arg(value_enum, default_value = "python")]
        kind: Base,
    },
}

/// A base image that can be made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Base {
    /// Debian with Python and pip, stands in for python:…-slim
    Python,
    /// A small Debian
    Debian,
}
