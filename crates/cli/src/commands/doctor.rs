use tandem_model::CapabilityStatus;

use super::Context;
use crate::{
    grammar::Json,
    output::{json, line},
};

pub(super) async fn run(context: &Context, wanted: Json) -> anyhow::Result<u8> {
    let findings = context.app.doctor().await;
    if wanted.json {
        json(&findings)?;
        return Ok(0);
    }
    let width = findings.iter().map(|finding| finding.id.len()).max().unwrap_or_default();
    for finding in &findings {
        let (word, color) = match finding.status {
            CapabilityStatus::Ok => ("ok     ", "32"),
            CapabilityStatus::Limited => ("limited", "33"),
            CapabilityStatus::Missing => ("missing", "31"),
        };
        let word =
            if context.color { format!("\x1b[{color}m{word}\x1b[0m") } else { word.to_owned() };
        line(&format!("{word}  {:<width$}  {}", finding.id, finding.detail));
        if let Some(fix) = &finding.fix {
            line(&format!("         {:<width$}  mend it: {fix}", ""));
        }
    }
    Ok(0)
}
