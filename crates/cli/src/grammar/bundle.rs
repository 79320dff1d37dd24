use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Json;

/// `tandem bundle …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Bundle {
    /// Put all that a class needs into one file: images, kernel, lessons
    Create(CreateBundle),
    /// Take such a file over; nothing in it needs a network then
    Open {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        json: Json,
    },
}

/// `tandem bundle create`.
#[derive(Debug, Args)]
pub(crate) struct CreateBundle {
    /// The file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Only this image, with what it was built on, rather than what a class
    /// needs [default: the samples, their bases, the kernel, lessons of your own]
    #[arg(long = "image", value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// Also the kernel of virtual machines, where --image chooses
    #[arg(long)]
    pub(crate) kernel: bool,
    /// Also all results
    #[arg(long)]
    pub(crate) results: bool,
    /// Take what is here; build, pull and fetch nothing
    #[arg(long)]
    pub(crate) no_build: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}
