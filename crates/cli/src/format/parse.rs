use super::{
    FormatError,
    words::{Word, words},
};

/// How deep blocks and parentheses may lie in each other.
const DEEPEST: usize = 50;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    /// Shown, or kept under a name.
    Value(Option<String>, Pipeline),
    If(Pipeline, Vec<Node>, Vec<Node>),
    With(Pipeline, Vec<Node>, Vec<Node>),
    /// The names of key and value, where they have any.
    Range(Vec<String>, Pipeline, Vec<Node>, Vec<Node>),
}

/// Commands, each with the result of the one before as its last argument.
pub(super) type Pipeline = Vec<Vec<Operand>>;

/// A word of a command.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Name(String),
    Text(String),
    Number(i64),
    /// `( … ).field`.
    Nested(Pipeline, Vec<String>),
}

enum Piece {
    Text(String),
    Action(Vec<Word>),
}

/// Reads a template.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, FormatError> {
    let mut pieces = pieces(text)?.into_iter();
    let (nodes, end) = block(&mut pieces, 0)?;
    match end {
        None => Ok(nodes),
        Some(_) => Err(wrong("`{{end}}` or `{{else}}` stands there without a beginning")),
    }
}

/// The last field of each value that is shown, as headings of a table.
pub(super) fn headings(nodes: &[Node]) -> Vec<String> {
    let mut row = String::new();
    for node in nodes {
        match node {
            Node::Text(text) => row.push_str(text),
            Node::Value(None, pipeline) => {
                let field = pipeline.iter().flatten().find_map(|operand| match operand {
                    Operand::Field(path) => path.last(),
                    _ => None,
                });
                row.push_str(&field.map(|name| name.to_uppercase()).unwrap_or_default());
            }
            _ => {}
        }
    }
    row.split('\t').map(str::to_owned).collect()
}

fn pieces(text: &str) -> Result<Vec<Piece>, FormatError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trim = false;
    while let Some(start) = rest.find("{{") {
        let inside = &rest[start + 2..];
        let end = inside.find("}}").ok_or_else(|| wrong("`{{` is not closed: end it with `}}`"))?;
        let mut action = &inside[..end];
        let mut before = if trim { rest[..start].trim_start() } else { &rest[..start] };
        if let Some(left) = action.strip_prefix("- ") {
            (action, before) = (left, before.trim_end());
        }
        trim = action.ends_with(" -");
        action = action.strip_suffix(" -").unwrap_or(action);
        pieces.push(Piece::Text(before.to_owned()));
        if !action.trim_start().starts_with("/*") {
            pieces.push(Piece::Action(words(action)?));
        }
        rest = &inside[end + 2..];
    }
    pieces.push(Piece::Text(if trim { rest.trim_start() } else { rest }.to_owned()));
    Ok(pieces)
}

/// Nodes up to the end of a block, and the words that ended it.
fn block(
    pieces: &mut std::vec::IntoIter<Piece>,
    depth: usize,
) -> Result<(Vec<Node>, Option<Vec<Word>>), FormatError> {
    if depth > DEEPEST {
        return Err(wrong("its blocks lie too deep in each other"));
    }
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let mut words = match piece {
            Piece::Text(text) if text.is_empty() => continue,
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action(words) => words,
        };
        match words.first() {
            Some(Word::Name(name)) if matches!(name.as_str(), "end" | "else") => {
                return Ok((nodes, Some(words)));
            }
            Some(Word::Name(name)) if matches!(name.as_str(), "if" | "range" | "with") => {
                let kind = name.clone();
                words.remove(0);
                nodes.push(begun(&kind, words, pieces, depth + 1)?);
            }
            _ => {
                let names = assigned(&mut words);
                nodes.push(Node::Value(names.into_iter().next(), pipeline(&words, 0)?));
            }
        }
    }
    Ok((nodes, None))
}

fn begun(
    kind: &str,
    mut words: Vec<Word>,
    pieces: &mut std::vec::IntoIter<Piece>,
    depth: usize,
) -> Result<Node, FormatError> {
    let names = if kind == "range" { assigned(&mut words) } else { Vec::new() };
    let over = pipeline(&words, 0)?;
    let (first, end) = block(pieces, depth)?;
    let mut second = Vec::new();
    match end.as_deref() {
        Some([Word::Name(end)]) if end == "end" => {}
        Some([Word::Name(_)]) => {
            let (nodes, last) = block(pieces, depth)?;
            second = nodes;
            if !matches!(last.as_deref(), Some([Word::Name(end)]) if end == "end") {
                return Err(unended(kind));
            }
        }
        // `else if` ends with the same `end`.
        Some([Word::Name(_), Word::Name(next), more @ ..]) if next == "if" => {
            second.push(begun("if", more.to_vec(), pieces, depth + 1)?);
        }
        _ => return Err(unended(kind)),
    }
    Ok(match kind {
        "if" => Node::If(over, first, second),
        "with" => Node::With(over, first, second),
        _ => Node::Range(names, over, first, second),
    })
}

/// Takes `$a, $b :=` from the front.
fn assigned(words: &mut Vec<Word>) -> Vec<String> {
    let Some(at) = words.iter().position(|word| *word == Word::Assign) else { return Vec::new() };
    let names = words.drain(..=at).filter_map(|word| match word {
        Word::Variable(name, _) => Some(name),
        _ => None,
    });
    names.collect()
}

fn pipeline(words: &[Word], depth: usize) -> Result<Pipeline, FormatError> {
    if depth > DEEPEST {
        return Err(wrong("its parentheses lie too deep in each other"));
    }
    let mut commands = vec![Vec::new()];
    let mut rest = words;
    while let Some((word, more)) = rest.split_first() {
        rest = more;
        let operand = match word {
            Word::Pipe => {
                commands.push(Vec::new());
                continue;
            }
            Word::Field(path) => Operand::Field(path.clone()),
            Word::Variable(name, path) => Operand::Variable(name.clone(), path.clone()),
            Word::Name(name) => Operand::Name(name.clone()),
            Word::Text(text) => Operand::Text(text.clone()),
            Word::Number(number) => Operand::Number(*number),
            Word::Open => {
                let (inside, path) = closed(rest)?;
                let nested = pipeline(&rest[..inside], depth + 1)?;
                rest = &rest[inside + 1..];
                Operand::Nested(nested, path)
            }
            Word::Close(_) | Word::Comma | Word::Assign => {
                return Err(wrong("a `)`, `,` or `:=` stands where a value belongs"));
            }
        };
        if let Some(command) = commands.last_mut() {
            command.push(operand);
        }
    }
    if commands.iter().any(Vec::is_empty) {
        return Err(wrong("a pair of braces or a side of `|` is empty: write e.g. {{.Name}}"));
    }
    Ok(commands)
}

/// Where the parenthesis that is open is closed, and the fields behind it.
fn closed(words: &[Word]) -> Result<(usize, Vec<String>), FormatError> {
    let mut open = 1;
    for (at, word) in words.iter().enumerate() {
        match word {
            Word::Open => open += 1,
            Word::Close(path) => {
                open -= 1;
                if open == 0 {
                    return Ok((at, path.clone()));
                }
            }
            _ => {}
        }
    }
    Err(wrong("a parenthesis is not closed"))
}

fn unended(kind: &str) -> FormatError {
    wrong(&format!("`{{{{{kind}}}}}` is not ended: close it with `{{{{end}}}}`"))
}

fn wrong(why: &str) -> FormatError {
    FormatError(format!("the template cannot be read: {why}"))
}
