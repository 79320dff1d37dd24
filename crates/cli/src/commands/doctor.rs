use tandem_model::{Capability, CapabilityStatus};

use super::{Context, mend};
use crate::{
    grammar::Json,
    output::{json, line},
};

pub(super) async fn run(context: &Context, fix: bool, wanted: Json) -> anyhow::Result<u8> {
    let mut findings = context.app.doctor().await;
    let mended = if fix {
        let mended = mend::mend(context, &findings).await;
        findings = context.app.doctor().await;
        mended
    } else {
        Ok(())
    };
    show(context, &findings, wanted)?;
    mended.map(|()| 0)
}

fn show(context: &Context, findings: &[Capability], wanted: Json) -> anyhow::Result<()> {
    if wanted.json {
        return json(&findings);
    }
    let width = findings.iter().map(|finding| finding.id.len()).max().unwrap_or_default();
    for finding in findings {
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
    Ok(())
}
