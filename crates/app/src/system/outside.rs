use std::path::PathBuf;

use serde::Serialize;
use tandem_image::outside_settings;
use tandem_model::{OutsideKind, OutsideSetting};

use crate::App;

/// What pulls, pushes and builds of this home are told from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct Outside {
    /// Where mirrors, certificates and hosts without TLS would stand; it need
    /// not be there.
    pub registries_file: PathBuf,
    /// What is set, each with the place where it was read.
    pub settings: Vec<OutsideSetting>,
}

impl App {
    /// The settings of registries, proxies, certificates and logins as the
    /// engine reads them now, in this process's environment.
    pub fn outside(&self) -> Outside {
        let mut settings = outside_settings(&self.home);
        settings.extend(tandem_build::host_certificates().map(|found| OutsideSetting {
            kind: OutsideKind::BuildCertificates,
            of: None,
            value: found.file.display().to_string(),
            source: found.variable.map_or_else(String::new, str::to_owned),
            problem: None,
        }));
        Outside { registries_file: self.home.root().join("registries.json"), settings }
    }
}
