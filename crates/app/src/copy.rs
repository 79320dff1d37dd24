use std::{
    fs,
    io::{self, BufRead as _, BufReader, BufWriter, Read, Write},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tandem_container::{
    FILES, FilesAnswer, FilesRequest, FilesSource, FilesTask, copied_as_it_is, copy_destination,
};
use tandem_image::{Extract, LayerError, Limits, PlainFiles, extract, pack_tree};
use tandem_model::{BackendKind, ErrorCode, Failure};
use tandem_vm::GuestTool;

use crate::{App, AppError};

/// One side of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyEnd {
    /// A path inside an instance.
    Instance {
        /// Name or id.
        instance: String,
        /// The path; relative ones begin at the root.
        path: String,
    },
    /// A path of the host.
    Host(PathBuf),
    /// A tar archive on our standard input or output.
    Stream,
}

/// A copy between an instance and the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Where from.
    pub from: CopyEnd,
    /// Where to.
    pub to: CopyEnd,
    /// Copy what a link at the source leads to.
    pub follow: bool,
    /// Keep owners and privileges; otherwise what goes in belongs to root, and
    /// what comes out to the caller.
    pub keep_owners: bool,
}

impl App {
    /// Copies files; resolves when all are there.
    pub async fn copy(&self, copy: Copy) -> Result<(), AppError> {
        let Copy { from, to, follow, keep_owners } = copy;
        let work: Box<dyn FnOnce() -> Result<(), AppError> + Send> = match (from, to) {
            (CopyEnd::Instance { .. }, CopyEnd::Instance { .. }) => {
                let text = "both sides are in instances: copy to the host first";
                return Err(AppError::Usage(text.to_owned()));
            }
            (CopyEnd::Instance { instance, path }, to) => {
                let helper = self.helper(&instance, FilesTask::Read { path, follow }).await?;
                Box::new(move || helper.start()?.receive(&to, keep_owners))
            }
            (from, CopyEnd::Instance { instance, path }) => {
                let source = source_of(&from, follow)?;
                let task = FilesTask::Write { path, source: source.clone(), keep_owners };
                let helper = self.helper(&instance, task).await?;
                Box::new(move || helper.start()?.send(&from, source.as_ref(), follow))
            }
            _ => {
                let text = "one side must be in an instance: write INSTANCE:PATH";
                return Err(AppError::Usage(text.to_owned()));
            }
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|e| AppError::io("copy", "the files", io::Error::other(e)))?
    }

    /// What reaches the files of an instance: a process of this machine that
    /// goes into them, or one in the virtual machine.
    async fn helper(&self, instance: &str, task: FilesTask) -> Result<Helper, AppError> {
        let record = self.instances.find(instance)?;
        if record.spec.backend == BackendKind::Vm {
            let request = serde_json::json!({ "task": task });
            let command = self.guest_tool(&record, GuestTool::Files).await?;
            return Ok(Helper { command, request: request.to_string() });
        }
        let home = self.home.root().to_owned();
        let request = FilesRequest { home, id: record.id, task };
        let request = serde_json::to_string(&request).map_err(broken)?;
        let mut command = Command::new(&self.program);
        command.arg(FILES);
        Ok(Helper { command, request })
    }
}

/// A helper that was not started yet.
struct Helper {
    command: Command,
    /// The line that it reads first.
    request: String,
}

/// What a path of the host holds.
fn source_of(from: &CopyEnd, follow: bool) -> Result<Option<FilesSource>, AppError> {
    let CopyEnd::Host(path) = from else { return Ok(None) };
    let metadata = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let metadata = metadata
        .and_then(|metadata| copied_as_it_is(&metadata).map(|()| metadata))
        .map_err(|e| AppError::named("copy", path, e))?;
    // Names that end with dots (`.`, `..`) are found out by resolving them.
    let typed = path.as_os_str().to_string_lossy();
    let mut source = FilesSource::of(&typed, metadata.is_dir());
    if path.file_name().is_none()
        && let Some(name) = path.canonicalize().ok().as_deref().and_then(Path::file_name)
    {
        source.name = name.to_string_lossy().into_owned();
    }
    Ok(Some(source))
}

