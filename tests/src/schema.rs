use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The contract of result documents, as other programs have it.
const RESULT: &str = include_str!("../fixtures/result-1.schema.json");

/// An error that names every place where `document` breaks the contract.
pub fn validate_result(document: &Value) -> Result<()> {
    let schema: Value = serde_json::from_str(RESULT).context("the schema itself")?;
    let validator = jsonschema::validator_for(&schema).context("the schema itself")?;
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    if !errors.is_empty() {
        bail!("the document breaks the schema:\n{}", errors.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_that_lacks_its_parts_is_refused() {
        let error = validate_result(&json!({ "schema": "tandem.result/2" })).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("/schema") && text.contains("trials"), "{text}");
    }
}
