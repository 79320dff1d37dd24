//! What can be typed.

mod archive;
mod build;
mod bundle;
mod compare;
mod experiment;
mod guide;
mod image;
mod lesson;
mod live;
mod measure;
mod network;
mod ps;
mod registry;
mod run;
mod security;
mod state;
mod storage;
mod supervision;
mod system;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tandem_app::{ListFilter, PruneFilter};
use tandem_model::parse_moment;

use crate::{attach::DetachKeys, format::Template as Form};

pub(crate) use archive::{Archive, Load, Save};
pub(crate) use build::{Build, BuildNetwork, Progress};
pub(crate) use bundle::{Bundle, CreateBundle};
pub(crate) use compare::Compare;
pub(crate) use experiment::{
    Cache, ClassExport, Experiment, Format, ResumeExperiment, RunExperiment, StoredResult,
};
pub(crate) use guide::WantedGuide;
pub(crate) use image::{Base, History, Image, Images};
pub(crate) use lesson::Lesson;
pub(crate) use live::{Attach, Console, Exec, Live};
pub(crate) use measure::{Delivery, THOROUGH};
pub(crate) use network::{Network, Networking};
pub(crate) use ps::Ps;
pub(crate) use registry::{Login, Pull, Registry};
pub(crate) use run::{PullWhen, Run, Template};
pub(crate) use state::{Commit, Cp, Import, Snapshot, State, Update};
pub(crate) use storage::Volume;
pub(crate) use system::System;

