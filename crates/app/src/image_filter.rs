use std::str::FromStr;

use jiff::Timestamp;
use tandem_model::parse_moment;

use crate::{
    App, AppError, ImageRow, LabelWish,
    filter::{dangling, halves, no_filter},
};

/// A condition on images, as it is typed: `KEY=VALUE`, as behind `docker images
/// --filter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageFilter {
    /// Whether it lost its name.
    Dangling(bool),
    /// Its name fits a pattern in which `*` stands for any letters but `/`.
    Reference(String),
    /// It has a label.
    Label(LabelWish),
    /// It was made before that image.
    Before(String),
    /// It was made after that image.
    Since(String),
    /// It was made before this moment.
    Until(Timestamp),
}

const KEYS: [&str; 6] = ["dangling", "reference", "label", "before", "since", "until"];

impl FromStr for ImageFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = halves(text, "dangling=true")?;
        match key {
            "dangling" => dangling(value).map(Self::Dangling),
            "reference" => Ok(Self::Reference(value.to_owned())),
            "label" => value.parse().map(Self::Label),
            "before" => Ok(Self::Before(value.to_owned())),
            "since" => Ok(Self::Since(value.to_owned())),
            "until" => parse_moment(value).map(Self::Until).map_err(|e| e.to_string()),
            _ => Err(no_filter(&KEYS, key)),
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
        rows.retain(|row| name.is_none_or(|name| named(row, name)));
        for filter in filters {
            match filter {
                ImageFilter::Dangling(lost) => rows.retain(|row| (row.name == "<none>") == *lost),
                ImageFilter::Reference(pattern) => rows.retain(|row| named(row, pattern)),
                ImageFilter::Label(wish) => rows.retain(|row| self.has_label(row, wish)),
                ImageFilter::Before(image) => {
                    let moment = self.made(image)?;
                    rows.retain(|row| row.created_at.is_some() && row.created_at < moment);
                }
                ImageFilter::Since(image) => {
                    let moment = self.made(image)?;
                    rows.retain(|row| moment.is_some() && row.created_at > moment);
                }
                ImageFilter::Until(moment) => {
                    rows.retain(|row| row.created_at.is_some_and(|made| made < *moment));
                }
            }
        }
        Ok(rows)
    }

    /// When an image was made, as far as it says.
    fn made(&self, image: &str) -> Result<Option<Timestamp>, AppError> {
        let digest = self.image_digest(image)?;
        let all = self.images(true)?;
        Ok(all.iter().find(|row| row.digest == digest).and_then(|row| row.created_at))
    }

    fn has_label(&self, row: &ImageRow, wish: &LabelWish) -> bool {
        let Ok(image) = self.image(row.digest.as_str()) else { return false };
        let labels = image.config.config().as_ref().and_then(|config| config.labels().as_ref());
        wish.fits(labels.and_then(|labels| labels.get(wish.name())))
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
            ("lable=x", "did you mean label?"),
            ("label=", "has a name"),
            ("until=then", "no moment"),
            ("size=3", "since"),
        ] {
            let error = text.parse::<ImageFilter>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
