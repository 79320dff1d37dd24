use std::{collections::BTreeMap, str::FromStr};

use jiff::Timestamp;
use tandem_model::parse_moment;

use crate::{
    AppError, LabelWish,
    filter::{halves, no_filter},
};

/// A condition on what is removed, as it is typed behind `--filter` of a
/// `prune`: Docker's two. All of several must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PruneFilter {
    /// Made before this moment.
    Until(Timestamp),
    /// Has a label.
    Label(LabelWish),
    /// Has not.
    NotLabel(LabelWish),
}

impl FromStr for PruneFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = halves(text, "until=24h")?;
        match key {
            "until" => parse_moment(value).map(Self::Until).map_err(|e| e.to_string()),
            "label" => value.parse().map(Self::Label),
            "label!" => value.parse().map(Self::NotLabel),
            _ => Err(no_filter(&["until", "label", "label!"], key)),
        }
    }
}

impl PruneFilter {
    fn holds(&self, created: Option<Timestamp>, labels: &BTreeMap<String, String>) -> bool {
        match self {
            // What has no date is not known to be older.
            Self::Until(moment) => created.is_some_and(|created| created < *moment),
            Self::Label(wish) => wish.holds(labels),
            Self::NotLabel(wish) => !wish.holds(labels),
        }
    }

    /// Refuses what says nothing of volumes: those are used long after they
    /// were made.
    pub(crate) fn check_volumes(filters: &[Self]) -> Result<(), AppError> {
        if filters.iter().any(|filter| matches!(filter, Self::Until(_))) {
            let text = "volumes are used long after they were made, so the filter until does \
                        not choose any: filter them by label, and the others without --volumes";
            return Err(AppError::Usage(text.to_owned()));
        }
        Ok(())
    }

    /// Whether something that was made then and has these labels may go.
    pub(crate) fn all_hold(
        filters: &[Self],
        created: Option<Timestamp>,
        labels: &BTreeMap<String, String>,
    ) -> bool {
        filters.iter().all(|filter| filter.holds(created, labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_several_must_hold() {
        let labels = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        let made = "2026-01-01T00:00:00Z".parse().ok();
        for (texts, expected) in [
            (&[][..], true),
            (&["label=team"], true),
            (&["label=team=b"], false),
            (&["label!=team=b"], true),
            (&["label!=team"], false),
            (&["until=2026-01-02T00:00:00Z", "label=team=a"], true),
            (&["until=2025-12-31T00:00:00Z", "label=team=a"], false),
        ] {
            let filters: Vec<PruneFilter> = texts.iter().map(|it| it.parse().unwrap()).collect();
            assert_eq!(PruneFilter::all_hold(&filters, made, &labels), expected, "{texts:?}");
        }
        let until = ["until=2999-01-01T00:00:00Z".parse().unwrap()];
        assert!(!PruneFilter::all_hold(&until, None, &labels), "without a date");
    }

    #[test]
    fn slips_are_answered() {
        for (text, says) in [
            ("until", "KEY=VALUE"),
            ("until=then", "no moment"),
            ("label=", "has a name"),
            ("lable=x", "did you mean label"),
        ] {
            let error = text.parse::<PruneFilter>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
