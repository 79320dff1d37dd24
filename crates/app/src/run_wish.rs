use serde::{Deserialize, Serialize};
use tandem_model::{
    BackendKind, MountSpec, PortMaps, Resources, parse_cpus, parse_size, parse_volume,
};

use crate::{App, AppError, RunOptions};

/// What a person filled in to run an image, in the words of the command line.
/// Lines that are empty are no wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
pub struct RunWish {
    /// Name or reference of the image.
    pub image: String,
    /// What runs it.
    pub backend: BackendKind,
    /// The instance's name; chosen when empty.
    pub name: String,
    /// `[IP:]HOST:PORT[/udp]` each.
    pub ports: Vec<String>,
    /// `NAME=value` each.
    pub env: Vec<String>,
    /// `SRC:DST[:ro]` each.
    pub volumes: Vec<String>,
    /// `256m`; no limit when empty.
    pub memory: String,
    /// `1.5`; no limit when empty.
    pub cpus: String,
}

impl RunWish {
    fn options(&self) -> Result<RunOptions, AppError> {
        let usage = |text: String| AppError::Usage(text);
        let mut options = RunOptions::new(self.image.trim(), self.backend);
        options.name = Some(self.name.trim().to_owned()).filter(|name| !name.is_empty());
        for text in filled(&self.ports) {
            let PortMaps(maps) = text.parse().map_err(|e| usage(format!("{e}")))?;
            options.ports.extend(maps);
        }
        options.env = filled(&self.env).map(ToOwned::to_owned).collect();
        let mounts = filled(&self.volumes).map(parse_volume).collect::<Result<Vec<MountSpec>, _>>();
        options.options.mounts = mounts.map_err(|e| usage(e.to_string()))?;
        let (memory, cpus) = (self.memory.trim(), self.cpus.trim());
        options.resources = Resources {
            memory_bytes: (!memory.is_empty())
                .then(|| parse_size(memory))
                .transpose()
                .map_err(|e| usage(e.to_string()))?,
            milli_cpus: (!cpus.is_empty()).then(|| parse_cpus(cpus)).transpose().map_err(usage)?,
            pids: None,
        };
        Ok(options)
    }
}

fn filled(lines: &[String]) -> impl Iterator<Item = &str> {
    lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty())
}

impl App {
    /// Runs an image as a person filled it in; the instance's name.
    pub async fn run_wish(&self, wish: &RunWish) -> Result<String, AppError> {
        let record = self.run(wish.options()?, &mut |_| {}, &mut |_| {}).await?;
        Ok(record.spec.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish() -> RunWish {
        RunWish {
            image: "hello".to_owned(),
            backend: BackendKind::Container,
            name: " ".to_owned(),
            ports: vec!["8080:80".to_owned(), String::new()],
            env: vec!["A=b c".to_owned()],
            volumes: vec!["data:/data:ro".to_owned()],
            memory: "256m".to_owned(),
            cpus: "1.5".to_owned(),
        }
    }

    #[test]
    fn empty_lines_are_no_wish() {
        let options = wish().options().unwrap();
        assert_eq!((options.name, options.ports.len()), (None, 1));
        assert_eq!(options.env, ["A=b c"]);
        assert_eq!(options.options.mounts.len(), 1);
        assert_eq!(options.resources.memory_bytes, Some(256 << 20));
        assert_eq!(options.resources.milli_cpus, Some(1500));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for wrong in [
            RunWish { ports: vec!["eighty".to_owned()], ..wish() },
            RunWish { memory: "much".to_owned(), ..wish() },
            RunWish { cpus: "two".to_owned(), ..wish() },
            RunWish { volumes: vec!["data".to_owned()], ..wish() },
        ] {
            assert!(matches!(wrong.options(), Err(AppError::Usage(_))), "{wrong:?}");
        }
    }
}
