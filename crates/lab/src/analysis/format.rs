//! Numbers for sentences.

use tandem_model::{
    Unit,
    format::{format_bytes, format_duration, format_number},
};

/// A value with its unit, as everywhere in Tandem.
pub(super) fn quantity(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ns => format_duration(value),
        Unit::Bytes => format_bytes(value),
        _ => format_number(value),
    }
}

/// Several things in a sentence: `a, b and c`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_joined_as_in_a_sentence() {
        assert_eq!(quantity(8.912e9, Unit::Ns), "8.91 s");
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }
}
