//! `--secret` and `--ssh`.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::{ffi::OsStringExt as _, fs::FileTypeExt as _},
    path::{Path, PathBuf},
};

use tandem_app::AppError;
use tandem_build::Secret;

/// No secret is larger (BuildKit's limit).
const LARGEST: u64 = 500 << 10;

/// Reads the secrets.
pub(super) fn secrets(texts: &[String]) -> Result<BTreeMap<String, Secret>, AppError> {
    texts.iter().map(|text| secret(text)).collect()
}

fn secret(text: &str) -> Result<(String, Secret), AppError> {
    let wrong = || {
        AppError::Usage(format!(
            "`{text}` is no secret: expected id=NAME,src=FILE or id=NAME,env=VARIABLE"
        ))
    };
    let (mut id, mut file, mut variable) = (None, None, None);
    let mut kind = None;
    for field in text.split(',') {
        let (key, value) = field.split_once('=').ok_or_else(wrong)?;
        match key.trim() {
            "id" => id = Some(value.to_owned()),
            "src" | "source" => file = Some(PathBuf::from(value)),
            "env" => variable = Some(value.to_owned()),
            "type" if value == "file" || value == "env" => kind = Some(value),
            _ => return Err(wrong()),
        }
    }
    if kind == Some("env") && variable.is_none() {
        variable = file.take().map(|path| path.to_string_lossy().into_owned());
    }
    let id = id.filter(|id| !id.is_empty()).ok_or_else(wrong)?;
    let content = match (file, variable) {
        (Some(_), Some(_)) => return Err(wrong()),
        (Some(file), None) => read(&id, &file)?,
        (None, Some(variable)) => env::var_os(&variable)
            .ok_or_else(|| {
                AppError::Usage(format!(
                    "the secret `{id}` is to come from ${variable}, which is not set"
                ))
            })?
            .into_vec(),
        (None, None) => match env::var_os(&id) {
            Some(value) => value.into_vec(),
            None => read(&id, Path::new(&id))?,
        },
    };
    Ok((id, Secret(content)))
}

fn read(id: &str, file: &Path) -> Result<Vec<u8>, AppError> {
    let failed = |e| {
        let file = file.display();
        AppError::Usage(format!(
            "the secret `{id}` cannot be read from {file}: {e}; check the path behind --secret"
        ))
    };
    let size = fs::metadata(file).map_err(failed)?.len();
    if size > LARGEST {
        return Err(AppError::Usage(format!(
            "the secret `{id}` is larger than {} KiB: a secret is a key, not a file of data",
            LARGEST >> 10
        )));
    }
    fs::read(file).map_err(failed)
}

/// Sockets of the SSH agents by id.
pub(super) fn agents(texts: &[String]) -> Result<BTreeMap<String, PathBuf>, AppError> {
    let mut agents = BTreeMap::new();
    for text in texts {
        let (id, socket) = match text.split_once('=') {
            Some((id, socket)) => (id, Some(PathBuf::from(socket))),
            None => (text.as_str(), env::var_os("SSH_AUTH_SOCK").map(PathBuf::from)),
        };
        let socket = socket.ok_or_else(|| {
            AppError::Usage(format!(
                "there is no SSH agent for `{id}`: start one, or give its socket, --ssh {id}=SOCKET"
            ))
        })?;
        if !fs::metadata(&socket).is_ok_and(|it| it.file_type().is_socket()) {
            return Err(AppError::Usage(format!(
                "{} is not the socket of an SSH agent: keys in files go into a RUN as --secret",
                socket.display()
            )));
        }
        agents.insert(id.to_owned(), socket);
    }
    Ok(agents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_from_files_and_variables() {
        let own = fs::read("Cargo.toml").unwrap();
        assert_eq!(secret("id=a,src=Cargo.toml").unwrap(), ("a".into(), Secret(own)));
        assert_eq!(secret("type=file,id=a,source=Cargo.toml").unwrap().0, "a");
        assert_eq!(secret("id=PATH").unwrap().1, Secret(env::var_os("PATH").unwrap().into_vec()));
        for bad in ["", "a", "src=/x", "id=", "id=a,src=/x,env=Y", "id=a,mode=7", "id=a,src=/none"]
        {
            assert!(secret(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let program = secret("id=a,src=/proc/self/exe").unwrap_err();
        assert!(program.to_string().contains("larger than 500 KiB"), "{program}");
        let agent = agents(&["a=Cargo.toml".to_owned()]).unwrap_err();
        assert!(agent.to_string().contains("is not the socket of an SSH agent"), "{agent}");
    }
}
