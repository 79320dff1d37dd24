//! Dockerfile to OCI image.
//!
//! ```text
//! text ─ parse ─▶ Dockerfile ─ plan ─▶ stages ─ execute ─▶ layers + configuration ─▶ store
//!                 (no values)          (needed ones)        │        ▲
//!                                                           ▼        │
//!                                                   StepRunner     cache
//! ```
//!
//! [`parse`] knows the grammar and no values; the plan decides which stages
//! are built; only the executor touches files. A step's change is an overlay
//! upper folder: RUN has it filled by a [`tandem_backend::StepRunner`]; COPY,
//! ADD and WORKDIR write it directly, over a merged view of the layers that
//! needs no mount. A step is cached under a digest of everything that decides
//! what it makes, and only after its layer is in the store.

mod cache;
mod carry;
mod error;
mod event;
mod execute;
mod expand;
mod export;
#[doc(hidden)]
pub mod fuzz;
mod ignore;
mod network;
mod options;
pub mod parse;
mod plan;
mod platform;
pub mod samples;
mod tree;

pub use cache::forget_stale_steps;
pub use carry::{CarriedStep, is_step_name, steps_of, take_steps};
pub use error::{BuildError, IgnoreProblem};
pub use event::{BuildEvent, Built, OutputStream, StepReport, Substitution};
pub use execute::{Commit, build, commit_document, name_of_content};
pub use export::{export_folder, export_tar};
pub use network::{HostCertificates, host_certificates};
pub use options::{
    BuildContext, BuildOptions, ContextSource, DockerfileSource, ParseBuildContextError, Secret,
};
pub use platform::parse_platform;
