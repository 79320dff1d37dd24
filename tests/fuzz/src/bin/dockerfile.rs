#![no_main]
//! Dockerfiles: parsed, and every line of them expanded as a word.

use libfuzzer_sys::fuzz_target;

/// No honest word becomes longer than this, here where values are short.
const LONGEST: usize = 4 << 20;

fuzz_target!(|data: &[u8]| {
    let text = tandem_fuzz::text(data);
    let escape = match tandem_build::parse::parse("Dockerfile", &text) {
        Ok(file) => file.escape,
        Err(e) => {
            assert!(!e.to_string().is_empty());
            '\\'
        }
    };
    let lookup = |name: &str| match name {
        "EMPTY" => Some(String::new()),
        "NOT" => None,
        name => Some(format!("{name}/a b.c")),
    };
    for line in text.lines() {
        for expanded in tandem_build::fuzz::expand(line, escape, &lookup).into_iter().flatten() {
            assert!(expanded.len() <= LONGEST, "{} bytes from {}", expanded.len(), line.len());
        }
        tandem_build::fuzz::parse_trigger(line);
    }
});
