//! What machine a build or a stage is for: `--platform`, and the arguments
//! that BuildKit sets by itself (Dockerfile reference, "Automatic platform
//! ARGs in the global scope").

use std::collections::BTreeMap;

use tandem_image::Platform;

/// Reads `--platform` of a command or of FROM: `OS/ARCH[/VARIANT]`, or one of
/// the first two alone.
///
/// # Errors
/// A sentence when it is no platform, or one that Linux has no part in.
pub fn parse_platform(text: &str) -> Result<Platform, String> {
    if text.contains(',') {
        return Err(format!("`{text}` names several platforms: build for one at a time"));
    }
    let own = Platform::default();
    let whole = match text {
        "linux" => own.to_string(),
        word if SYSTEMS.contains(&word) => format!("{word}/{}", own.architecture()),
        word if !word.contains('/') => format!("linux/{word}"),
        whole => whole.to_owned(),
    };
    let platform: Platform = whole.parse().map_err(|_| {
        format!("`{text}` is no platform: write OS/ARCHITECTURE[/VARIANT], e.g. linux/arm64")
    })?;
    if !platform.is_linux() {
        return Err(format!("this machine builds for Linux only, not for `{platform}`"));
    }
    // As containerd writes them: the usual variant of one is none, and of the
    // other is said.
    let usual = match (platform.architecture(), platform.variant()) {
        ("arm64", Some("v8")) => "linux/arm64",
        ("arm", None) => "linux/arm/v7",
        _ => return Ok(platform),
    };
    Ok(usual.parse().unwrap_or(platform))
}

/// Systems that may stand alone.
const SYSTEMS: [&str; 4] = ["windows", "darwin", "freebsd", "wasi"];

/// The automatic arguments of a build for `target` on this machine.
pub(crate) fn arguments(target: Option<&Platform>) -> BTreeMap<String, String> {
    let own = Platform::default();
    let mut arguments = BTreeMap::new();
    for (side, platform) in [("BUILD", &own), ("TARGET", target.unwrap_or(&own))] {
        arguments.insert(format!("{side}PLATFORM"), platform.to_string());
        arguments.insert(format!("{side}OS"), "linux".to_owned());
        arguments.insert(format!("{side}ARCH"), platform.architecture().to_owned());
        let variant = platform.variant().unwrap_or_default().to_owned();
        arguments.insert(format!("{side}VARIANT"), variant);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_may_stand_for_the_rest() {
        let own = Platform::default().to_string();
        for (text, expected) in [
            ("linux", own.as_str()),
            ("arm64", "linux/arm64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("arm", "linux/arm/v7"),
            ("linux/arm/v6", "linux/arm/v6"),
        ] {
            assert_eq!(parse_platform(text).unwrap().to_string(), expected, "{text}");
        }
        for (bad, why) in [
            ("linux/amd64,linux/arm64", "one at a time"),
            ("windows", "for Linux only"),
            ("windows/amd64", "for Linux only"),
            ("a/b/c/d", "is no platform"),
        ] {
            let error = parse_platform(bad).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert_eq!(arguments(None)["TARGETPLATFORM"], own);
        let arm = arguments(Some(&parse_platform("linux/arm/v6").unwrap()));
        assert_eq!((&*arm["TARGETARCH"], &*arm["TARGETVARIANT"]), ("arm", "v6"));
        assert_eq!(arm["TARGETPLATFORM"], "linux/arm/v6");
    }
}
