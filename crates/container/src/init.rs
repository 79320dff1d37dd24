//! The small process 1 of `--init`.

use std::{
    env,
    path::{Path, PathBuf},
};

use tandem_backend::BackendError;
use tandem_home::companions;

use crate::confine::Program;

/// Where it appears inside, read-only.
pub(crate) const INIT: &str = "/dev/init";

/// Its file: the guest's first process knows this job as well.
const NAME: &str = "tandem-guest";

/// The word that gives it the job (`tandem-guest`, `main.rs`).
const JOB: &str = "container-init";

/// Finds the program that comes with this executable, or where `$TANDEM_GUEST` says.
pub(crate) fn find() -> Result<PathBuf, BackendError> {
    let named = env::var_os("TANDEM_GUEST").filter(|path| !path.is_empty()).map(PathBuf::from);
    let own = env::current_exe().unwrap_or_default();
    let mut found = named.into_iter().chain(companions(&own, NAME)).filter(|path| path.is_file());
    found.next().ok_or_else(|| BackendError::Unavailable {
        what: "--init".into(),
        why: format!("no `{NAME}` comes with {}", own.display()),
        fix: "install Tandem's package again, build it with `cargo xtask run`, name it in \
              TANDEM_GUEST, or leave --init out"
            .into(),
    })
}

/// The init that executes the program at `path` with these arguments.
pub(crate) fn around(
    path: &Path,
    args: &[String],
    env: &[String],
) -> Result<Program, BackendError> {
    let mut words = vec![INIT.to_owned(), JOB.to_owned(), path.to_string_lossy().into_owned()];
    words.extend(args.iter().cloned());
    Program::new(Path::new(INIT), &words, env)
}
