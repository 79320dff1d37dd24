//! Who holds the rights, as the files beside a source say.

use std::{fs, path::Path};

/// Beginnings of names of files that say it.
const FILES: [&str; 6] = ["licen", "copying", "copyright", "unlicense", "notice", "authors"];

/// Lines of the licence texts themselves that begin with the word, and the
/// blanks of their forms.
const NOT_A_HOLDER: [&str; 8] =
    ["notice", "license", "licence", "holder", "owner", "[yyyy]", "{yyyy}", "[year]"];

/// Statements of copyright in the files of `folder`; without any, `authors`
/// as the manifest names them.
pub(super) fn of(folder: &Path, name: &str, authors: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = texts(folder, &FILES).iter().flat_map(|it| stated(it)).collect();
    if found.is_empty() {
        found = authors.iter().map(|author| without_address(author)).collect();
    }
    if found.is_empty() {
        found.push(format!("The authors of {name}"));
    }
    found.sort();
    found.dedup();
    found
}

/// The text of a `NOTICE` that the Apache License asks to pass on.
pub(super) fn notice(folder: &Path) -> Option<String> {
    texts(folder, &["notice"]).into_iter().next()
}

fn texts(folder: &Path, beginnings: &[&str]) -> Vec<String> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().to_lowercase();
            beginnings.iter().any(|beginning| name.starts_with(beginning))
        })
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths.iter().filter_map(|path| fs::read_to_string(path).ok()).collect()
}

fn stated(text: &str) -> Vec<String> {
    text.lines().filter_map(statement).collect()
}

/// `// Copyright (c) 2015-2016 Brian Smith.` is `2015-2016 Brian Smith`.
fn statement(line: &str) -> Option<String> {
    let line = line.trim_start_matches([' ', '\t', '/', '#', '*', '-', '|', '>']);
    let word = line.get(.."copyright".len())?;
    if !word.eq_ignore_ascii_case("copyright") {
        return None;
    }
    let mut rest = line[word.len()..].trim();
    for mark in ["(c)", "(C)", "©", "&copy;", ":", "(c)", "©"] {
        rest = rest.strip_prefix(mark).map_or(rest, str::trim);
    }
    let rest = rest.split("All rights reserved").next().unwrap_or(rest);
    let rest = rest.trim_end_matches([' ', '.', ',', '*', '/']).to_owned();
    let lower = rest.to_lowercase();
    let dated = rest.contains(|c: char| c.is_ascii_digit());
    let named = line.len() > rest.len() && rest.contains(char::is_alphabetic);
    let form = NOT_A_HOLDER.iter().any(|word| lower.contains(word));
    (named && !form && (dated || line.to_lowercase().contains("(c)"))).then_some(rest)
}

fn without_address(author: &str) -> String {
    author.split('<').next().unwrap_or(author).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_from_the_words_of_licences() {
        for (line, expected) in [
            ("Copyright (c) 2014 Alex Crichton", "2014 Alex Crichton"),
            ("// Copyright 2015-2016 Brian Smith.", "2015-2016 Brian Smith"),
            ("    Copyright © 2020-2024 Unicode, Inc.", "2020-2024 Unicode, Inc"),
            (
                "Copyright (c) Meta Platforms, Inc. and affiliates. All rights reserved.",
                "Meta Platforms, Inc. and affiliates",
            ),
            ("Copyright: 2016 A", "2016 A"),
        ] {
            assert_eq!(statement(line).as_deref(), Some(expected), "{line}");
        }
        for line in [
            "copyright notice, this list of conditions and the following disclaimer",
            "Copyright [yyyy] [name of copyright owner]",
            "COPYRIGHT AND PERMISSION NOTICE",
            "COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM",
            "Redistributions of source code must retain the above",
            "",
        ] {
            assert_eq!(statement(line), None, "{line}");
        }
    }

    #[test]
    fn without_a_statement_the_authors_are_named() {
        let nowhere = Path::new("/nonexistent");
        assert_eq!(of(nowhere, "x", &["Ada <ada@example.org>", "Bo"]), ["Ada", "Bo"]);
        assert_eq!(of(nowhere, "x", &[]), ["The authors of x"]);
    }
}
