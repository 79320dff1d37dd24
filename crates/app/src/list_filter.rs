use std::{collections::BTreeMap, str::FromStr};

use crate::{
    LabelWish,
    filter::{dangling, halves, no_filter},
};

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
        let (key, value) = halves(text, "dangling=true")?;
        match key {
            "dangling" => dangling(value).map(Self::Dangling),
            "name" => Ok(Self::Name(value.to_owned())),
            "label" => value.parse().map(Self::Label),
            _ => Err(no_filter(&["dangling", "name", "label"], key)),
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
