//! Writes the report of a stored result, to look at it while working on it:
//! `cargo run -p tandem-report --example report -- result.json report/`.

use std::{env, fs, path::Path};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [result, dir] = arguments.as_slice() else {
        return Err("two arguments are needed: the result's file and the report's folder".into());
    };
    let result = serde_json::from_str(&fs::read_to_string(result)?)?;
    tandem_report::write_report(Path::new(dir), &result)?;
    Ok(())
}
