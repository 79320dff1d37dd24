use serde_json::Value;
use tandem_model::did_you_mean;

use super::{
    FormatError, functions,
    parse::{Node, Operand, Pipeline},
};

/// How a complaint about a field begins.
pub(super) const NO_FIELD: &str = "there is no field";

/// Letters that one value may become: a template can repeat itself.
const LONGEST: usize = 16 << 20;

/// What a template is carried out with.
struct Run<'a> {
    root: &'a Value,
    /// Names and what they stand for, the newest last.
    names: Vec<(String, Value)>,
    out: String,
}

/// Fills a template.
pub(super) fn run(nodes: &[Node], value: &Value) -> Result<String, FormatError> {
    let mut run = Run { root: value, names: Vec::new(), out: String::new() };
    run.all(nodes, value)?;
    Ok(run.out)
}

impl Run<'_> {
    /// Carries nodes out; names that they make go again.
    fn all(&mut self, nodes: &[Node], dot: &Value) -> Result<(), FormatError> {
        let known = self.names.len();
        for node in nodes {
            self.one(node, dot)?;
            if self.out.len() > LONGEST {
                return Err(FormatError("the template makes too much text".to_owned()));
            }
        }
        self.names.truncate(known);
        Ok(())
    }

    fn one(&mut self, node: &Node, dot: &Value) -> Result<(), FormatError> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Value(None, pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                self.out.push_str(&functions::shown(&value));
            }
            Node::Value(Some(name), pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                self.names.push((name.clone(), value));
            }
            Node::If(condition, yes, no) => {
                let holds = functions::holds(&self.pipeline(condition, dot)?);
                self.all(if holds { yes } else { no }, dot)?;
            }
            Node::With(pipeline, yes, no) => {
                let value = self.pipeline(pipeline, dot)?;
                if functions::holds(&value) {
                    self.all(yes, &value)?;
                } else {
                    self.all(no, dot)?;
                }
            }
            Node::Range(names, pipeline, each, none) => {
                let items = items(self.pipeline(pipeline, dot)?)?;
                if items.is_empty() {
                    self.all(none, dot)?;
                }
                let known = self.names.len();
                for (key, value) in items {
                    match names.as_slice() {
                        [] => {}
                        [one] => self.names.push((one.clone(), value.clone())),
                        [first, second, ..] => {
                            self.names.push((first.clone(), key));
                            self.names.push((second.clone(), value.clone()));
                        }
                    }
                    self.all(each, &value)?;
                    self.names.truncate(known);
                }
            }
        }
        Ok(())
    }

    fn pipeline(&self, pipeline: &Pipeline, dot: &Value) -> Result<Value, FormatError> {
        let mut last = None;
        for command in pipeline {
            last = Some(self.command(command, dot, last)?);
        }
        Ok(last.unwrap_or_default())
    }

    fn command(
        &self,
        command: &[Operand],
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, FormatError> {
        let Some((first, rest)) = command.split_first() else { return Ok(Value::Null) };
        let function = match first {
            Operand::Name(name) if !matches!(name.as_str(), "true" | "false" | "nil") => name,
            operand if rest.is_empty() && last.is_none() => return self.operand(operand, dot),
            _ => {
                let text = "a value is no function and takes no arguments: put a function before it, e.g. json";
                return Err(FormatError(text.to_owned()));
            }
        };
        let mut arguments =
            rest.iter().map(|it| self.operand(it, dot)).collect::<Result<Vec<_>, _>>()?;
        arguments.extend(last);
        functions::call(function, &arguments)
    }

    fn operand(&self, operand: &Operand, dot: &Value) -> Result<Value, FormatError> {
        match operand {
            Operand::Field(path) => walk(dot, path),
            Operand::Variable(name, path) if name.is_empty() => walk(self.root, path),
            Operand::Variable(name, path) => {
                let found = self.names.iter().rev().find(|(known, _)| known == name);
                let missing = || FormatError(format!("the template has no variable `${name}`"));
                walk(&found.ok_or_else(missing)?.1, path)
            }
            Operand::Name(name) => match name.as_str() {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                "nil" => Ok(Value::Null),
                _ => functions::call(name, &[]),
            },
            Operand::Text(text) => Ok(Value::String(text.clone())),
            Operand::Number(number) => Ok(Value::from(*number)),
            Operand::Nested(pipeline, path) => walk(&self.pipeline(pipeline, dot)?, path),
        }
    }
}

/// The value that fields lead to. What is empty has no fields, and says so by
/// being empty too, as Go's maps do.
fn walk(value: &Value, path: &[String]) -> Result<Value, FormatError> {
    let mut value = value;
    for name in path {
        value = match value {
            Value::Object(fields) => fields.get(name).ok_or_else(|| {
                let known: Vec<&str> = fields.keys().map(String::as_str).collect();
                let near = did_you_mean(name, &known);
                let all = if near.is_empty() && known.len() <= 40 {
                    format!(": there are {}", known.join(", "))
                } else {
                    near
                };
                FormatError(format!("{NO_FIELD} `{name}` here{all}"))
            })?,
            Value::Null => return Ok(Value::Null),
            _ => return Err(FormatError(format!("`.{name}` is asked of what has no fields"))),
        };
    }
    Ok(value.clone())
}

/// Keys and values.
fn items(value: Value) -> Result<Vec<(Value, Value)>, FormatError> {
    match value {
        Value::Array(values) => {
            Ok(values.into_iter().enumerate().map(|(at, it)| (Value::from(at), it)).collect())
        }
        Value::Object(fields) => {
            let mut all: Vec<_> = fields.into_iter().collect();
            all.sort_by(|(left, _), (right, _)| left.cmp(right));
            Ok(all.into_iter().map(|(key, it)| (Value::String(key), it)).collect())
        }
        Value::Null => Ok(Vec::new()),
        _ => Err(FormatError("`range` goes over lists and maps only".to_owned())),
    }
}
