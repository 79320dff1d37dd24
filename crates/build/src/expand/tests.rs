use proptest::prelude::*;

use super::*;

fn lookup(name: &str) -> Option<String> {
    match name {
        "A" => Some("one".into()),
        "EMPTY" => Some(String::new()),
        "SPACED" => Some("x  y".into()),
        "FILE" => Some("dir/archive.tar.gz".into()),
        _ => None,
    }
}

fn done(word: &str) -> String {
    expand(word, '\\', &lookup).unwrap()
}

#[test]
fn the_forms_of_the_reference() {
    for (word, result) in [
        ("$A", "one"),
        ("${A}x", "onex"),
        ("$Ax", ""),
        ("$A/$A", "one/one"),
        ("\\$A", "$A"),
        ("'$A'", "$A"),
        ("\"$A b\"", "one b"),
        ("\"\\$A \\\" \\n\"", "$A \" \\n"),
        ("a\\ b", "a b"),
        ("$", "$"),
        ("$%", "$%"),
        ("${B:-two}", "two"),
        ("${A:-two}", "one"),
        ("${EMPTY:-two}", "two"),
        ("${EMPTY-two}", ""),
        ("${A:+two}", "two"),
        ("${EMPTY:+two}", ""),
        ("${EMPTY+two}", "two"),
        ("${B:+two}", ""),
        ("${B:-$A}", "one"),
        ("${B:-${C:-'a}b'}}", "a}b"),
        ("${A:?no}", "one"),
        ("${FILE#*/}", "archive.tar.gz"),
        ("${FILE##*.}", "gz"),
        ("${FILE%.*}", "dir/archive.tar"),
        ("${FILE%%.*}", "dir/archive"),
        ("${FILE/a?/X}", "dir/Xchive.tar.gz"),
        ("${FILE//r/R}", "diR/aRchive.taR.gz"),
        ("${FILE//r/}", "di/achive.ta.gz"),
        ("${FILE///}", "dir/archive.tar.gz"),
        // The two that would end a pattern, and what comes in its place.
        ("${FILE/\\//}", "dirarchive.tar.gz"),
        ("${FILE/\\//\\/}", "dir\\/archive.tar.gz"),
        ("${B:-{\\}}${FILE#\\}}", "{}dir/archive.tar.gz"),
        // Quotes are taken away first.
        ("${FILE%'.gz'}", "dir/archive.tar"),
        ("${FILE%%\".tar\"*}", "dir/archive"),
        ("${FILE/'r/a'/\"$A b\"}", "dione brchive.tar.gz"),
        ("${FILE#d\\*}", "dir/archive.tar.gz"),
        ("$Ä.", "."),
    ] {
        assert_eq!(done(word), result, "{word}");
    }
}

#[test]
fn what_has_no_end_is_refused() {
    for (word, message) in [
        ("${A", "`${A` has no end: expected `}`"),
        ("${A:-b", "`${` has no end: expected `}`"),
        ("'a", "a single quote has no end: expected a second '"),
        ("\"a", "a double quote has no end: expected a second \""),
        ("${}", "`${` lacks a variable's name: expected e.g. ${VERSION}"),
        ("${A!}", "`${A` is followed by `!`: expected `}`, `:-`, `:+`, `:?`, `#`, `%` or `/`"),
        ("${FILE//r}", "`${…/` has no second `/`: expected ${NAME/pattern/replacement}"),
        ("${B:?set it}", "`B`: set it"),
        ("${B?}", "`B` is not set"),
    ] {
        assert_eq!(expand(word, '\\', &lookup).unwrap_err().message, message);
    }
    for (word, what) in [("${FILE%\\.gz}", "`\\.`"), ("${FILE/\\a/b}", "`\\a`")] {
        let message = expand(word, '\\', &lookup).unwrap_err().message;
        assert!(message.starts_with(&format!("{what} stands for nothing")), "{message}");
    }
    let deep = "${B:-".repeat(200) + &"}".repeat(200);
    assert!(expand(&deep, '\\', &lookup).is_err());
}

#[test]
fn values_do_not_multiply_without_end() {
    let many = |name: &str| Some(if name == "A" { "a".repeat(100) } else { "b".repeat(99_999) });
    let expand = |word: &str| expand(word, '\\', &many).map_err(|e| e.message);
    assert_eq!(expand("${A//a/$A}").unwrap().len(), 10_000);
    for word in ["${A//a/${A//a/${A//a/$A}}}", "$B$B", "\"$B$B\"", "${A#$B$B}", "${B//b/$A}"] {
        assert!(expand(word).unwrap_err().contains("longer than 128 KiB"), "{word}");
    }
    assert!(expand("${B#$B}").unwrap_err().contains("too long to be compared"));
    // No match anywhere costs no more than one.
    assert_eq!(expand("${B//b*c/x}").unwrap().len(), 99_999);
}

proptest! {
    #[test]
    fn replacing_agrees_with_its_definition(value in "[ab]{0,8}", pattern in "[ab?*]{0,4}") {
        let read = Pattern::read(&pattern).unwrap();
        let mut expected = String::new();
        let mut rest = value.as_str();
        while !rest.is_empty() {
            // The longest beginning that the whole pattern matches.
            let fits = |end: &usize| {
                let whole = read.strip_prefix(&rest[..*end], true);
                whole.is_empty()
            };
            match (1..=rest.len()).rev().find(fits) {
                Some(end) => {
                    expected.push('x');
                    rest = &rest[end..];
                }
                None => {
                    expected.push_str(&rest[..1]);
                    rest = &rest[1..];
                }
            }
        }
        prop_assert_eq!(read.replace(&value, "x", true, 99), expected);
    }
}

#[test]
fn words_split_where_the_shell_would() {
    let words = |text| expand_words(text, '\\', &lookup).unwrap();
    assert_eq!(words("a $SPACED"), ["a", "x", "y"]);
    assert_eq!(words("\"$SPACED\" '' b\\ c"), ["x  y", "", "b c"]);
    assert_eq!(words("$EMPTY $B"), [""; 0]);
}

#[test]
fn documents_keep_their_quotes_and_lose_their_backslashes() {
    for (text, result) in [
        ("\"$A\" '${A}' \\$A", "\"one\" 'one' $A"),
        ("location ~ \\.php$ \\\\n", "location ~ .php$ \\n"),
        ("a \\\nb ` $A", "a \nb ` one"),
        ("${B:-\"$A\"}", "\"one\""),
    ] {
        assert_eq!(expand_document(text, &lookup).unwrap(), result);
    }
}

proptest! {
    #[test]
    fn plain_text_stays(text in "[a-z0-9 /:=.,ü-]*") {
        prop_assert_eq!(done(&text), text);
    }

    #[test]
    fn quoting_any_text_gives_it_back(text in "\\PC*") {
        let single = format!("'{}'", text.replace('\'', "'\\''"));
        prop_assert_eq!(done(&single), text.clone());
        let escaped: String = text.chars().flat_map(|c| ['\\', c]).collect();
        prop_assert_eq!(done(&escaped), text.clone());
        let double = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$"));
        prop_assert_eq!(done(&double), text);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-zA\"'$\\\\{}:#%/*?+-]{0,24}") {
        let _ = expand(&text, '\\', &lookup);
        let _ = expand_words(&text, '`', &lookup);
    }
}
