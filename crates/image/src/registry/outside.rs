//! What registries are asked by and with, for people to look at: the very
//! settings that a pull follows, each with the place where it was read.

use std::{
    env,
    path::{Path, PathBuf},
};

use tandem_home::Home;
use tandem_model::{OutsideKind, OutsideSetting};

use super::{LoginFiles, proxy, settings::Settings, settings::files_by_host};

/// What `rustls-native-certs` reads beside the system's own places.
const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Everything that is set for pulls and pushes of this home: proxies, mirrors,
/// certificates, logins. A setting that is broken is told with its problem.
pub fn outside_settings(home: &Home) -> Vec<OutsideSetting> {
    let mut told = proxy::told(|name| env::var(name).ok());
    told.extend(of_registries(home.root()));
    told.extend(of_certificates());
    told.extend(LoginFiles::of_user().told());
    told
}

/// `registries.json` of a home.
fn of_registries(home: &Path) -> Vec<OutsideSetting> {
    let source = Settings::file(home).display().to_string();
    let row = |kind, of: Option<&str>, value: String, problem| OutsideSetting {
        kind,
        of: of.map(str::to_owned),
        value,
        source: source.clone(),
        problem,
    };
    let settings = match Settings::of_home(home) {
        Ok(settings) => settings,
        Err(error) => {
            return vec![row(OutsideKind::Mirror, None, String::new(), Some(error.to_string()))];
        }
    };
    let mut told = Vec::new();
    for (name, set) in settings.all() {
        let mirrors = set.mirrors.iter();
        told.extend(mirrors.map(|it| row(OutsideKind::Mirror, Some(name), it.clone(), None)));
        if let Some(ca) = &set.ca {
            let problem = settings.certificates(name).err().map(|it| it.to_string());
            let value = ca.display().to_string();
            told.push(row(OutsideKind::Certificates, Some(name), value, problem));
        }
        if set.insecure {
            told.push(row(OutsideKind::Insecure, Some(name), String::new(), None));
        }
    }
    told
}

/// Those that variables name, and those of Docker's and Podman's folders.
fn of_certificates() -> Vec<OutsideSetting> {
    let mut told = Vec::new();
    for name in CERTIFICATES {
        let Some(path) = env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from) else {
            continue;
        };
        let problem = path.metadata().err().map(|e| format!("{}: {e}", path.display()));
        told.push(OutsideSetting {
            kind: OutsideKind::Certificates,
            of: None,
            value: path.display().to_string(),
            source: name.to_owned(),
            problem,
        });
    }
    for (kind, extension) in [(OutsideKind::Certificates, "crt"), (OutsideKind::Identity, "cert")] {
        for (host, files) in files_by_host(extension) {
            told.extend(files.into_iter().map(|file| OutsideSetting {
                kind,
                of: Some(host.clone()),
                value: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                source: file.parent().unwrap_or(Path::new("")).display().to_string(),
                problem: None,
            }));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_stands_in_the_homes_file_is_told_or_why_not() {
        let home = tempfile::tempdir().unwrap();
        assert!(of_registries(home.path()).is_empty());
        fs::write(
            home.path().join("registries.json"),
            r#"{"docker.io": {"mirrors": ["a.test/hub", "b.test"]},
                "r.test:5000": {"insecure": true, "ca": "/no/such.crt"}}"#,
        )
        .unwrap();
        let told = of_registries(home.path());
        let kinds: Vec<_> = told.iter().map(|it| (it.kind, it.value.as_str())).collect();
        assert_eq!(
            kinds,
            [
                (OutsideKind::Mirror, "a.test/hub"),
                (OutsideKind::Mirror, "b.test"),
                (OutsideKind::Certificates, "/no/such.crt"),
                (OutsideKind::Insecure, ""),
            ]
        );
        assert!(told.iter().all(|it| it.source.ends_with("/registries.json")));
        assert!(told[2].problem.as_ref().is_some_and(|it| it.contains("/no/such.crt")));
        fs::write(home.path().join("registries.json"), "{\"a\": {\"mirror\": 1}}").unwrap();
        let told = of_registries(home.path());
        assert!(told[0].problem.as_ref().is_some_and(|it| it.contains("registries.json")));
    }
}
