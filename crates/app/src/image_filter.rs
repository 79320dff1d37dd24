use std::str::FromStr;

use tandem_model::did_you_mean;

use crate::{App, AppError, ImageRow};

/// A condition on images, as it is typed: `KEY=VALUE` (of those of `docker
/// images --filter` the two that need no more than a list).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageFilter {
    /// Whether it lost its name.
    Dangling(bool),
    /// Its name fits a pattern in which `*` stands for any letters but `/`.
    Reference(String),
}

impl FromStr for ImageFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some(("dangling", "true" | "1")) => Ok(Self::Dangling(true)),
            Some(("dangling", "false" | "0")) => Ok(Self::Dangling(false)),
            Some(("dangling", _)) => Err("`dangling` is true or false".to_owned()),
            Some(("reference", pattern)) => Ok(Self::Reference(pattern.to_owned())),
            Some((key, _)) => {
                let near = did_you_mean(key, &["dangling", "reference"]);
                Err(format!("`{key}` is no filter{near} (there are dangling, reference)"))
            }
            None => Err(format!("`{text}` is no filter: write KEY=VALUE, e.g. dangling=true")),
        }
    }
}

impl ImageFilter {
    fn holds(&self, row: &ImageRow) -> bool {
        match self {
            Self::Dangling(lost) => (row.name == "<none>") == *lost,
            Self::Reference(pattern) => named(row, pattern),
        }
    }
}

/// Whether a pattern is the image's name, with its tag or without.
fn named(row: &ImageRow, pattern: &str) -> bool {
    let whole = row.tag.as_ref().map(|tag| format!("{}:{tag}", row.name));
    fits(pattern, &row.name) || whole.is_some_and(|whole| fits(pattern, &whole))
}

/// Whether a text fits a pattern; the time is the product of both lengths.
fn fits(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // Where in the text the pattern so far may end.
    let mut ends = vec![false; text.len() + 1];
    ends[0] = true;
    for c in pattern.chars() {
        if c == '*' {
            for at in 1..=text.len() {
                ends[at] |= ends[at - 1] && text[at - 1] != '/';
            }
        } else {
            for at in (1..=text.len()).rev() {
                ends[at] = ends[at - 1] && text[at - 1] == c;
            }
            ends[0] = false;
        }
    }
    ends[text.len()]
}

impl App {
    /// The local images of a name, or all, for which all filters hold.
    pub fn images_where(
        &self,
        all: bool,
        name: Option<&str>,
        filters: &[ImageFilter],
    ) -> Result<Vec<ImageRow>, AppError> {
        let lost = filters.contains(&ImageFilter::Dangling(true));
        let mut rows = self.images(all || lost)?;
        rows.retain(|row| {
            name.is_none_or(|name| named(row, name)) && filters.iter().all(|it| it.holds(row))
        });
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stop_at_slashes() {
        for (pattern, text, expected) in [
            ("web", "web", true),
            ("web", "web2", false),
            ("w*", "web", true),
            ("*b", "web", true),
            ("*", "", true),
            ("*", "team/web", false),
            ("*/w*:1*", "team/web:1.2", true),
            ("", "web", false),
            ("**b**", "web", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
        assert!(!fits(&"*a".repeat(500), &"a".repeat(400)));
    }

    #[test]
    fn filters_are_read_and_slips_answered() {
        assert_eq!("dangling=true".parse(), Ok(ImageFilter::Dangling(true)));
        for (text, says) in [
            ("dangling", "KEY=VALUE"),
            ("dangling=perhaps", "true or false"),
            ("danglin=true", "did you mean dangling?"),
            ("label=x", "reference"),
        ] {
            let error = text.parse::<ImageFilter>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
