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
    /// Mode for what arrives, octal.
    pub chmod: Option<Word>,
    /// Paths and wildcards.
    pub sources: Vec<Word>,
    /// Files whose content stands in the Dockerfile.
    pub documents: Vec<Heredoc>,
    /// Where to.
    pub destination: Word,
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
    /// Without a network but loopback.
    pub isolated: bool,
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
