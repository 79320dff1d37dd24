use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::command::is_inside;

/// A condition on the real state of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Check {
    /// A file of the lesson's folder is there, perhaps with a text in it.
    File {
        /// Its path in the folder.
        path: String,
        /// What it must contain.
        contains: Option<String>,
    },
    /// A local image is there.
    Image {
        /// Its name.
        name: String,
    },
    /// An instance is as it should be.
    Instance {
        /// Its name.
        name: String,
        /// How.
        wish: InstanceWish,
    },
    /// A port of this machine answers over HTTP.
    Port {
        /// Any of these ports.
        ports: Vec<u16>,
        /// What the answer must contain.
        contains: Option<String>,
    },
    /// A volume is there.
    Volume {
        /// Its name.
        name: String,
    },
    /// An experiment has a result.
    Result {
        /// The experiment.
        experiment: String,
    },
}

/// What an instance should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum InstanceWish {
    /// It runs.
    Running,
    /// It is there and does not run.
    Stopped,
    /// There is none of this name.
    Absent,
}

impl FromStr for Check {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let words = shlex::split(line).ok_or("a quotation mark is not closed")?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let text = |text: &str| Some(text.to_owned());
        Ok(match words.as_slice() {
            ["file", path] if is_inside(path) => {
                Self::File { path: (*path).to_owned(), contains: None }
            }
            ["file", path, "contains", what] if is_inside(path) => {
                Self::File { path: (*path).to_owned(), contains: text(what) }
            }
            ["image", name] => Self::Image { name: (*name).to_owned() },
            ["instance", name, wish] => {
                Self::Instance { name: (*name).to_owned(), wish: wish.parse()? }
            }
            ["port", numbers, "answers"] => Self::Port { ports: ports(numbers)?, contains: None },
            ["port", numbers, "answers", what] => {
                Self::Port { ports: ports(numbers)?, contains: text(what) }
            }
            ["volume", name] => Self::Volume { name: (*name).to_owned() },
            ["result", experiment] => Self::Result { experiment: (*experiment).to_owned() },
            _ => {
                return Err(format!(
                    "`{line}` is no check: expected `file PATH [contains \"TEXT\"]`, `image NAME`, `instance NAME running|stopped|absent`, `port N[|N] answers [\"TEXT\"]`, `volume NAME` or `result EXPERIMENT`"
                ));
            }
        })
    }
}

impl FromStr for InstanceWish {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Ok(match word {
            "running" => Self::Running,
            "stopped" => Self::Stopped,
            "absent" => Self::Absent,
            _ => return Err(format!("`{word}` is no state: expected running, stopped or absent")),
        })
    }
}

fn ports(text: &str) -> Result<Vec<u16>, String> {
    let port = |word: &str| word.parse::<u16>().ok().filter(|port| *port > 0);
    text.split('|')
        .map(|word| port(word).ok_or_else(|| format!("`{word}` is no port: expected 1 to 65535")))
        .collect()
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { path, contains: None } => write!(f, "the file {path} is there"),
            Self::File { path, contains: Some(text) } => {
                write!(f, "the file {path} contains “{text}”")
            }
            Self::Image { name } => write!(f, "the image {name} is there"),
            Self::Instance { name, wish: InstanceWish::Running } => {
                write!(f, "the instance {name} runs")
            }
            Self::Instance { name, wish: InstanceWish::Stopped } => {
                write!(f, "the instance {name} is there and does not run")
            }
            Self::Instance { name, wish: InstanceWish::Absent } => {
                write!(f, "there is no instance {name}")
            }
            Self::Port { ports, contains } => {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                write!(f, "port {} answers", ports.join(" or "))?;
                contains.as_ref().map_or(Ok(()), |text| write!(f, " with “{text}”"))
            }
            Self::Volume { name } => write!(f, "the volume {name} is there"),
            Self::Result { experiment } => write!(f, "the experiment {experiment} has a result"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_read_and_say_what_they_ask() {
        for (line, words) in [
            ("file hello/app.py", "the file hello/app.py is there"),
            ("file app.py contains \"Hello flask\"", "the file app.py contains “Hello flask”"),
            ("image hello-flask", "the image hello-flask is there"),
            ("instance web running", "the instance web runs"),
            ("instance web absent", "there is no instance web"),
            ("port 80|8080 answers 'Hi'", "port 80 or 8080 answers with “Hi”"),
            ("volume data", "the volume data is there"),
            ("result startup", "the experiment startup has a result"),
        ] {
            assert_eq!(line.parse::<Check>().unwrap().to_string(), words);
        }
    }

    #[test]
    fn what_is_no_check_is_refused() {
        for line in [
            "",
            "file /etc/passwd",
            "file ../x",
            "file ../x contains a",
            "file '' contains a",
            "port x answers",
            "port 0 answers",
            "instance web happy",
            "image",
            "file 'x",
        ] {
            assert!(line.parse::<Check>().is_err(), "{line}");
        }
    }
}