/// A helper at work.
struct Asked {
    child: Child,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn broken(e: impl std::fmt::Display) -> AppError {
    // A helper's sentence begins with the program's name, as a command's does.
    let text = e.to_string();
    let e = text.strip_prefix("tandem: ").unwrap_or(&text);
    Failure::new(ErrorCode::Internal, format!("the copy was cut short: {e}; try again")).into()
}

impl Helper {
    fn start(mut self) -> Result<Asked, AppError> {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.command.spawn();
        let child = child.map_err(|e| AppError::io("start", self.command.get_program(), e))?;
        let mut asked = Asked { child };
        self.request.push('\n');
        let sent = asked.child.stdin.as_mut().map(|stdin| stdin.write_all(self.request.as_bytes()));
        match sent {
            Some(Ok(())) => Ok(asked),
            _ => Err(asked.failure().unwrap_or_else(|| broken("its helper ended early"))),
        }
    }
}

impl Asked {
    /// What the helper says went wrong; `None` when it ended well.
    fn failure(&mut self) -> Option<AppError> {
        drop(self.child.stdin.take());
        // An unread archive must not hold it up.
        drop(self.child.stdout.take());
        let mut text = String::new();
        if let Some(stderr) = self.child.stderr.as_mut() {
            let _ = stderr.take(1 << 20).read_to_string(&mut text);
        }
        let told = text.lines().find_map(|line| serde_json::from_str(line).ok());
        match (told, self.child.wait()) {
            (Some(FilesAnswer::Failed(failure)), _) => Some(failure.into()),
            (_, Ok(status)) if status.success() => None,
            _ => Some(broken(text.lines().last().unwrap_or("its helper ended early"))),
        }
    }

    /// The first line of the helper's output, and the rest of it.
    fn answer(&mut self) -> Result<(FilesAnswer, impl io::BufRead), AppError> {
        let mut line = String::new();
        let Some(stdout) = self.child.stdout.take() else { return Err(broken("no output")) };
        let mut reader = BufReader::with_capacity(128 << 10, stdout);
        let read = reader.read_line(&mut line);
        match read.ok().and_then(|_| serde_json::from_str(&line).ok()) {
            Some(answer) => Ok((answer, reader)),
            None => Err(self.failure().unwrap_or_else(|| broken("its helper ended early"))),
        }
    }

    fn receive(mut self, to: &CopyEnd, keep_owners: bool) -> Result<(), AppError> {
        drop(self.child.stdin.take());
        let (answer, archive) = self.answer()?;
        let FilesAnswer::Sending(source) = answer else { return Err(broken("an odd answer")) };
        let result = match to {
            CopyEnd::Host(path) => unpack(archive, path, &source, keep_owners),
            _ => pass(archive, io::stdout().lock()),
        };
        // The helper's own reason is the better one, unless it only lost us.
        match (result, self.failure()) {
            (Err(e), Some(failure)) if failure.to_string().contains("Broken pipe") => Err(e),
            (_, Some(failure)) => Err(failure),
            (result, None) => result,
        }
    }

    fn send(
        mut self,
        from: &CopyEnd,
        source: Option<&FilesSource>,
        follow: bool,
    ) -> Result<(), AppError> {
        let Some(stdin) = self.child.stdin.take() else { return Err(broken("no input")) };
        let result = match (from, source) {
            (CopyEnd::Host(path), Some(source)) => {
                let out = BufWriter::with_capacity(128 << 10, stdin);
                let files = PlainFiles::of_this_process().map_err(broken)?;
                pack_tree(path, Path::new(&source.name), follow, &files, out).map_err(layer)
            }
            _ => pass(io::stdin().lock(), stdin),
        };
        // Its answer says more than what writing to it came to.
        self.answer().map(drop)?;
        match self.failure() {
            Some(failure) => Err(failure),
            None => result,
        }
    }
}

fn layer(e: LayerError) -> AppError {
    Failure::new(ErrorCode::Internal, e.to_string()).into()
}

fn pass(mut from: impl Read, mut to: impl Write) -> Result<(), AppError> {
    io::copy(&mut from, &mut to).and_then(|_| to.flush()).map_err(broken)
}

fn unpack(
    archive: impl Read,
    path: &Path,
    source: &FilesSource,
    keep_owners: bool,
) -> Result<(), AppError> {
    let typed = String::from_utf8_lossy(path.as_os_str().as_bytes());
    let (dir, rebase) =
        copy_destination(path, &typed, source).map_err(|e| AppError::io("copy to", path, e))?;
    let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let options = Extract {
        rebase,
        owner: (!keep_owners).then_some(owner),
        privileges: keep_owners,
        limits: Limits { entries: u64::MAX, bytes: u64::MAX, ..Limits::default() },
    };
    extract(archive, &dir, &options).map_err(layer)
}
