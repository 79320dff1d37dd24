#![no_main]
//! Lessons from anybody.

use libfuzzer_sys::fuzz_target;
use tandem_lesson::{Check, Command, parse};

fuzz_target!(|data: &[u8]| {
    let text = tandem_fuzz::text(data);
    match parse("own", &text) {
        Ok(lesson) => {
            assert!(lesson.links().all(|link| link.starts_with("http")));
            tandem_fuzz::survives_json(&lesson);
        }
        Err(e) => assert!(e.line >= 1 && e.line <= text.matches('\n').count() + 1, "{e}"),
    }
    for line in text.lines() {
        let _ = line.parse::<Check>().as_ref().map(tandem_fuzz::survives_json);
        let Ok(command) = line.parse::<Command>() else { continue };
        let again = shlex::try_join(command.arguments.iter().map(String::as_str));
        let Ok(again) = again.map(|words| format!("tandem {words}")) else { continue };
        assert_eq!(again.parse(), Ok(command));
    }
});
