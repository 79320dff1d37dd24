//! The container lane: libcontainer with our rootfs, network and supervision.
//!
//! ```text
//! supervisor (own mount namespace, subreaper)
//!   rootfs    overlay of the image's layers        bundle/config.json
//!   network   namespace, veth, bridge, proxies
//!   create    libcontainer: fork ─ cgroup ─ namespaces ─ pivot ─ wait
//!             start ─ filter ─ exec ─ (pipe closes) ─ running
//!   or        CRIU, when the memory of a snapshot waits: group ─ restore ─ running
//! ```
//!
//! The app dies with its supervisor (`PR_SET_PDEATHSIG`), and with it its pid,
//! mount and network namespaces. So after a `kill -9` only the control group
//! is left, and perhaps the bridge; both have names that follow from the id.

mod engine;
mod executor;
mod payload;
mod places;
mod probe;
mod resume;
mod security;

pub use engine::ContainerEngine;
pub use payload::container_payload;

pub(crate) use security::filter as security_filter;

/// The engine and its version.
pub(crate) const ENGINE: &str = "libcontainer 0.7.0";
