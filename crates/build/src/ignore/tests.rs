use proptest::prelude::*;

use super::*;

fn ignore(text: &str) -> Ignore {
    Ignore::parse(text).unwrap()
}

#[test]
fn patterns_mean_what_docker_says() {
    for (pattern, path, excluded) in [
        ("*.md", "README.md", true),
        ("*.md", "docs/README.md", false),
        ("**/*.md", "README.md", true),
        ("**/*.md", "docs/deep/README.md", true),
        ("**/md", "xmd", false),
        ("*/temp*", "a/temporary.txt", true),
        ("*/temp*", "a/b/temporary.txt", false),
        ("*/*/temp*", "a/b/temp", true),
        ("temp?", "tempa", true),
        ("temp?", "temp/", false),
        ("node_modules", "node_modules/a/b.js", true),
        ("/foo/bar/", "foo/bar", true),
        ("./foo", "foo", true),
        ("foo", "foobar", false),
        ("a/**", "a/b/c", true),
        ("a/**/z", "a/z", true),
        ("a/**/z", "a/b/c/z", true),
        ("a/**/z", "az", false),
        ("[a-c]x", "bx", true),
        ("[^a-c]x", "bx", false),
        ("\\*", "*", true),
        ("\\*", "x", false),
        (".", "anything", false),
        ("**", "a/b", true),
    ] {
        assert_eq!(ignore(pattern).excludes(path), excluded, "{pattern} {path}");
    }
}

#[test]
fn the_last_match_decides() {
    let text = "# all but one\n*.md\n!README*.md\nREADME-secret.md\n\n  build  \n!build/keep";
    let rules = ignore(text);
    for (path, excluded) in [
        ("a.md", true),
        ("README.md", false),
        ("README-secret.md", true),
        ("build/x", true),
        ("build/keep", false),
        ("build/keep/y", false),
        ("# all but one", false),
    ] {
        assert_eq!(rules.excludes(path), excluded, "{path}");
    }
    assert!(ignore("*\n!app.py").excludes("b") && !ignore("*\n!app.py").excludes("app.py"));
}

#[test]
fn senseless_patterns_are_refused_with_their_line() {
    assert_eq!(Ignore::parse("a\n[b").unwrap_err(), (2, GlobError::Class));
    assert_eq!(Ignore::parse("!").unwrap_err(), (1, GlobError::Empty));
    assert_eq!(Ignore::parse("\na\\").unwrap_err(), (2, GlobError::Escape));
}

/// The definition, tried out by brute force.
fn plain(pattern: &[char], path: &[char]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ['*', '*', '/', rest @ ..] if !rest.is_empty() => {
            plain(rest, path)
                || (0..path.len()).any(|at| path[at] == '/' && plain(rest, &path[at + 1..]))
        }
        ['*', '*', rest @ ..] if rest.is_empty() || rest == ['/'] => true,
        ['*', '*', rest @ ..] => {
            plain(rest, path)
                || (0..path.len()).any(|at| path[at] == '/' && plain(rest, &path[at + 1..]))
        }
        ['*', rest @ ..] => (0..=path.len())
            .take_while(|at| !path[..*at].contains(&'/'))
            .any(|at| plain(rest, &path[at..])),
        ['?', rest @ ..] => path.first().is_some_and(|c| *c != '/') && plain(rest, &path[1..]),
        [c, rest @ ..] => path.first() == Some(c) && plain(rest, &path[1..]),
    }
}

proptest! {
    #[test]
    fn globs_agree_with_their_definition(pattern in "[ab/*?]{0,7}", path in "[ab/]{0,8}") {
        let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), path.chars().collect());
        prop_assert_eq!(Glob::new(&pattern).unwrap().matches(&path), plain(&p, &t));
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*", path in "\\PC*") {
        if let Ok(ignore) = Ignore::parse(&text) {
            ignore.excludes(&path);
        }
    }
}
