//! `ADD` of a Git repository, cloned by the `git` program.

use std::{fs, path::Path, process::Stdio, sync::Arc};

use tandem_model::ErrorCode;
use tokio::process::Command;

use super::{builder::Builder, select::select, state::State, transfer::Batch};
use crate::{
    BuildError,
    ignore::Ignore,
    parse::{Instruction, Transfer, Word},
    plan::refused,
    tree::Context,
};

/// Protocols that a repository may come over: none that reads this machine's
/// files or runs a program.
const PROTOCOLS: &str = "git:http:https:ssh";

/// `URL#REF:FOLDER`, as BuildKit reads it.
#[derive(Debug, PartialEq, Eq)]
struct Remote<'a> {
    url: &'a str,
    /// Branch, tag or commit; the default branch if none.
    reference: Option<&'a str>,
    folder: &'a str,
}

impl<'a> Remote<'a> {
    fn new(written: &'a str) -> Self {
        let (url, rest) = written.split_once('#').unwrap_or((written, ""));
        let (reference, folder) = rest.split_once(':').unwrap_or((rest, ""));
        Self { url, reference: Some(reference).filter(|it| !it.is_empty()), folder }
    }
}

impl Builder<'_> {
    /// Clones a repository. The cache knows it by its content, so it is
    /// fetched each time.
    pub(super) async fn cloned(
        &self,
        state: &State,
        instruction: &Instruction,
        transfer: &Transfer,
        word: &Word,
        written: &str,
    ) -> Result<Batch, BuildError> {
        let remote = Remote::new(written);
        if remote.reference.is_some_and(|it| it.starts_with('-')) || remote.url.starts_with('-') {
            let message = format!("`{written}` names no repository: expected URL#REF:FOLDER");
            return Err(refused(&self.dockerfile, word, message));
        }
        let dir = self.folder("git")?;
        self.progress(format!("cloning {}", remote.url));
        let failed = |problem: String| {
            let problem = format!("{} cannot be cloned: {problem}", remote.url);
            self.stuck(instruction, ErrorCode::Unavailable, problem)
        };
        let head = self.check_out(&dir, &remote).await.map_err(failed)?;
        if let Some(word) = &transfer.checksum {
            let wanted = self.expand(state, word)?;
            if wanted.len() < 7 || !head.starts_with(&wanted) {
                let problem = format!(
                    "{written} is at the commit {head}, and --checksum says {wanted}: check both before you trust it"
                );
                return Err(self.stuck(instruction, ErrorCode::BuildFailed, problem));
            }
        }
        if !transfer.keep_git_dir {
            let own = dir.join(".git");
            fs::remove_dir_all(&own).map_err(BuildError::io("remove", &own))?;
        }
        let tree = Context::open(&dir, Ignore::default())
            .map_err(BuildError::io("open the repository", &dir))?;
        let sources = select(&tree, if remote.folder.is_empty() { "/" } else { remote.folder })
            .map_err(|problem| self.stuck(instruction, ErrorCode::Internal, problem))?;
        if sources.is_empty() {
            let problem = format!("`{}` is not in {} at {head}", remote.folder, remote.url);
            return Err(self.stuck(instruction, ErrorCode::NotFound, problem));
        }
        Ok(Batch { tree: Arc::new(tree), sources, unpack: false })
    }

    /// Fetches as little as the server lets us. Returns the commit.
    async fn check_out(&self, dir: &Path, remote: &Remote<'_>) -> Result<String, String> {
        self.git(dir, &["init", "-q"]).await?;
        self.git(dir, &["remote", "add", "origin", remote.url]).await?;
        let reference = remote.reference.unwrap_or("HEAD");
        let shallow = ["fetch", "-q", "--no-tags", "--depth", "1", "origin", reference];
        let target = match self.git(dir, &shallow).await {
            Ok(_) => "FETCH_HEAD",
            // Not every server gives out a commit by its number.
            Err(_) if is_commit(reference) => {
                let all = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
                self.git(dir, &["fetch", "-q", "origin", all[0], all[1]]).await?;
                reference
            }
            Err(problem) => return Err(problem),
        };
        self.git(dir, &["checkout", "-q", "--detach", target, "--"]).await?;
        if dir.join(".gitmodules").is_file() {
            let modules = ["submodule", "update", "-q", "--init", "--recursive", "--depth", "1"];
            self.git(dir, &modules).await?;
        }
        Ok(self.git(dir, &["rev-parse", "HEAD"]).await?.trim().to_owned())
    }

    async fn git(&self, dir: &Path, arguments: &[&str]) -> Result<String, String> {
        // The modes of what is checked out follow the umask.
        let mut command = Command::new("sh");
        command.args(["-c", "umask 022; exec git \"$@\"", "sh", "-C"]).arg(dir).args(arguments);
        let own = std::env::vars_os().map(|(name, _)| name);
        for name in own.filter(|name| name.to_string_lossy().starts_with("GIT_")) {
            command.env_remove(name);
        }
        command
            .env("GIT_ALLOW_PROTOCOL", PROTOCOLS)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env_remove("SSH_ASKPASS")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        match self.options.agents.get("default") {
            Some(socket) => command.env("SSH_AUTH_SOCK", socket),
            None => command.env_remove("SSH_AUTH_SOCK"),
        };
        let ended = command.output().await.map_err(|e| format!("git cannot be run: {e}"))?;
        if ended.status.code() == Some(127) {
            return Err("the program git is missing: install the package git".to_owned());
        }
        if !ended.status.success() {
            let text = String::from_utf8_lossy(&ended.stderr);
            let last = text.lines().rfind(|line| line.starts_with("fatal:"));
            let reason = last.or(text.lines().last()).unwrap_or("git failed");
            return Err(reason.trim_start_matches("fatal: ").to_owned());
        }
        Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
    }
}

fn is_commit(reference: &str) -> bool {
    matches!(reference.len(), 7..=40) && reference.bytes().all(|it| it.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_is_read_as_buildkit_reads_it() {
        let remote = |url, reference, folder| Remote { url, reference, folder };
        for (written, expected) in [
            ("https://h/r.git", remote("https://h/r.git", None, "")),
            ("https://h/r.git#v1", remote("https://h/r.git", Some("v1"), "")),
            ("git@h:r.git#:docs", remote("git@h:r.git", None, "docs")),
            ("git://h/r#main:a/b", remote("git://h/r", Some("main"), "a/b")),
        ] {
            assert_eq!(Remote::new(written), expected);
        }
    }
}
