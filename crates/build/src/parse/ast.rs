//! What a Dockerfile says, before any variable has a value.

use super::Span;

/// A parsed Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// The file's name, for messages.
    pub file: String,
    /// The character that continues lines and escapes others, `\` or `` ` ``.
    pub escape: char,
    /// The instructions in order.
    pub instructions: Vec<Instruction>,
    /// What is legal and probably not meant.
    pub warnings: Vec<Warning>,
}

/// Something that is legal and probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub span: Span,
    /// What, and what to write instead.
    pub message: String,
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Its place.
    pub span: Span,
    /// Its text on one line, as written.
    pub text: String,
    /// What it says.
    pub kind: Kind,
}

/// A piece of an instruction as written, with quotes and variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The text.
    pub text: String,
    /// Its place.
    pub span: Span,
}

/// What an instruction says. Words are expanded later; strings never are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `FROM`.
    From(From),
    /// `ARG NAME[=DEFAULT]…`.
    Arg(Vec<Argument>),
    /// `ENV KEY=VALUE…`.
    Env(Vec<(Word, Word)>),
    /// `LABEL KEY=VALUE…`.
    Label(Vec<(Word, Word)>),
    /// `COPY`.
    Copy(Transfer),
    /// `ADD`.
    Add(Transfer),
    /// `RUN`.
    Run(Run),
    /// `CMD`.
    Cmd(CommandLine),
    /// `ENTRYPOINT`.
    Entrypoint(CommandLine),
    /// `WORKDIR PATH`.
    Workdir(Word),
    /// `USER USER[:GROUP]`.
    User(Word),
    /// `EXPOSE PORT[/PROTOCOL]…`.
    Expose(Vec<Word>),
    /// `VOLUME PATH…`.
    Volume(Vec<Word>),
    /// `STOPSIGNAL SIGNAL`.
    StopSignal(Word),
    /// `SHELL ["program", "argument"…]`.
    Shell(Vec<String>),
    /// `HEALTHCHECK`.
    Healthcheck(Healthcheck),
    /// `ONBUILD INSTRUCTION`.
    Onbuild(String),
    /// `MAINTAINER NAME`.
    Maintainer(String),
}

/// `FROM [--platform=P] IMAGE [AS NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// Image reference, stage name or `scratch`.
    pub image: Word,
    /// Platform to take of it.
    pub platform: Option<Word>,
    /// Name of the stage that begins here, lower-case.
    pub name: Option<String>,
}

/// One declaration of an `ARG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: Word,
    /// Its value when nobody gives one.
    pub default: Option<Word>,
}

/// `COPY` and `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Stage, image or named context to take from; the build context if none.
    pub from: Option<Word>,
    /// Owner for what arrives, `USER[:GROUP]`.
    pub chown: Option<Word>,
    /// Mode for what arrives: octal, or changes as chmod(1) takes them.
    pub chmod: Option<Word>,
    /// What is below is not looked at: no link in the image is followed, and
    /// the folders above are made anew.
    pub link: bool,
    /// Folders above a source arrive too.
    pub parents: bool,
    /// Patterns of what is left out.
    pub exclude: Vec<Word>,
    /// Digest that what is fetched must have.
    pub checksum: Option<Word>,
    /// Whether archives are unpacked, where that was said (`ADD`).
    pub unpack: Option<bool>,
    /// Keep `.git` of a repository (`ADD`).
    pub keep_git_dir: bool,
    /// Paths and wildcards.
    pub sources: Vec<Word>,
    /// Files whose content stands in the Dockerfile.
    pub documents: Vec<Heredoc>,
    /// Where to.
    pub destination: Word,
}

impl Transfer {
    /// All that a stage, image or named context has, to the root.
    pub(crate) fn everything(from: Word) -> Self {
        let word = |text: &str| Word { text: text.to_owned(), span: from.span };
        Self {
            sources: vec![word(".")],
            destination: word("/"),
            from: Some(from),
            chown: None,
            chmod: None,
            link: false,
            parents: false,
            exclude: Vec::new(),
            checksum: None,
            unpack: None,
            keep_git_dir: false,
            documents: Vec::new(),
        }
    }
}

/// A here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The terminator, and the file's name in `COPY`.
    pub name: String,
    /// The content, with its line ends.
    pub content: String,
    /// Variables in the content are to be expanded.
    pub expand: bool,
}

/// `RUN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What to run.
    pub command: CommandLine,
    /// Which network it has.
    pub network: RunNetwork,
    /// What is mounted while it runs.
    pub mounts: Vec<RunMount>,
    /// A here-document with its own `#!` line, run as a program; the command
    /// has its arguments then.
    pub script: Option<String>,
}

/// `RUN --network`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunNetwork {
    /// What the whole build has.
    #[default]
    Default,
    /// Nothing but loopback.
    None,
    /// The machine's.
    Host,
}

/// A kind of `RUN --mount`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum MountKind {
    /// Files of the context, a stage or an image.
    Bind,
    /// A folder that outlives the build.
    Cache,
    /// A file system of memory.
    Tmpfs,
    /// A file that no layer may hold.
    Secret,
    /// The caller's SSH agent.
    Ssh,
}

/// Who may use a cache at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub enum Sharing {
    /// Everybody.
    #[default]
    Shared,
    /// Everybody has one of their own.
    Private,
    /// One after the other.
    Locked,
}

/// One `RUN --mount`. Words are expanded later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMount {
    /// What kind.
    pub kind: MountKind,
    /// Place of the flag.
    pub span: Span,
    /// Where in the container.
    pub target: Option<Word>,
    /// What of `from`.
    pub source: Option<Word>,
    /// Stage, image or named context; the build context if none.
    pub from: Option<Word>,
    /// Name of a cache, a secret, or an agent.
    pub id: Option<Word>,
    /// Variable that has the secret instead of a file.
    pub env: Option<Word>,
    /// Permission bits, octal.
    pub mode: Option<Word>,
    /// Owner.
    pub uid: Option<Word>,
    /// Group.
    pub gid: Option<Word>,
    /// The most that a file system of memory may hold.
    pub size: Option<Word>,
    /// Missing is an error.
    pub required: bool,
    /// The command may write to it, where that was said.
    pub writable: Option<bool>,
    /// Who may use a cache at the same time.
    pub sharing: Sharing,
}

impl RunMount {
    pub(crate) fn new(kind: MountKind, span: Span) -> Self {
        Self {
            kind,
            span,
            target: None,
            source: None,
            from: None,
            id: None,
            env: None,
            mode: None,
            uid: None,
            gid: None,
            size: None,
            required: false,
            writable: None,
            sharing: Sharing::default(),
        }
    }
}

/// A command for the shell, or one with its arguments apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// For the shell of `SHELL`.
    Shell(String),
    /// Run as it is.
    Exec(Vec<String>),
}

/// `HEALTHCHECK`. Durations are nanoseconds; 0 means the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    /// The check, or nothing for `HEALTHCHECK NONE`.
    pub command: Option<CommandLine>,
    /// Time between checks.
    pub interval: u64,
    /// Time a check may take.
    pub timeout: u64,
    /// Time during which failures do not count.
    pub start_period: u64,
    /// Time between checks during the start period.
    pub start_interval: u64,
    /// Failures that make a container unhealthy.
    pub retries: u32,
}
