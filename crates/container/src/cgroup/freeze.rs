use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tandem_backend::BackendError;

/// How long the processes of a group may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(10);

/// Holds every process of a group still, or lets them go on; returns when the
/// kernel says that they stand or run. One that does not come to rest is let
/// go on again.
pub(crate) async fn freeze(folders: &[PathBuf], still: bool) -> Result<(), BackendError> {
    let find = |name: &str| folders.iter().map(|dir| dir.join(name)).find(|path| path.exists());
    let (path, on, off, frozen): (_, _, _, fn(&Path) -> Option<bool>) =
        if let Some(path) = find("freezer.state") {
            (path, "FROZEN", "THAWED", version_1)
        } else if let Some(path) = find("cgroup.freeze") {
            (path, "1", "0", version_2)
        } else {
            return Err(BackendError::Unavailable {
                what: "pausing".into(),
                why: "the instance has no control group that can hold it".into(),
                fix: "stop the instance instead".into(),
            });
        };
    let write =
        |text: &str| fs::write(&path, text).map_err(|e| BackendError::io("write", path.clone(), e));
    let begin = Instant::now();
    write(if still { on } else { off })?;
    while frozen(&path) == Some(!still) {
        if begin.elapsed() > PATIENCE {
            write(off)?;
            let reason = "the processes did not come to rest within 10 s";
            return Err(BackendError::engine("pausing", reason));
        }
        tokio::time::sleep(Duration::from_micros(300)).await;
        // Version 1 tries anew each time (freezer-subsystem.rst).
        write(if still { on } else { off })?;
    }
    Ok(())
}

/// The folder of a group by which it is held still.
pub(crate) fn freezer(folders: &[PathBuf]) -> Option<PathBuf> {
    let holds = |dir: &&PathBuf| {
        ["freezer.state", "cgroup.freeze"].iter().any(|name| dir.join(name).exists())
    };
    folders.iter().find(holds).cloned()
}

/// Lets go of whatever a supervisor that was killed held still: where groups
/// are of version 1 a signal waits until then, even the last one.
pub(crate) fn let_go(folders: &[PathBuf]) {
    for folder in folders {
        for (file, off) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
            // Most folders have neither.
            if let Ok(mut file) = fs::OpenOptions::new().write(true).open(folder.join(file)) {
                let _ = file.write_all(off.as_bytes());
            }
        }
    }
}

fn version_1(state: &Path) -> Option<bool> {
    Some(fs::read_to_string(state).ok()?.trim() == "FROZEN")
}

fn version_2(switch: &Path) -> Option<bool> {
    let events = fs::read_to_string(switch.with_file_name("cgroup.events")).ok()?;
    Some(events.lines().any(|line| line == "frozen 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_group_of_either_version_is_held_and_none_is_refused() {
        let error = freeze(&[PathBuf::from("/nowhere")], true).await.unwrap_err();
        assert!(error.to_string().contains("no control group"), "{error}");
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        fs::create_dir_all(&one).unwrap();
        fs::create_dir_all(&two).unwrap();
        fs::write(one.join("freezer.state"), "THAWED").unwrap();
        fs::write(two.join("cgroup.freeze"), "0").unwrap();
        fs::write(two.join("cgroup.events"), "populated 1\nfrozen 1\n").unwrap();
        let text = |path: PathBuf| fs::read_to_string(path).unwrap();
        for group in [&one, &two] {
            freeze(std::slice::from_ref(group), true).await.unwrap();
        }
        assert_eq!(text(one.join("freezer.state")), "FROZEN");
        assert_eq!(text(two.join("cgroup.freeze")), "1");
        // Whoever was killed held them still.
        let_go(&[one.clone(), two.clone()]);
        assert!(text(one.join("freezer.state")).starts_with("THAWED"));
        assert!(text(two.join("cgroup.freeze")).starts_with('0'));
    }
}