/// Runs the same application in a container and in a virtual machine, and
/// measures both.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Folder that holds everything [default: $TANDEM_HOME, or $XDG_DATA_HOME/tandem]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// No colours (as NO_COLOR does)
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what this machine can do, why not, and how to mend it
    Doctor {
        /// Run the commands that mend it, and look again
        #[arg(long)]
        fix: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Build an image from a Dockerfile
    Build(Build),
    /// List the local images
    Images(Images),
    /// Work with images
    #[command(subcommand)]
    Image(Image),
    #[command(flatten)]
    Registry(Registry),
    #[command(flatten)]
    Archive(Archive),
    /// Make and start an instance of an image
    #[command(disable_help_flag = true, override_usage = format!("tandem run {}", run::USAGE))]
    Run(Run),
    /// Make an instance without starting it
    #[command(disable_help_flag = true, override_usage = format!("tandem create {}", run::USAGE))]
    Create(Run),
    /// Give an instance another name
    Rename {
        /// Name or id
        instance: String,
        /// The new name
        name: String,
    },
    /// Start instances that exist
    Start {
        /// Show the output and end with the app's exit code
        #[arg(short, long)]
        attach: bool,
        /// The same, and pass standard input on
        #[arg(short, long)]
        interactive: bool,
        /// Keys that leave the app alone
        #[arg(long, default_value = DetachKeys::DEFAULT, value_name = "KEYS")]
        detach_keys: DetachKeys,
        /// Names or ids
        #[arg(required = true)]
        instances: Vec<String>,
    },
    /// Stop instances
    Stop {
        /// Seconds to wait before killing [default: the instance's own, usually 10]
        #[arg(short = 't', long = "time", alias = "timeout", value_name = "SECONDS")]
        time: Option<u32>,
        /// The signal, by name or number [default: the instance's own, usually SIGTERM]
        #[arg(short, long, value_name = "SIGNAL")]
        signal: Option<String>,
        /// Names or ids
        #[arg(required = true)]
        instances: Vec<String>,
    },
    /// Wait until instances have ended and print their exit codes
    Wait {
        /// Names or ids
        #[arg(required = true)]
        instances: Vec<String>,
    },
    /// Remove instances
    Rm {
        /// Also the volumes that were made for them alone
        #[arg(short, long)]
        volumes: bool,
        /// Kill those that run
        #[arg(short, long)]
        force: bool,
        /// Names or ids
        #[arg(required = true)]
        instances: Vec<String>,
    },
    /// List instances; with --quiet only their ids
    Ps(Ps),
    /// Docker's word for what is done with instances: container ls is ps, container rm is rm
    #[command(subcommand)]
    Container(Container),
    /// Give an image a further name
    Tag {
        /// The image
        image: String,
        /// The new name
        name: String,
    },
    /// Take names of images away, and with the last name the image
    Rmi {
        /// By digest all names, and also where an instance was made from it
        #[arg(short, long)]
        force: bool,
        /// Names, or beginnings of digests
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Show the steps that made an image, the last one first
    History(History),
    /// Print everything known of instances, images, volumes or networks, as JSON
    Inspect {
        /// What the names are; otherwise the first that has such a name
        #[arg(long = "type", value_enum, value_name = "KIND")]
        kind: Option<Kind>,
        /// With what instances wrote, and how much that is with their images
        #[arg(short, long)]
        size: bool,
        /// A template of Go's over our fields and Docker's, e.g. {{.State.Status}}, or json
        #[arg(short, long, value_name = "TEMPLATE")]
        format: Option<Form>,
        /// Names or ids
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Show the output of an instance's app
    Logs {
        /// Go on until the instance ends
        #[arg(short, long)]
        follow: bool,
        /// Only the last lines, or all
        #[arg(short = 'n', long, value_name = "N", value_parser = parse_tail, allow_hyphen_values = true, default_value = "all", hide_default_value = true)]
        tail: Tail,
        /// Only from this moment on, e.g. 10m for the last ten minutes
        #[arg(long, value_parser = parse_moment, value_name = "TIME")]
        since: Option<jiff::Timestamp>,
        /// Only before this moment
        #[arg(long, value_parser = parse_moment, value_name = "TIME")]
        until: Option<jiff::Timestamp>,
        /// With times
        #[arg(short, long)]
        timestamps: bool,
        /// What a virtual machine's console said since its start instead
        #[arg(long, conflicts_with_all = ["tail", "since", "until", "timestamps"])]
        boot: bool,
        /// Name or id
        instance: String,
    },
    #[command(flatten)]
    State(State),
    #[command(flatten)]
    Live(Live),
    #[command(flatten)]
    Networking(Networking),
    /// Build a subject, launch it in each lane, measure and judge
    Compare(Compare),
    /// Judge the claims about containers and VMs by measuring
    #[command(subcommand)]
    Experiment(Experiment),
    /// Work with results
    #[command(subcommand)]
    Result(StoredResult),
    /// Say how many instances fit here and when to choose which, by your own results
    Guide(WantedGuide),
    /// Learn with lessons that run real commands and look at the real state
    #[command(subcommand)]
    Lesson(Lesson),
    /// Carry all that a class needs to machines without internet
    #[command(subcommand)]
    Bundle(Bundle),
    /// Work with volumes
    #[command(subcommand)]
    Volume(Volume),
    /// Look after the home: what it takes, what can go, whether it is sound
    #[command(subcommand)]
    System(System),
    /// Print what makes a shell complete our commands
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands
    Man {
        /// Write a page for each command into this folder
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Work with the samples
    #[command(subcommand)]
    Sample(Sample),
}

impl Command {
    /// Whether apps may be started by it, or joined: they want control groups.
    /// The doctor says what those will find.
    pub(crate) fn starts(&self) -> bool {
        matches!(
            self,
            Self::Doctor { .. }
                | Self::Run(_)
                | Self::Start { .. }
                | Self::Live(Live::Restart { .. } | Live::Exec(_))
                | Self::State(State::Update(_) | State::Snapshot(_))
                | Self::Compare(_)
                | Self::Experiment(_)
                | Self::Lesson(_)
        )
    }
}

/// `tandem container …`; all else that Docker has there is read by [`crate::dockers`].
#[derive(Debug, Subcommand)]
pub(crate) enum Container {
    /// Remove the instances that do not run
    Prune {
        /// Only those that fit: until=WHEN, label=NAME[=VALUE] or label!=NAME[=VALUE]
        #[arg(long, value_name = "KEY=VALUE")]
        filter: Vec<PruneFilter>,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
}

/// What can be inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    #[value(alias = "container")]
    Instance,
    Image,
    Volume,
    Network,
}

/// How many lines of a log to show; all when `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail(pub(crate) Option<usize>);

/// A number, or all: `all`, or one below zero as in Docker.
fn parse_tail(text: &str) -> Result<Tail, String> {
    match text.parse::<i64>() {
        _ if text == "all" => Ok(Tail(None)),
        Ok(number) => Ok(Tail(usize::try_from(number).ok())),
        Err(_) => Err(format!("`{text}` is no number of lines: write one, e.g. 10, or all")),
    }
}

/// Machine-readable output.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Json {
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// A list of volumes or networks, and which of them.
#[derive(Debug, Clone, Args)]
pub(crate) struct Filtered {
    /// Only those that fit: dangling=true or false, name=PART or label=NAME[=VALUE]
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<ListFilter>,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

/// How the rows of a list are printed.
#[derive(Debug, Clone, Args)]
pub(crate) struct Listing {
    /// A template of Go's for each, e.g. {{.Name}}, below headings behind `table `, or json
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "json")]
    pub(crate) format: Option<crate::format::Template>,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `tandem sample …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Sample {
    /// List the samples
    Ls(Json),
    /// Write a sample's files to a folder
    Copy {
        /// The sample
        name: String,
        /// The folder
        dir: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_grammar_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_a_lesson_can_be_typed() {
        for lesson in tandem_lesson::BUILTIN {
            let read =
                tandem_lesson::parse(lesson.id, lesson.text(tandem_lesson::Language::En)).unwrap();
            for block in read.steps.iter().flat_map(|step| &step.blocks) {
                let tandem_lesson::Block::Run { commands, .. } = block else { continue };
                for line in commands {
                    let command: tandem_lesson::Command = line.parse().unwrap();
                    let words = std::iter::once("tandem".to_owned()).chain(command.arguments);
                    let typed = Cli::try_parse_from(words);
                    assert!(typed.is_ok(), "{}: `{line}`: {}", lesson.id, typed.unwrap_err());
                }
            }
        }
    }

    #[test]
    fn every_command_that_the_window_shows_can_be_typed() {
        let shared = include_str!("../../../../ui/src/lib/commands.json");
        let shared: serde_json::Value = serde_json::from_str(shared).unwrap();
        let lines = shared["commands"].as_array().unwrap();
        assert!(lines.len() > 30);
        for line in lines.iter().filter_map(serde_json::Value::as_str) {
            let typed = Cli::try_parse_from(shlex::split(line).unwrap());
            assert!(typed.is_ok(), "`{line}`: {}", typed.unwrap_err());
        }
        let words = shared["quoted"].as_array().unwrap();
        assert!(words.len() > 5);
        for pair in words {
            let [word, quoted] = [0, 1].map(|at| pair[at].as_str().unwrap());
            assert_eq!(shlex::split(quoted).unwrap(), [word], "a shell reads another word");
        }
    }

    #[test]
    fn words_of_dockers_are_read() {
        for line in [
            "tandem run -h web -l a=b --add-host db:10.0.0.9 --shm-size 1g --network-alias w x",
            "tandem run --pids-limit -1 --pull never -m 1.5g x",
            "tandem logs -n 5 -f web",
            "tandem logs --tail -1 web",
            "tandem logs --tail all web",
            "tandem stop --timeout 3 web",
            "tandem rename web www",
            "tandem history x",
            "tandem ps -a --format {{.Names}}",
            "tandem inspect -f {{.State.Status}} web",
            "tandem images --format json -q x",
            "tandem volume prune -a -f",
            "tandem network prune -f",
            "tandem exec --env-file a web ls",
            "tandem run -p 8000-8010:80 -p [::1]::80 --volumes-from db:ro x",
            "tandem ps -as",
            "tandem system df -v",
            "tandem inspect --type container -s web",
            "tandem volume list -qf dangling=true",
            "tandem network create -d bridge x",
            "tandem image inspect -f {{.Id}} a b",
        ] {
            let typed = Cli::try_parse_from(shlex::split(line).unwrap());
            assert!(typed.is_ok(), "`{line}`: {}", typed.unwrap_err());
        }
        for line in ["tandem logs --tail x web", "tandem inspect -f {{ web"] {
            assert!(Cli::try_parse_from(shlex::split(line).unwrap()).is_err(), "{line}");
        }
        let asked = Cli::try_parse_from(["tandem", "run", "--help"]).unwrap_err();
        assert_eq!(asked.kind(), clap::error::ErrorKind::DisplayHelp);
    }

    fn words(line: &str) -> Vec<String> {
        shlex::split(line).unwrap()
    }

    #[test]
    fn what_stands_behind_the_image_belongs_to_the_app() {
        let cli =
            Cli::try_parse_from(["tandem", "run", "--rm", "alpine", "ls", "-a", "--name"]).unwrap();
        let Command::Run(run) = cli.command else { panic!("not run") };
        assert!(run.rm && run.name.is_none());
        assert_eq!((run.image().as_str(), run.command()), ("alpine", words("ls -a --name")));
        // Options of ours too, and in the first place.
        for line in ["-u -c x", "-m x", "--rm", "-- a", "--help"] {
            let typed = shlex::split(&format!("tandem run alpine {line}")).unwrap();
            let Command::Run(run) = Cli::try_parse_from(typed).unwrap().command else {
                panic!("not run")
            };
            assert!(!run.rm && run.user.is_none());
            assert_eq!((run.image().as_str(), run.command()), ("alpine", words(line)));
        }
        assert!(Cli::try_parse_from(["tandem", "run", "--nonsense", "alpine"]).is_err());
    }
}
