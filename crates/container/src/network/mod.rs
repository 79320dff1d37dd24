//! The networks of containers.
//!
//! [`connect`] makes what an instance asks for and says how to reach its app;
//! [`leave`] takes it away again, also after a crash: names follow from the
//! instance's id.
//!
//! ```text
//! bridge   namespace ── eth0 ═ tdm0123abcd ── tandem0 ── translation ── out
//! none     namespace with loopback only
//! host     no namespace: the host's own
//! ```

mod address;
mod bridge;
mod files;
mod namespace;
mod nat;
mod netlink;
mod probe;

use std::{
    net::IpAddr,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use tandem_backend::BackendError;
use tandem_model::{InstanceId, InstanceRecord, NetworkChoice};

use address::Subnet;
pub(crate) use bridge::BRIDGE;
use files::EtcFiles;
use nat::Nft;
pub(crate) use probe::{probe_bridge, probe_nat};

fn failed(e: impl std::fmt::Display) -> BackendError {
    BackendError::engine("the bridge network", e)
}

/// Name of an instance's link on the host; at most 15 bytes.
fn link_of(id: &InstanceId) -> String {
    format!("tdm{}", &id.as_str()[..8])
}

/// The name that an instance knows itself by: what was asked for, the host's
/// own when it shares its network (as in Docker), or its id.
pub(crate) fn hostname(record: &InstanceRecord) -> String {
    match (&record.spec.hostname, &record.spec.options.network) {
        (Some(name), _) => name.clone(),
        (None, NetworkChoice::Host) => files::host_name(),
        (None, _) => record.id.to_string(),
    }
}

/// What an instance got of the network that it asked for.
pub(crate) struct Connected {
    namespace: Option<OwnedFd>,
    /// Its address, where it has one of its own.
    pub(crate) address: Option<IpAddr>,
    /// Where published ports are passed on to; `None` when none can be.
    pub(crate) reach: Option<IpAddr>,
    /// Links on the host that are its own.
    pub(crate) links: Vec<String>,
    /// Its name, for itself.
    pub(crate) hostname: String,
    files: EtcFiles,
    nft: Option<Nft>,
    warnings: Vec<String>,
}

/// Connects the instance of a record to the network of its choice. The
/// calling thread is in another network namespace for a moment, so the
/// process must have no other threads.
pub(crate) async fn connect(record: &InstanceRecord) -> Result<Connected, BackendError> {
    let hostname = hostname(record);
    let dns = &record.spec.options.dns;
    match &record.spec.options.network {
        NetworkChoice::Bridge => {
            let link = link_of(&record.id);
            let place = bridge::join(BRIDGE, &link).await?;
            let address = IpAddr::V4(place.address);
            let (files, warning) = EtcFiles::on_bridge(address, &hostname, dns);
            Ok(Connected {
                namespace: Some(place.namespace),
                address: Some(address),
                reach: Some(address),
                links: vec![link],
                nft: place.nft,
                warnings: place.warning.into_iter().chain(warning).collect(),
                ..Connected::bare(hostname, files)
            })
        }
        NetworkChoice::None => {
            let (namespace, inside) = namespace::make().map_err(failed)?;
            inside.loopback_up().await.map_err(failed)?;
            let files = EtcFiles::alone(&hostname, dns);
            Ok(Connected { namespace: Some(namespace), ..Connected::bare(hostname, files) })
        }
        NetworkChoice::Host => {
            let files = EtcFiles::of_host(&hostname, dns);
            Ok(Connected::bare(hostname, files))
        }
        NetworkChoice::Named(name) => Err(BackendError::NoNetwork(name.clone())),
    }
}

impl Connected {
    /// Connected to nothing.
    fn bare(hostname: String, files: EtcFiles) -> Self {
        Self {
            namespace: None,
            address: None,
            reach: None,
            links: Vec::new(),
            hostname,
            files,
            nft: None,
            warnings: Vec::new(),
        }
    }

    /// The namespace to join, where another process finds it while this value
    /// lives; `None` for the host's own.
    pub(crate) fn namespace_path(&self) -> Option<PathBuf> {
        let number = self.namespace.as_ref()?.as_raw_fd();
        Some(format!("/proc/{}/fd/{number}", std::process::id()).into())
    }

    /// Writes the files that tell the app its name and who answers questions
    /// about names into `dir`. Returns pairs of a file and its place inside.
    pub(crate) fn write_files(
        &self,
        dir: &Path,
    ) -> Result<Vec<(PathBuf, &'static str)>, BackendError> {
        self.files.write(dir).map_err(|e| BackendError::io("write into", dir, e))
    }

    /// Waits until packets get out, and returns what is to be said about it.
    pub(crate) fn ready(&mut self) -> Vec<String> {
        if let Some(Err(e)) = self.nft.take().map(Nft::finish) {
            self.warnings.push(format!("containers cannot reach other networks: {e}"));
        }
        std::mem::take(&mut self.warnings)
    }
}

/// Takes away what [`connect`] made for the instance of a record, and what
/// nobody needs any more with it. Returns what was there.
pub(crate) async fn leave(record: &InstanceRecord) -> Result<Vec<String>, BackendError> {
    match &record.spec.options.network {
        NetworkChoice::Bridge => bridge::leave(BRIDGE, &link_of(&record.id)).await,
        NetworkChoice::None | NetworkChoice::Host | NetworkChoice::Named(_) => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_name_fits_the_kernel() {
        let id = InstanceId::from_bytes([0xab; 6]);
        assert_eq!(link_of(&id), "tdmabababab");
        assert!(link_of(&id).len() < libc::IFNAMSIZ);
    }
}
