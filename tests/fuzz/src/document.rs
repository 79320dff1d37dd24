//! A result of which the search changes single values: bytes of its own would
//! hardly ever be a result.

use serde_json::Value;

/// Values that readers of results have met.
const NUMBERS: [f64; 8] = [0.0, -1.0, 1.0, 0.5, 1e-300, 1e18, 1.7e308, -1.7e308];

/// The result with changes, each two bytes and what follows them: which value,
/// and what becomes of it.
pub fn altered(base: &str, mut data: &[u8]) -> Vec<u8> {
    let mut document: Value = serde_json::from_str(base).expect("the base is a document");
    while let [which, how, rest @ ..] = data {
        let mut count = usize::from(*which);
        let length = usize::from(*how >> 3).min(rest.len());
        let (own, after) = rest.split_at(length);
        data = after;
        change(&mut document, &mut count, how & 7, own);
    }
    serde_json::to_vec(&document).expect("it can be written")
}

/// Changes the value with this number; its children have the next ones.
fn change(value: &mut Value, count: &mut usize, how: u8, own: &[u8]) {
    if *count == 0 {
        *count = usize::MAX;
        *value = replaced(value, how, own);
        return;
    }
    *count -= 1;
    match value {
        Value::Array(list) => {
            for value in list {
                if *count == usize::MAX {
                    return;
                }
                change(value, count, how, own);
            }
        }
        Value::Object(map) => {
            for value in map.values_mut() {
                if *count == usize::MAX {
                    return;
                }
                change(value, count, how, own);
            }
        }
        _ => {}
    }
}

fn replaced(value: &Value, how: u8, own: &[u8]) -> Value {
    let text = || String::from_utf8_lossy(own).into_owned();
    let first = own.first().copied().unwrap_or_default();
    match (how, value) {
        (0, Value::Array(list)) => {
            // Some of them again.
            let more = list.iter().cycle().take(usize::from(first)).cloned();
            Value::Array(list.iter().cloned().chain(more).collect())
        }
        (1, Value::Array(list)) => {
            Value::Array(list.iter().skip(usize::from(first)).cloned().collect())
        }
        (0 | 1, Value::Object(map)) => {
            let mut map = map.clone();
            let like = map.values().next().cloned().unwrap_or_default();
            map.insert(text(), like);
            Value::Object(map)
        }
        (2, _) => NUMBERS[usize::from(first) % NUMBERS.len()].into(),
        (3, _) => {
            let mut bytes = [0; 8];
            bytes[..own.len().min(8)].copy_from_slice(&own[..own.len().min(8)]);
            u64::from_le_bytes(bytes).into()
        }
        (4, _) => {
            let mut bytes = [0; 8];
            bytes[..own.len().min(8)].copy_from_slice(&own[..own.len().min(8)]);
            f64::from_le_bytes(bytes).into()
        }
        (5, _) => Value::Null,
        (6, _) => text().repeat(200).into(),
        _ => text().into(),
    }
}
