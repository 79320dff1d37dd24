use std::cmp::Ordering;

use serde_json::Value;
use tandem_model::did_you_mean;

use super::FormatError;

/// The functions of Docker's templates, and those of Go's that people use.
const NAMES: [&str; 20] = [
    "json", "join", "split", "upper", "lower", "title", "println", "print", "len", "index", "eq",
    "ne", "lt", "le", "gt", "ge", "and", "or", "not", "truncate",
];

/// Calls a function.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, FormatError> {
    let text = shown;
    let unfit = || FormatError(format!("`{name}` cannot be called with what it is given"));
    Ok(match (name, arguments) {
        ("json", [value]) => Value::String(value.to_string()),
        ("join", [Value::Array(items), separator]) => {
            let items: Vec<String> = items.iter().map(text).collect();
            Value::String(items.join(&text(separator)))
        }
        ("join", [Value::Null, _]) => Value::String(String::new()),
        ("split", [value, separator]) => {
            let (value, separator) = (text(value), text(separator));
            value.split(separator.as_str()).map(Value::from).collect()
        }
        ("upper", [value]) => Value::String(text(value).to_uppercase()),
        ("lower", [value]) => Value::String(text(value).to_lowercase()),
        ("title", [value]) => {
            let value = text(value);
            let mut letters = value.chars();
            let first = letters.next().map(|c| c.to_uppercase().to_string());
            Value::String(first.unwrap_or_default() + letters.as_str())
        }
        ("print", values) => Value::String(values.iter().map(text).collect()),
        ("println", values) => {
            let values: Vec<String> = values.iter().map(text).collect();
            Value::String(values.join(" ") + "\n")
        }
        ("truncate", [value, Value::Number(most)]) => {
            let most = most.as_u64().and_then(|it| usize::try_from(it).ok()).ok_or_else(unfit)?;
            Value::String(text(value).chars().take(most).collect())
        }
        ("len", [value]) => Value::from(match value {
            Value::Array(items) => items.len(),
            Value::Object(fields) => fields.len(),
            Value::String(text) => text.len(),
            Value::Null => 0,
            _ => return Err(unfit()),
        }),
        ("index", [value, keys @ ..]) => {
            let mut value = value;
            for key in keys {
                value = at(value, key).ok_or_else(unfit)?;
            }
            value.clone()
        }
        ("eq", [value, others @ ..]) if !others.is_empty() => {
            Value::Bool(others.iter().any(|other| order(value, other) == Some(Ordering::Equal)))
        }
        ("ne", [left, right]) => Value::Bool(order(left, right) != Some(Ordering::Equal)),
        ("lt" | "le" | "gt" | "ge", [left, right]) => {
            let order = order(left, right).ok_or_else(unfit)?;
            Value::Bool(match name {
                "lt" => order.is_lt(),
                "le" => order.is_le(),
                "gt" => order.is_gt(),
                _ => order.is_ge(),
            })
        }
        ("and", [first, rest @ ..]) => {
            let failing = arguments.iter().find(|it| !holds(it));
            failing.or(rest.last()).unwrap_or(first).clone()
        }
        ("or", [first, rest @ ..]) => {
            arguments.iter().find(|it| holds(it)).or(rest.last()).unwrap_or(first).clone()
        }
        ("not", [value]) => Value::Bool(!holds(value)),
        (known, _) if NAMES.contains(&known) => return Err(unfit()),
        _ => {
            let near = did_you_mean(name, &NAMES);
            let all = NAMES.join(", ");
            let text = format!("a template has no function `{name}`{near} (there are {all})");
            return Err(FormatError(text));
        }
    })
}

/// What is at a place; a map without the key has nothing there.
fn at<'a>(value: &'a Value, key: &Value) -> Option<&'a Value> {
    match (value, key) {
        (Value::Array(items), Value::Number(number)) => {
            items.get(usize::try_from(number.as_u64()?).ok()?)
        }
        (Value::Object(fields), Value::String(key)) => {
            Some(fields.get(key).unwrap_or(&Value::Null))
        }
        (Value::Null, _) => Some(&Value::Null),
        _ => None,
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (left, right) => (left == right).then_some(Ordering::Equal),
    }
}

/// Whether a value counts as yes: neither false nor empty nor zero.
pub(super) fn holds(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// A value as Go prints it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(yes) => yes.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" "))
        }
        Value::Object(fields) => {
            let mut pairs: Vec<_> =
                fields.iter().map(|(key, value)| format!("{key}:{}", shown(value))).collect();
            pairs.sort();
            format!("map[{}]", pairs.join(" "))
        }
    }
}
