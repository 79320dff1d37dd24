use clap::{Subcommand, ValueEnum};

use super::Json;

/// `tandem image …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// List the local images
    Ls(Json),
    /// Print an image's OCI configuration
    Inspect {
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
    /// Remove images
    Rm {
        /// The images
        #[arg(required = true)]
        images: Vec<String>,
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
