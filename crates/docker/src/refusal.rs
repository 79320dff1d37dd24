use tandem_backend::BackendError;
use tandem_model::{ExecSpec, InstanceSpec};

use crate::api::ApiError;

/// What an engine's refusal to start a container means: the engines say it in
/// the words of their runtimes, which scripts cannot act on.
pub(crate) fn of_start(error: &ApiError, spec: &InstanceSpec) -> BackendError {
    let text = error.to_string();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let program = || spec.args.first().cloned().unwrap_or_default();
    if has(&["port is already allocated", "address already in use"]) {
        let wanted = spec.ports.iter().find(|map| text.contains(&map.host_port.to_string()));
        if let Some(port) = wanted.or(spec.ports.first()) {
            return BackendError::in_use(*port);
        }
    }
    if has(&["executable file not found", "no such file or directory"]) && text.contains("exec") {
        return BackendError::CommandNotFound(program());
    }
    if has(&["permission denied", "exec format error"]) && text.contains("exec") {
        return BackendError::NotExecutable { program: program(), reason: text };
    }
    if has(&["unable to find user", "no matching entries in passwd"]) {
        return BackendError::NoUser(spec.user.clone());
    }
    BackendError::engine("the engine", text)
}

/// What an engine's refusal to execute a further command means.
pub(crate) fn of_exec(error: &ApiError, spec: &ExecSpec) -> BackendError {
    of_exec_text(error.to_string(), spec)
}

/// The same in the words that came as output.
pub(crate) fn of_exec_text(text: String, spec: &ExecSpec) -> BackendError {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let program = spec.args.first().cloned().unwrap_or_default();
    // Of the working directory, which may be missing too (runc, crun).
    if has(&["chdir to "]) {
        return BackendError::NotExecutable { program, reason: text };
    }
    if has(&["executable file not found", "no such file or directory"]) {
        return BackendError::CommandNotFound(program);
    }
    if has(&["permission denied", "exec format error"]) {
        return BackendError::NotExecutable { program, reason: text };
    }
    if has(&["unable to find user", "no matching entries in passwd"]) {
        return BackendError::NoUser(spec.user.clone().unwrap_or_default());
    }
    BackendError::engine("the engine", text)
}

/// The failure of a change of limits, of a container that is there.
pub(crate) fn of_update(error: ApiError) -> BackendError {
    if error.is_missing() {
        // Podman has the request since version 5.
        return BackendError::Unsupported("changing limits in this version of the engine");
    }
    other(error)
}

/// Any other failure.
pub(crate) fn other(error: ApiError) -> BackendError {
    BackendError::engine("the engine", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_folder_is_no_missing_program() {
        let spec = ExecSpec { args: vec!["true".into()], ..ExecSpec::default() };
        let code = |text: &str| of_exec_text(text.to_owned(), &spec).code().exit_code();
        let begin = "OCI runtime exec failed: exec failed: unable to start container process: ";
        for (text, wanted) in [
            (r#"chdir to cwd ("/none") set in config.json failed: no such file or directory"#, 126),
            (r#"exec: "true": executable file not found in $PATH"#, 127),
            (r#"exec: "/etc": permission denied"#, 126),
            ("something else", 125),
        ] {
            assert_eq!(code(&format!("{begin}{text}: unknown")), wanted, "{text}");
        }
        assert_eq!(code("crun: chdir to `/none`: No such file or directory"), 126);
    }
}
