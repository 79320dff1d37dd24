use std::path::PathBuf;

use super::{ParseOptionError, advice, place, tmpfs::parse_mode};
use crate::{MountSource, MountSpec, parse_size};

/// Reads what stands behind `-v`: `SRC:DST[:OPTIONS]`, or `DST` alone for a
/// volume without a name. `SRC` is a path of the host when it begins with `/`,
/// `.` or `~`, and else the name of a volume. The path is returned as it is
/// typed.
///
/// # Errors
/// What is wrong with the text, one sentence.
pub fn parse_volume(text: &str) -> Result<MountSpec, ParseOptionError> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => ("", target, ""),
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, options),
        _ => return Err(no_volume(text)),
    };
    if parts.len() > 1 && (source.is_empty() || target.is_empty()) {
        return Err(no_volume(text));
    }
    let mut no_copy = false;
    let mut read_only = false;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => read_only = true,
            "nocopy" => no_copy = true,
            // Labels and hints for systems that Tandem has no part in, and
            // what every mount is anyway.
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" | "private" | "rprivate" => {}
            other => {
                let known = "write ro, rw, nocopy, z or Z";
                let advice = advice(other, &["ro", "rw", "nocopy"], known);
                let text = format!("`{other}` is no option of a volume: {advice}");
                return Err(ParseOptionError(text));
            }
        }
    }
    let target = place(target)?;
    let source = if is_path(source) {
        MountSource::Bind { path: PathBuf::from(source) }
    } else {
        volume(source, no_copy)?
    };
    Ok(MountSpec { source, target, read_only })
}

fn no_volume(text: &str) -> ParseOptionError {
    ParseOptionError(format!(
        "`{text}` is no volume: write NAME:/PLACE, /FOLDER:/PLACE or /PLACE, e.g. data:/var/lib/data"
    ))
}

fn is_path(source: &str) -> bool {
    source.starts_with(['/', '.', '~'])
}

/// The volume of a name; of an empty one, a volume for this instance alone,
/// which is named when the instance is made.
fn volume(name: &str, no_copy: bool) -> Result<MountSource, ParseOptionError> {
    if !name.is_empty() {
        check_volume_name(name)?;
    }
    Ok(MountSource::Volume { name: name.to_owned(), no_copy, anonymous: name.is_empty() })
}

/// Refuses what cannot name a volume (and a folder).
///
/// # Errors
/// What a name looks like.
pub fn check_volume_name(name: &str) -> Result<(), ParseOptionError> {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if first && rest && name.len() <= 128 {
        return Ok(());
    }
    let shown: String = name.chars().take(128).collect();
    Err(ParseOptionError(format!(
        "`{shown}` cannot name a volume: use letters, digits, `_`, `.` and `-`, beginning with a letter or digit, or a path that begins with / or ./"
    )))
}

const KEYS: [&str; 19] = [
    "type",
    "source",
    "src",
    "target",
    "destination",
    "dst",
    "readonly",
    "ro",
    "volume-nocopy",
    "volume-driver",
    "bind-propagation",
    "bind-recursive",
    "consistency",
    "tmpfs-size",
    "tmpfs-mode",
    "volume-opt",
    "volume-label",
    "volume-subpath",
    "bind-nonrecursive",
];

/// What `--mount` has said so far.
#[derive(Default)]
struct Fields {
    kind: String,
    source: Option<String>,
    target: Option<String>,
    read_only: bool,
    no_copy: bool,
    size_bytes: Option<u64>,
    mode: Option<u32>,
}

/// Reads what stands behind `--mount`: `type=volume|bind|tmpfs,source=…,
/// target=…,readonly` and Docker's other keys, separated by commas.
///
/// # Errors
/// What is wrong with the text, one sentence.
pub fn parse_mount(text: &str) -> Result<MountSpec, ParseOptionError> {
    let mut fields = Fields { kind: "volume".to_owned(), ..Fields::default() };
    for field in text.split(',').filter(|field| !field.is_empty()) {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field, None),
        };
        fields.take(&key.to_ascii_lowercase(), value)?;
    }
    fields.finish(text)
}

impl Fields {
    fn take(&mut self, key: &str, value: Option<&str>) -> Result<(), ParseOptionError> {
        let needed = || {
            let advice = format!("`{key}` of --mount needs a value: write {key}=…");
            value.filter(|value| !value.is_empty()).ok_or(ParseOptionError(advice))
        };
        match key {
            "type" => needed()?.clone_into(&mut self.kind),
            "source" | "src" => self.source = Some(needed()?.to_owned()),
            "target" | "destination" | "dst" => self.target = Some(place(needed()?)?),
            "readonly" | "ro" => self.read_only = truth(key, value)?,
            "volume-nocopy" => self.no_copy = truth(key, value)?,
            "tmpfs-size" => {
                let size = parse_size(needed()?);
                self.size_bytes = Some(size.map_err(|e| ParseOptionError::new(e.to_string()))?);
            }
            "tmpfs-mode" => self.mode = Some(parse_mode(needed()?)?),
            "volume-driver" if value == Some("local") => {}
            "bind-propagation" if matches!(value, Some("private" | "rprivate")) => {}
            "bind-recursive" if value == Some("enabled") => {}
            "consistency" => {}
            known if KEYS.contains(&known) => {
                let shown = value.map(|value| format!("={value}")).unwrap_or_default();
                let advice =
                    format!("`{known}{shown}` of --mount is not possible here: leave it out");
                return Err(ParseOptionError(advice));
            }
            other => {
                let known =
                    "write type, source, target, readonly, volume-nocopy, tmpfs-size or tmpfs-mode";
                let advice = advice(other, &KEYS, known);
                let text = format!("`{other}` is no key of --mount: {advice}");
                return Err(ParseOptionError(text));
            }
        }
        Ok(())
    }

