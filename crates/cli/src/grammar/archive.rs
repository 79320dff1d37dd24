use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use tandem_app::ArchiveFormat;

/// Commands that put images into files and take them out.
#[derive(Debug, Subcommand)]
pub(crate) enum Archive {
    /// Write images to one file
    Save(Save),
    /// Load the images of such a file
    Load(Load),
}

/// `tandem save`.
#[derive(Debug, Args)]
pub(crate) struct Save {
    /// The file, or - for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    /// What kind of archive
    #[arg(long, value_enum, default_value = "oci-archive")]
    pub(crate) format: Format,
    /// The images
    #[arg(required = true)]
    pub(crate) images: Vec<String>,
}

/// `tandem load`.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// The file, or - for standard input; may be compressed with gzip or zstd
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) input: PathBuf,
}

/// A kind of archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// An OCI image layout, for podman, skopeo and new Dockers
    OciArchive,
    /// For any docker load
    DockerArchive,
}

impl From<Format> for ArchiveFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::OciArchive => Self::Oci,
            Format::DockerArchive => Self::Docker,
        }
    }
}
