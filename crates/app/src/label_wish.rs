use std::{collections::BTreeMap, str::FromStr};

/// A label that something is to have, as it is typed behind `label=` of a
/// filter: a name, and a value where only that one will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelWish {
    name: String,
    value: Option<String>,
}

impl FromStr for LabelWish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if name.is_empty() {
            return Err("a label has a name: write label=NAME or label=NAME=VALUE".to_owned());
        }
        Ok(Self { name: name.to_owned(), value })
    }
}

impl LabelWish {
    /// Whether something with these labels has it.
    pub(crate) fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        self.fits(labels.get(&self.name))
    }

    /// The label's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether what something has under that name will do.
    pub(crate) fn fits(&self, own: Option<&String>) -> bool {
        own.is_some_and(|own| self.value.as_ref().is_none_or(|value| value == own))
    }
}
