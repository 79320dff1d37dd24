//! Long work that somebody asked for in the window.

use serde::Serialize;

use crate::{BundleRequest, ExperimentRequest, GiftKind, Spot};

/// What was asked for, so that a page that was loaded meanwhile can show it.
#[derive(Debug, Clone, PartialEq, Serialize, ts_rs::TS)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Errand {
    /// An image is pulled.
    Pull {
        /// Its name, as typed.
        reference: String,
    },
    /// A project is built.
    Build {
        /// Its folder.
        folder: String,
    },
    /// PostgreSQL's image is made from packages.
    Database,
    /// An experiment is run.
    Experiment {
        /// As it was set.
        request: Box<ExperimentRequest>,
    },
    /// A run is gone on with.
    Resume {
        /// Its id.
        run: String,
    },
    /// A lesson's command is carried out.
    Lesson {
        /// The lesson's id.
        id: String,
        /// The run block.
        spot: Spot,
        /// The command's number in it.
        number: u32,
    },
    /// An instance, or what belongs to it, is written to a file.
    Gift {
        /// The instance's name.
        name: String,
        /// What is given.
        gift: GiftKind,
        /// The file, as typed.
        file: String,
    },
    /// A bundle is made.
    CreateBundle {
        /// What it is to hold.
        request: BundleRequest,
        /// The file, as typed.
        file: String,
    },
    /// A bundle is taken over.
    OpenBundle {
        /// The file, as typed.
        file: String,
    },
}

impl Errand {
    /// The kind of work, of which one piece goes on at a time.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pull { .. } => "pull",
            Self::Build { .. } | Self::Database => "build",
            Self::Experiment { .. } | Self::Resume { .. } => "experiment",
            Self::Lesson { .. } => "lesson",
            Self::Gift { .. } => "gift",
            Self::CreateBundle { .. } | Self::OpenBundle { .. } => "bundle",
        }
    }

    /// Whether what it tells is how it stands, so that the latest says it all,
    /// and not what came in addition.
    pub fn tells_state(&self) -> bool {
        matches!(self, Self::Pull { .. } | Self::CreateBundle { .. } | Self::OpenBundle { .. })
    }
}
