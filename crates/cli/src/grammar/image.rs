use clap::{Args, Subcommand, ValueEnum};

use super::Json;

/// `tandem images`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Images {
    /// Also those that lost their name and stay for an instance
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Show the whole digests
    #[arg(long)]
    pub(crate) digests: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `tandem image …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// List the local images
    Ls(Images),
    /// Print an image's OCI configuration
    Inspect {
        /// The image
        image: String,
    },
    /// Show the steps that made an image, the last one first
    History {
        /// Show the commands whole
        #[arg(long)]
        no_trunc: bool,
        #[command(flatten)]
        json: Json,
        /// The image
        image: String,
    },
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
