use super::{ParseOptionError, advice, place};
use crate::{MountSource, MountSpec, parse_size};

/// Reads what stands behind `--tmpfs`: `DST[:OPTIONS]` with the options size,
/// mode, uid, gid, ro, rw, exec and noexec.
///
/// # Errors
/// What is wrong with the text, one sentence.
pub fn parse_tmpfs(text: &str) -> Result<MountSpec, ParseOptionError> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let (mut size_bytes, mut mode, mut uid, mut gid) = (None, None, None, None);
    let (mut exec, mut read_only) = (false, false);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("size", size)) => {
                let bytes = parse_size(size).map_err(|e| ParseOptionError::new(e.to_string()))?;
                size_bytes = Some(bytes);
            }
            Some(("mode", text)) => mode = Some(parse_mode(text)?),
            Some(("uid", number)) => uid = Some(parse_id(number)?),
            Some(("gid", number)) => gid = Some(parse_id(number)?),
            None if option == "ro" => read_only = true,
            None if option == "rw" => read_only = false,
            None if option == "exec" => exec = true,
            None if option == "noexec" => exec = false,
            // Every one is.
            None if matches!(option, "nosuid" | "nodev") => {}
            _ => {
                let known = ["size", "mode", "uid", "gid", "noexec", "exec", "ro", "rw"];
                let advice =
                    advice(option, &known, "write size=64m, mode=1777, uid=1000, exec or ro");
                let text = format!("`{option}` is no option of --tmpfs: {advice}");
                return Err(ParseOptionError(text));
            }
        }
    }
    let source = MountSource::Tmpfs { size_bytes, mode, uid, gid, exec };
    Ok(MountSpec { source, target: place(target)?, read_only })
}

/// A number of a user or group; the highest is nobody's (chown(2)).
fn parse_id(text: &str) -> Result<u32, ParseOptionError> {
    text.parse().ok().filter(|id| *id != u32::MAX).ok_or_else(|| {
        ParseOptionError(format!("`{text}` is no number of a user or group: write e.g. uid=1000"))
    })
}

/// Permissions in octal, e.g. `1777`.
pub(super) fn parse_mode(text: &str) -> Result<u32, ParseOptionError> {
    let digits = text.trim_start_matches("0o");
    let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| {
        ParseOptionError(format!("`{text}` is no mode: write up to four octal digits, e.g. 1777"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_modes_and_slips() {
        let mount = parse_tmpfs("/run:size=1m,mode=755,exec,ro").unwrap();
        assert!(mount.read_only);
        let plain =
            MountSource::Tmpfs { size_bytes: None, mode: None, uid: None, gid: None, exec: false };
        let source = MountSource::Tmpfs {
            size_bytes: Some(1 << 20),
            mode: Some(0o755),
            uid: None,
            gid: None,
            exec: true,
        };
        assert_eq!(mount.source, source);
        let owned = parse_tmpfs("/run:uid=5,gid=6").unwrap().source;
        assert!(matches!(owned, MountSource::Tmpfs { uid: Some(5), gid: Some(6), .. }));
        assert_eq!(parse_tmpfs("/run").unwrap().source, plain);
        for bad in
            ["run", "/run:mode=9", "/run:mode=77777", "/run:size=x", "/run:noexce", "/run:uid=root"]
        {
            assert!(parse_tmpfs(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_ends_in_an_answer(text in "/?[a-z:,=0-9/.]{0,30}") {
            let _ = parse_tmpfs(&text);
        }
    }
}
