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
    let subject = quote(&result.subject.name);
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

/// A word as a POSIX shell reads it back (POSIX.1-2024, "Single-Quotes").
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
