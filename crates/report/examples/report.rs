//! Writes the report of a stored result, its pages and its pictures, to look
//! at them while working on them:
//! `cargo run -p tandem-report --example report -- result.json report/`.

use std::{env, fs, path::Path};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [result, dir] = arguments.as_slice() else {
        return Err("two arguments are needed: the result's file and the report's folder".into());
    };
    let result = serde_json::from_str(&fs::read_to_string(result)?)?;
    let dir = Path::new(dir);
    tandem_report::write_report(dir, &result)?;
    fs::write(dir.join("report.pdf"), tandem_report::report_pdf(&result)?)?;
    for theme in tandem_report::Theme::ALL {
        let name = format!("charts-{}.png", theme.as_str());
        fs::write(dir.join(name), tandem_report::report_png(&result, theme)?)?;
    }
    Ok(())
}
