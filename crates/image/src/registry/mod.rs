//! Registries (OCI distribution specification): pulling, pushing, logging in.
//!
//! ```text
//! pull ─ Source (mirrors, then the registry) ─┐
//! push ───────────────────────────────────────┼─ Endpoint ─ Auth ─ Clients
//! login ──────────────────────────────────────┘   retry, redirects
//! ```
//!
//! Every byte is checked against a digest before it becomes visible. Who one
//! is goes to the registry itself and to the token server that it names,
//! never on to another host. Plain HTTP is for this machine, and for hosts
//! that the settings mark as insecure.

mod answer;
mod auth;
mod blob;
mod challenge;
mod clients;
mod credentials;
mod docker_config;
mod endpoint;
mod error;
mod follow;
pub mod fuzz;
mod helper;
mod host;
mod login;
mod manifest;
mod outside;
mod progress;
mod proxy;
mod pull;
mod push;
mod range;
mod retry;
mod settings;
mod source;
mod tags;
mod unpacking;
mod upload;

use std::sync::Arc;

pub(crate) use clients::{SILENCE, install_crypto};
pub use credentials::{Access, Credentials, LoginFiles};
pub use error::RegistryError;
pub use login::{login, logout};
pub use outside::outside_settings;
pub use progress::Transfer;
pub(crate) use proxy::{Proxies, shown as shown_proxy};
pub use pull::{PullOptions, pull};
pub use push::push;

/// Hears how a transfer comes along.
pub(crate) type Notice = Arc<dyn Fn(Transfer) + Send + Sync>;
