//! What the fuzz targets share. Each target is a program in `bin/`: libFuzzer
//! calls it with bytes of its own making, steered by what of Tandem's code they
//! reach, and a panic or a failed `assert!` is a find.

mod cage;
mod document;
mod markup;
mod tar;

pub use cage::Cage;
pub use document::altered;
pub use markup::assert_own_markup;
pub use tar::mended;

use serde_json::Value;

/// The first byte as a number to choose by, and the rest.
pub fn choice(data: &[u8]) -> (usize, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (usize::from(*first), rest))
}

/// The bytes as text; what is no UTF-8 is replaced.
pub fn text(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// Writes a value as JSON and reads it again: it must come back as it was.
///
/// # Panics
/// When it does not.
pub fn survives_json<T>(value: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let written = serde_json::to_vec(value).expect("whatever was read can be written");
    let back: T = serde_json::from_slice(&written).expect("whatever was written can be read");
    assert_eq!(*value, back, "{}", serde_json::from_slice::<Value>(&written).unwrap_or_default());
}