    fn finish(self, text: &str) -> Result<MountSpec, ParseOptionError> {
        let wrong = |advice: &str| Err(ParseOptionError(format!("--mount {text}: {advice}")));
        let Some(target) = self.target else { return wrong("add target=/PLACE") };
        let source = match (self.kind.as_str(), self.source) {
            ("volume", Some(source)) if is_path(&source) => {
                return wrong("a path is no volume: write type=bind");
            }
            ("volume", source) => volume(source.as_deref().unwrap_or(""), self.no_copy)?,
            ("bind", None) => return wrong("add source=/FOLDER, what is to be seen inside"),
            ("bind", Some(source)) if !is_path(&source) => {
                return wrong("the source of a bind begins with / or ./");
            }
            ("bind", Some(source)) => MountSource::Bind { path: PathBuf::from(source) },
            ("tmpfs", Some(_)) => return wrong("a tmpfs has no source: leave it out"),
            ("tmpfs", None) => {
                let (size_bytes, mode) = (self.size_bytes, self.mode);
                MountSource::Tmpfs { size_bytes, mode, uid: None, gid: None, exec: false }
            }
            _ => return wrong("the type is volume, bind or tmpfs"),
        };
        Ok(MountSpec { source, target, read_only: self.read_only })
    }
}

/// A key alone is true.
fn truth(key: &str, value: Option<&str>) -> Result<bool, ParseOptionError> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(_) => Err(ParseOptionError(format!("`{key}` of --mount is true or false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> MountSource {
        MountSource::Volume { name: name.into(), no_copy: false, anonymous: name.is_empty() }
    }

    #[test]
    fn volumes_paths_and_nameless_ones_are_told_apart() {
        let read = |text| parse_volume(text).unwrap();
        assert_eq!(read("data:/d").source, named("data"));
        assert_eq!(read("/d").source, named(""));
        assert_eq!(read("./x:/d").source, MountSource::Bind { path: "./x".into() });
        assert_eq!(read("~/x:/d").source, MountSource::Bind { path: "~/x".into() });
        let mount = read("/a:/b/../c:ro,Z");
        assert_eq!((mount.target.as_str(), mount.read_only), ("/c", true));
        let MountSource::Volume { no_copy, .. } = read("data:/d:nocopy").source else { panic!() };
        assert!(no_copy);
    }

    #[test]
    fn what_is_no_volume_is_refused_with_advice() {
        for (text, says) in [
            ("data:", "NAME:/PLACE"),
            (":/d", "NAME:/PLACE"),
            ("data:d", "absolute"),
            ("data:/d:rp", "did you mean ro?"),
            ("da/ta:/d", "cannot name a volume"),
            ("data:/", "nothing can be mounted at /"),
            ("a:/b:ro:x", "NAME:/PLACE"),
        ] {
            let error = parse_volume(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn mounts_are_read_key_by_key() {
        let read = |text| parse_mount(text).unwrap();
        assert_eq!(read("source=data,target=/d").source, named("data"));
        let mount = read("type=bind,src=/a,dst=/b,readonly");
        assert_eq!(mount.source, MountSource::Bind { path: "/a".into() });
        assert!(mount.read_only && !read("dst=/b,ro=false").read_only);
        let MountSource::Tmpfs { size_bytes, mode, .. } =
            read("type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1770").source
        else {
            panic!()
        };
        assert_eq!((size_bytes, mode), (Some(64 << 20), Some(0o1770)));
        for (text, says) in [
            ("type=bind,target=/b", "add source"),
            ("src=data", "add target"),
            ("type=bnd,src=/a,target=/b", "volume, bind or tmpfs"),
            ("type=bind,src=data,target=/b", "begins with /"),
            ("type=tmpfs,src=/a,target=/b", "no source"),
            ("tagret=/b", "did you mean target?"),
            ("type=bind,src=/a,target=/b,bind-propagation=shared", "not possible"),
            ("target=/b,readonly=maybe", "true or false"),
        ] {
            let error = parse_mount(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_read_has_a_clean_place(text in "[a-z/.~:,=_-]{0,40}") {
            for mount in [parse_volume(&text), parse_mount(&text)].into_iter().flatten() {
                proptest::prop_assert!(mount.target.starts_with('/') && mount.target.len() > 1);
                proptest::prop_assert!(!mount.target.split('/').any(|part| part == ".."));
                if let MountSource::Volume { name, anonymous, .. } = mount.source {
                    proptest::prop_assert!(anonymous == name.is_empty() && !name.contains('/'));
                }
            }
        }
    }
}
