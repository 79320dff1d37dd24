use std::{collections::BTreeMap, str::FromStr};

use tandem_model::did_you_mean;

use crate::LabelWish;

/// A condition on volumes or networks of a list, as it is typed behind
/// `--filter`. All of several must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListFilter {
    /// Whether no instance has it.
    Dangling(bool),
    /// A part of its name.
    Name(String),
    /// Has a label.
    Label(LabelWish),
}

impl FromStr for ListFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(format!("`{text}` is no filter: write KEY=VALUE, e.g. dangling=true"));
        };
        match (key, value) {
            ("dangling", "true" | "1") => Ok(Self::Dangling(true)),
            ("dangling", "false" | "0") => Ok(Self::Dangling(false)),
            ("dangling", _) => Err("dangling is true or false: write dangling=true".to_owned()),
            ("name", part) => Ok(Self::Name(part.to_owned())),
            ("label", label) => label.parse().map(Self::Label),
            _ => {
                let near = did_you_mean(key, &["dangling", "name", "label"]);
                Err(format!("`{key}` is no filter{near} (there are dangling, name, label)"))
            }
        }
    }
}

impl ListFilter {
    /// Whether all hold for what has this name and these labels; `dangling`
    /// says whether no instance has it.
    pub(crate) fn all_hold(
        filters: &[Self],
        name: &str,
        labels: &BTreeMap<String, String>,
        dangling: bool,
    ) -> bool {
        filters.iter().all(|filter| match filter {
            Self::Dangling(wanted) => *wanted == dangling,
            Self::Name(part) => name.contains(part.as_str()),
            Self::Label(wish) => wish.holds(labels),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_several_must_hold() {
        let labels = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        for (texts, expected) in [
            (&[][..], true),
            (&["dangling=true"], true),
            (&["dangling=0"], false),
            (&["name=at"], true),
            (&["name=at", "label=team=b"], false),
            (&["label=team", "dangling=1"], true),
        ] {
            let filters: Vec<ListFilter> = texts.iter().map(|it| it.parse().unwrap()).collect();
            assert_eq!(
                ListFilter::all_hold(&filters, "data", &labels, true),
                expected,
                "{texts:?}"
            );
        }
        for (text, says) in [
            ("dangling", "KEY=VALUE"),
            ("dangling=maybe", "true or false"),
            ("label=", "has a name"),
            ("nmae=x", "did you mean name"),
        ] {
            let error = text.parse::<ListFilter>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
