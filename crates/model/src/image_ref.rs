use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Digest, ParseDigestError};

/// A reference to an image, `[registry/]repository[:tag][@digest]`, after the
/// grammar of the distribution project. Short names keep Docker's meaning:
/// `python:3.12-slim` is `docker.io/library/python:3.12-slim`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(type = "string"))]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    /// Registry host with port, `docker.io` when none was written.
    registry: String,
    /// Path below the registry, `library/…` for Docker's official images.
    repository: String,
    /// The tag; `latest` when neither tag nor digest was written.
    tag: Option<String>,
    /// The manifest digest that the image must have.
    digest: Option<Digest>,
}

/// The text is not an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseImageRefError {
    /// Nothing, or nothing before the tag.
    #[error("an image name is missing: write NAME[:TAG], e.g. hello-flask:latest")]
    Empty,
    /// The whole is longer than 255 bytes.
    #[error("the image name is longer than 255 characters")]
    TooLong,
    /// The registry is no name of a machine.
    #[error("`{0}` is no registry: write HOST[:PORT], e.g. localhost:5000")]
    Registry(String),
    /// A path component breaks the grammar.
    #[error(
        "`{0}` cannot stand in an image name: use lower-case letters and digits, with single separators `.`, `_`, `-` between them"
    )]
    Component(String),
    /// The tag breaks the grammar.
    #[error(
        "`{0}` is not a tag: use letters, digits, `_`, `.`, `-`, at most 128, not beginning with `.` or `-`"
    )]
    Tag(String),
    /// The digest breaks the grammar.
    #[error(transparent)]
    Digest(#[from] ParseDigestError),
}

/// Bytes of a whole reference at most.
const LONGEST: usize = 255;

const DEFAULT_REGISTRY: &str = "docker.io";

impl ImageRef {
    /// Registry host with port.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path below the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if any.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that the image must have, if any.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The name without tag and digest as people write it:
    /// `docker.io/library/` is left out, unless what is left would mean
    /// something else.
    pub fn familiar_name(&self) -> String {
        let official = self.repository.strip_prefix("library/");
        let short = official.filter(|rest| !rest.contains('/')).unwrap_or(&self.repository);
        let (registry, path) = split_registry(short);
        if self.registry == DEFAULT_REGISTRY && (registry, path) == (DEFAULT_REGISTRY, short) {
            short.to_owned()
        } else {
            format!("{}/{}", self.registry, self.repository)
        }
    }
}

impl FromStr for ImageRef {
    type Err = ParseImageRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > LONGEST {
            return Err(ParseImageRefError::TooLong);
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        let slash = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match rest[slash..].rfind(':') {
            Some(at) => (&rest[..slash + at], Some(parse_tag(&rest[slash + at + 1..])?)),
            None => (rest, None),
        };
        if name.is_empty() {
            return Err(ParseImageRefError::Empty);
        }
        let (registry, path) = split_registry(name);
        if !is_registry(registry) {
            return Err(ParseImageRefError::Registry(registry.to_owned()));
        }
        for component in path.split('/') {
            if !is_component(component) {
                return Err(ParseImageRefError::Component(component.to_owned()));
            }
        }
        let repository = if registry == DEFAULT_REGISTRY && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        let tag = tag.or_else(|| digest.is_none().then(|| "latest".to_owned()));
        let reference = Self { registry: registry.to_owned(), repository, tag, digest };
        // With the tag that nobody wrote; a longer name could be stored, but not
        // read again.
        if reference.to_string().len() > LONGEST {
            return Err(ParseImageRefError::TooLong);
        }
        Ok(reference)
    }
}

/// The first component is a registry when it has a dot or a port, or is
/// `localhost`; otherwise it belongs to the path.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, path)) if first == "localhost" || first.contains(['.', ':']) => (first, path),
        _ => (DEFAULT_REGISTRY, name),
    }
}

/// A domain name or an address, with a port or without (distribution,
/// `reference/reference.go`, "domain").
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_label),
    };
    is_host && port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && !port.is_empty())
}

fn is_label(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !text.starts_with(alphanumeric) || !text.ends_with(alphanumeric) {
        return false;
    }
    text.split(alphanumeric).all(|separator| {
        matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
    })
}

fn parse_tag(text: &str) -> Result<String, ParseImageRefError> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.starts_with(word)
        && text.len() <= 128
        && text.chars().all(|c| word(c) || c == '.' || c == '-')
    {
        Ok(text.to_owned())
    } else {
        Err(ParseImageRefError::Tag(text.to_owned()))
    }
}

impl fmt::Display for ImageRef {
    /// The familiar form, always with the tag or the digest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.familiar_name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for ImageRef {
    type Error = ParseImageRefError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ImageRef> for String {
    fn from(reference: ImageRef) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ImageRef {
        text.parse().unwrap()
    }

    #[test]
    fn short_names_mean_what_docker_means() {
        let image = parsed("python:3.7.2-slim");
        assert_eq!(image.registry(), "docker.io");
        assert_eq!(image.repository(), "library/python");
        assert_eq!(image.to_string(), "python:3.7.2-slim");
        assert_eq!(parsed("hello-flask").to_string(), "hello-flask:latest");
        assert_eq!(parsed("bill/hello").repository(), "bill/hello");
    }

    #[test]
    fn a_port_is_not_a_tag() {
        let image = parsed("localhost:5000/tandem/python:3.11-bookworm");
        assert_eq!(image.registry(), "localhost:5000");
        assert_eq!(image.tag(), Some("3.11-bookworm"));
        assert_eq!(parsed("localhost:5000/python").tag(), Some("latest"));
    }

    #[test]
    fn what_breaks_the_grammar_is_refused() {
        for bad in
            ["", ":tag", "Hello", "a//b", "-a", "a-", "a..b", "a:", "a:.x", "a@sha256:0", "a/b c"]
        {
            assert!(bad.parse::<ImageRef>().is_err(), "{bad}");
        }
        assert!("x".repeat(256).parse::<ImageRef>().is_err());
    }

    #[test]
    fn a_registry_is_a_machine_and_nothing_else() {
        for good in ["localhost/a", "Example.org/a", "a-b.c:1/d", "[::1]:5000/a", "10.0.0.5:5000/a"]
        {
            assert_eq!(parsed(good).to_string(), format!("{good}:latest"));
        }
        for bad in [
            "a.b?x/c",
            "a.b#/c",
            "\u{1b}[2J.b/c",
            "a:b/c",
            "a:/b",
            ":5000/b",
            "-a.b/c",
            "a..b/c",
            "[a]:1/b",
        ] {
            let refused = bad.parse::<ImageRef>().unwrap_err();
            assert!(matches!(refused, ParseImageRefError::Registry(_)), "{bad}: {refused}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let digest = format!("a@{}", Digest::from_sha256(&[7; 32]));
        for text in ["a", "docker.io/b.c/d", "docker.io/localhost/d", "library/a/b", &digest] {
            let image = parsed(text);
            assert_eq!(parsed(&image.to_string()), image, "{text}");
        }
        assert_eq!(parsed("docker.io/b.c/d").familiar_name(), "docker.io/b.c/d");
        assert_eq!(parsed("library/a/b").familiar_name(), "library/a/b");
        // The tag that nobody wrote counts too.
        assert!("x".repeat(248).parse::<ImageRef>().is_ok());
        assert!("x".repeat(249).parse::<ImageRef>().is_err());
    }
}
