use serde::{Deserialize, Serialize};

use crate::{Block, Check, InstanceWish, Lesson};

/// A language that the lessons of the program are written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English, which the command line speaks and every lesson has.
    #[default]
    En,
    /// German.
    De,
}

impl Language {
    /// Its tag (BCP 47).
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }
}

impl Check {
    /// What it asks, for people.
    pub fn asks(&self, language: Language) -> String {
        match language {
            Language::En => self.to_string(),
            Language::De => german(self),
        }
    }
}

impl Lesson {
    /// The same lesson, with its checks worded in a language.
    #[must_use]
    pub fn asking_in(mut self, language: Language) -> Self {
        for block in self.steps.iter_mut().flat_map(|step| &mut step.blocks) {
            let Block::Check { checks } = block else { continue };
            for condition in checks {
                condition.asks = condition.check.asks(language);
            }
        }
        self
    }
}

fn german(check: &Check) -> String {
    match check {
        Check::File { path, contains: None } => format!("die Datei {path} ist da"),
        Check::File { path, contains: Some(text) } => {
            format!("die Datei {path} enthält „{text}“")
        }
        Check::Image { name } => format!("das Image {name} ist da"),
        Check::Instance { name, wish: InstanceWish::Running } => {
            format!("die Instanz {name} läuft")
        }
        Check::Instance { name, wish: InstanceWish::Stopped } => {
            format!("die Instanz {name} ist da und läuft nicht")
        }
        Check::Instance { name, wish: InstanceWish::Absent } => {
            format!("es gibt keine Instanz {name}")
        }
        Check::Port { ports, contains } => {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            let with = contains.as_ref().map_or_else(String::new, |text| format!(" mit „{text}“"));
            format!("Port {} antwortet{with}", ports.join(" oder "))
        }
        Check::Volume { name } => format!("das Volume {name} ist da"),
        Check::Result { experiment } => format!("das Experiment {experiment} hat ein Ergebnis"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_asks_in_each_language() {
        let check: Check = "port 80|8080 answers 'Hi'".parse().unwrap();
        assert_eq!(check.asks(Language::En), "port 80 or 8080 answers with “Hi”");
        assert_eq!(check.asks(Language::De), "Port 80 oder 8080 antwortet mit „Hi“");
        let text = "# T\n\nAbout.\n\n## S\n\n```check\nvolume data\n```\n";
        let lesson = crate::parse("t", text).unwrap().asking_in(Language::De);
        let Block::Check { checks } = &lesson.steps[0].blocks[0] else { panic!("{lesson:?}") };
        assert_eq!(checks[0].asks, "das Volume data ist da");
    }
}
