use std::{fmt, str::FromStr};

/// What machine an image is for: `OS/ARCHITECTURE[/VARIANT]`, in Go's words
/// (OCI image specification, image-index.md, "platform").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// The text is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no platform: write OS/ARCHITECTURE[/VARIANT], e.g. linux/amd64 or linux/arm/v7")]
pub struct ParsePlatformError(String);

impl Default for Platform {
    /// Linux on this machine's processor.
    fn default() -> Self {
        let architecture = oci_spec::image::Arch::default().to_string();
        Self { os: "linux".to_owned(), architecture, variant: None }
    }
}

impl Platform {
    pub(crate) fn of(platform: &oci_spec::image::Platform) -> Self {
        Self {
            os: platform.os().to_string(),
            architecture: platform.architecture().to_string(),
            variant: platform.variant().clone(),
        }
    }

    pub(crate) fn of_config(config: &oci_spec::image::ImageConfiguration) -> Self {
        Self {
            os: config.os().to_string(),
            architecture: config.architecture().to_string(),
            variant: config.variant().clone(),
        }
    }

    /// The processor's architecture, in Go's words.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Which of the architecture's, when it says so.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// Whether it is for Linux.
    pub fn is_linux(&self) -> bool {
        self.os == "linux"
    }

    /// Whether an image for `offered` will do.
    pub fn accepts(&self, offered: &Self) -> bool {
        self.fit(offered).is_some()
    }

    /// Whether an image does not say what it is for.
    pub(crate) fn is_unknown(&self) -> bool {
        self.os.is_empty() || self.architecture.is_empty()
    }

    /// How well an image for `offered` fits: nothing when it does not, else
    /// more for a closer variant.
    pub(crate) fn fit(&self, offered: &Self) -> Option<u8> {
        if self.os != offered.os || self.architecture != offered.architecture {
            return None;
        }
        match (&self.variant, &offered.variant) {
            (wanted, offered) if wanted == offered => Some(2),
            (None, _) | (_, None) => Some(1),
            _ => None,
        }
    }
}

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParsePlatformError(text.chars().take(60).collect());
        let parts: Vec<&str> = text.split('/').collect();
        let word = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if parts.iter().any(|part| part.is_empty() || !part.chars().all(word)) {
            return Err(bad());
        }
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant.to_owned())),
            _ => return Err(bad()),
        };
        let architecture = match architecture {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Ok(Self { os: os.to_owned(), architecture: architecture.to_owned(), variant })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn platforms_are_read_and_compared() {
        assert_eq!(platform("linux/x86_64").to_string(), "linux/amd64");
        let wanted = platform("linux/arm/v7");
        assert_eq!(wanted.fit(&platform("linux/arm/v7")), Some(2));
        assert_eq!(wanted.fit(&platform("linux/arm")), Some(1));
        assert_eq!(wanted.fit(&platform("linux/arm/v6")), None);
        assert_eq!(platform("linux/arm").fit(&platform("linux/arm64")), None);
        for bad in ["", "amd64", "linux/", "a/b/c/d", "linux/am d64"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
