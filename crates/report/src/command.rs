use std::fmt::Write as _;

use tandem_model::ResultDocument;

/// The command that makes a result like this one: same subject, lanes,
/// trials, limits and seed. What a person named is quoted for a POSIX shell.
pub fn equivalent_command(result: &ResultDocument) -> String {
    let lanes: Vec<&str> = result
        .lanes
        .iter()
        .map(|lane| lane.id.split_once('#').map_or(lane.id.as_str(), |(lane, _)| lane))
        .collect();
    let subject = quote(&subject(&result.subject.name));
    let mut command = if result.experiment == "compare" {
        format!("tandem compare {subject}")
    } else {
        format!("tandem experiment run {} --subject {subject}", quote(&result.experiment))
    };
    let design = &result.design;
    let _ = write!(command, " --lanes {} --trials {}", quote(&lanes.join(",")), design.trials);
    if design.warmup > 0 {
        let _ = write!(command, " --warmup {}", design.warmup);
    }
    let _ = write!(command, " --seed {}", design.seed);
    if let Some(lane) = result.lanes.first() {
        if let Some(bytes) = lane.resources.memory_bytes {
            let mebibytes = bytes >> 20;
            let size = if mebibytes << 20 == bytes {
                format!("{mebibytes}m")
            } else {
                format!("{bytes}b")
            };
            let _ = write!(command, " --memory {size}");
        }
        if let Some(milli) = lane.resources.milli_cpus {
            let _ = write!(command, " --cpus {}", f64::from(milli) / 1000.0);
        }
    }
    command
}

/// What a person named, as an argument: one that begins with a dash can only
/// be a folder, and would be read as an option.
fn subject(name: &str) -> String {
    let steers =
        |c: &char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let name: String = name.chars().filter(|c| !steers(c)).collect();
    if name.starts_with('-') { format!("./{name}") } else { name }
}

/// A word as a POSIX shell reads it back (POSIX.1-2024, "Single-Quotes").
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
