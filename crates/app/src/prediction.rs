//! What people expect of an experiment, and what they make of it afterwards.

use tandem_lab::{LabError, describe};
use tandem_model::{Prediction, ResultDocument};

use crate::{App, AppError};

impl App {
    /// Writes an explanation into a result, beside the prediction that was made
    /// before the run; in place of an earlier one. The result as it is now.
    pub fn explain_result(&self, id: &str, text: &str) -> Result<ResultDocument, AppError> {
        let text = text.trim();
        checked_words("the explanation", text)?;
        let mut result = self.finished_result(id)?;
        if result.predictions.is_empty() {
            let question = describe(&result.experiment).map_or("", |it| it.prediction).to_owned();
            result.predictions.push(Prediction {
                question,
                expected: String::new(),
                explanation: None,
            });
        }
        if let Some(prediction) = result.predictions.last_mut() {
            prediction.explanation = (!text.is_empty()).then(|| text.to_owned());
        }
        result.predictions.retain(|it| !it.expected.is_empty() || it.explanation.is_some());
        self.results()?.replace(&result).map_err(LabError::from)?;
        Ok(result)
    }
}

/// Refuses a text that no result may hold.
pub(crate) fn checked_words(what: &str, text: &str) -> Result<(), AppError> {
    let count = text.chars().count();
    if count <= Prediction::LONGEST {
        return Ok(());
    }
    let longest = Prediction::LONGEST;
    Err(AppError::Usage(format!(
        "{what} has {count} characters, and a result keeps {longest}: write less"
    )))
}
