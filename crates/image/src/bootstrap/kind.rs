use tandem_model::ImageRef;

/// Which base image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseKind {
    /// Debian with Python and pip, as the official `python` image behaves.
    Python,
    /// Debian alone.
    Debian,
}

/// A Debian release that base images are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Suite {
    pub(super) name: &'static str,
    /// Version of its `python3`.
    pub(super) python: String,
}

/// Releases and the version of their `python3`, the fallback first.
const SUITES: [(&str, &str); 2] = [("bookworm", "3.11"), ("trixie", "3.13")];

impl Suite {
    /// The host's own release when it is a Debian that is known here, whose
    /// mirror is then at hand; else bookworm.
    pub(super) fn of_host() -> Self {
        let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        Self::of_os_release(&text)
    }

    fn of_os_release(text: &str) -> Self {
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .map(|value| value.trim_matches(['"', '\'']))
        };
        let debian = value("ID") == Some("debian");
        let name = value("VERSION_CODENAME").filter(|_| debian);
        let found = SUITES.iter().find(|(suite, _)| Some(*suite) == name);
        let (name, python) = *found.unwrap_or(&SUITES[0]);
        Self { name, python: python.to_owned() }
    }
}

/// The name that [`super::bootstrap`] gives the image, known before it runs,
/// e.g. `localhost/tandem/python:3.11-bookworm`.
pub fn bootstrap_name(kind: BaseKind) -> ImageRef {
    name_of(kind, &Suite::of_host())
}

pub(super) fn name_of(kind: BaseKind, suite: &Suite) -> ImageRef {
    let text = match kind {
        BaseKind::Python => format!("localhost/tandem/python:{}-{}", suite.python, suite.name),
        BaseKind::Debian => format!("localhost/tandem/debian:{}", suite.name),
    };
    text.parse().expect("the names of base images are image references")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_known_debian_gives_its_own_suite() {
        let name = |text| name_of(BaseKind::Python, &Suite::of_os_release(text)).to_string();
        assert_eq!(
            name("ID=debian\nVERSION_CODENAME=trixie\n"),
            "localhost/tandem/python:3.13-trixie"
        );
        let fallback = "localhost/tandem/python:3.11-bookworm";
        assert_eq!(name("ID=ubuntu\nVERSION_CODENAME=\"trixie\"\n"), fallback);
        assert_eq!(name("ID=debian\n"), fallback);
        assert_eq!(name(""), fallback);
    }
}
