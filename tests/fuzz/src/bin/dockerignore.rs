#![no_main]
//! Ignore files: the first line is the path that is asked for.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = tandem_fuzz::text(data);
    let (path, rules) = text.split_once('\n').unwrap_or(("a/b.c", &text));
    let excluded = tandem_build::fuzz::excludes(rules, path);
    // A last rule for everything decides.
    if excluded.is_some() && !path.is_empty() {
        let all = tandem_build::fuzz::excludes(&format!("{rules}\n**"), path);
        assert_eq!(all, Some(true));
        let none = tandem_build::fuzz::excludes(&format!("{rules}\n!**"), path);
        assert_eq!(none, Some(false));
    }
});
