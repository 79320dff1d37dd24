//! The fenced blocks that the program acts on.

use crate::{Block, Check, Command, Condition, Picture};

/// A fenced block by its info string: `Ok(None)` is code to read. The error
/// comes with the number of the line in the block, from 1.
pub(crate) fn directive(info: &str, text: &str) -> Result<Option<Block>, (usize, String)> {
    let words: Vec<&str> = info.split_whitespace().collect();
    Ok(Some(match words.as_slice() {
        ["run"] => run(text, false)?,
        ["run", "any"] => run(text, true)?,
        ["check"] => Block::Check { checks: lines(text, condition)? },
        ["predict"] => predict(text)?,
        ["quiz"] => quiz(text)?,
        ["explain"] => Block::Explain { text: paragraphs(text) },
        ["result"] => result(text)?,
        ["picture"] => picture(text)?,
        [word, ..] if KNOWN.contains(word) => {
            return Err((0, format!("`{info}` is no block: expected one of {}", KNOWN.join(", "))));
        }
        _ => return Ok(None),
    }))
}

const KNOWN: &[&str] = &["run", "check", "predict", "quiz", "explain", "result", "picture"];

/// Every line that is not empty, read by `read`.
fn lines<T>(
    text: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, (usize, String)> {
    let full = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let all: Vec<T> = full
        .map(|(at, line)| read(line.trim()).map_err(|problem| (at + 1, problem)))
        .collect::<Result<_, _>>()?;
    if all.is_empty() { Err((1, "there is nothing in it".to_owned())) } else { Ok(all) }
}

fn condition(line: &str) -> Result<Condition, String> {
    let check: Check = line.parse()?;
    Ok(Condition { asks: check.to_string(), check })
}

fn run(text: &str, any: bool) -> Result<Block, (usize, String)> {
    let commands = lines(text, |line| line.parse::<Command>().map(|_| line.to_owned()))?;
    Ok(Block::Run { commands, any })
}

fn result(text: &str) -> Result<Block, (usize, String)> {
    let name = |word: &str| {
        let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if plain { Ok(word.to_owned()) } else { Err(format!("`{word}` is no experiment")) }
    };
    let mut names = lines(text, name)?;
    if names.len() > 1 {
        return Err((2, "one experiment is enough for a block".to_owned()));
    }
    Ok(Block::Result { experiment: names.remove(0) })
}

fn picture(text: &str) -> Result<Block, (usize, String)> {
    match lines(text, str::parse::<Picture>)?[..] {
        [picture] => Ok(Block::Picture { picture }),
        _ => Err((2, "one picture is enough for a block".to_owned())),
    }
}

/// A question, and what follows `- ` on each further line.
struct Asked<'t> {
    question: String,
    choices: Vec<&'t str>,
    /// What follows `why:`.
    why: Option<String>,
}

fn asked(text: &str) -> Result<Asked<'_>, (usize, String)> {
    let mut asked = Asked { question: String::new(), choices: Vec::new(), why: None };
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if let Some(why) = &mut asked.why {
            why.push(' ');
            why.push_str(line);
        } else if let Some(choice) = line.strip_prefix("- ") {
            asked.choices.push(choice.trim());
        } else if let Some(why) = line.strip_prefix("why:") {
            asked.why = Some(why.trim().to_owned());
        } else if asked.choices.is_empty() {
            if !asked.question.is_empty() {
                asked.question.push(' ');
            }
            asked.question.push_str(line);
        } else {
            return Err((at + 1, format!("`{line}` is neither a choice (`- …`) nor `why: …`")));
        }
    }
    if asked.question.is_empty() {
        return Err((1, "it asks nothing".to_owned()));
    }
    if asked.choices.len() < 2 {
        return Err((1, "it needs two choices at least, each on a line `- …`".to_owned()));
    }
    Ok(asked)
}

fn predict(text: &str) -> Result<Block, (usize, String)> {
    let Asked { question, choices, why } = asked(text)?;
    if why.is_some() {
        return Err((1, "a prediction has no `why:`: write an `explain` block".to_owned()));
    }
    Ok(Block::Predict { question, choices: choices.into_iter().map(str::to_owned).collect() })
}

fn quiz(text: &str) -> Result<Block, (usize, String)> {
    let Asked { question, choices, why } = asked(text)?;
    let mut right = Vec::new();
    let mut texts = Vec::new();
    for (at, choice) in choices.into_iter().enumerate() {
        let wrong = choice.strip_prefix("[ ]");
        let Some(text) = wrong.or_else(|| choice.strip_prefix("[x]")) else {
            return Err((1, format!("the choice `{choice}` begins with neither [x] nor [ ]")));
        };
        if wrong.is_none() {
            right.push(at);
        }
        texts.push(text.trim().to_owned());
    }
    let [right] = right[..] else {
        return Err((1, format!("{} choices are right ([x]): expected one", right.len())));
    };
    let Some(why) = why.filter(|why| !why.is_empty()) else {
        return Err((1, "it does not say why: add `why: …` as the last line".to_owned()));
    };
    Ok(Block::Quiz { question, choices: texts, right, why })
}

fn paragraphs(text: &str) -> Vec<String> {
    let joined = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
    text.split("\n\n").map(joined).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiz_has_one_right_answer_and_a_reason() {
        let text = "What is\nit?\n- [ ] one\n- [x] two\nwhy: because\nof it";
        let block = directive("quiz", text).unwrap().unwrap();
        let expected = Block::Quiz {
            question: "What is it?".into(),
            choices: vec!["one".into(), "two".into()],
            right: 1,
            why: "because of it".into(),
        };
        assert_eq!(block, expected);
        for broken in [
            "",
            "q?",
            "q?\n- [x] a",
            "q?\n- [x] a\n- [x] b\nwhy: c",
            "q?\n- [ ] a\n- [ ] b\nwhy: c",
            "q?\n- [x] a\n- [ ] b",
            "q?\n- a\n- b\nwhy: c",
            "q?\n- [x] a\nand then\n- [ ] b\nwhy: c",
            "- [x] a\n- [ ] b\nwhy: c",
            "q?\n- [x] a\n- [ ] b\nwhy:",
        ] {
            assert!(directive("quiz", broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_prediction_gives_no_reason_and_a_result_is_one_of_a_name() {
        assert!(directive("predict", "q?\n- a\n- b").is_ok());
        assert!(directive("predict", "q?\n- a\n- b\nwhy: c").is_err());
        assert!(directive("result", "startup").is_ok());
        for broken in ["startup\nsize", "../startup", "a b", ""] {
            assert!(directive("result", broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_picture_is_one_that_can_be_drawn() {
        let block = directive("picture", "architecture\n").unwrap().unwrap();
        assert_eq!(block, Block::Picture { picture: Picture::Architecture });
        let (line, text) = directive("picture", "\nlandscape").unwrap_err();
        assert!(line == 2 && text.contains("expected architecture"), "{line}: {text}");
        assert!(directive("picture", "architecture\narchitecture").is_err());
        assert!(directive("picture", "").is_err());
    }

    #[test]
    fn other_fences_are_code() {
        assert_eq!(directive("python", "print()").unwrap(), None);
        assert_eq!(directive("", "x").unwrap(), None);
        assert!(directive("run all", "tandem ps").is_err());
    }

    #[test]
    fn the_line_of_a_fault_is_told() {
        let (line, text) = directive("run", "tandem ps\n\ncurl x").unwrap_err();
        assert!(line == 3 && text.contains("`curl`"), "{line}: {text}");
        let (line, _) = directive("check", "image x\nimage").unwrap_err();
        assert_eq!(line, 2);
    }
}
