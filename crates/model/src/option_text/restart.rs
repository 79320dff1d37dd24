use super::{ParseOptionError, advice};
use crate::RestartPolicy;

const POLICIES: [&str; 4] = ["no", "always", "unless-stopped", "on-failure"];

/// Reads `no`, `always`, `unless-stopped` or `on-failure[:N]`.
///
/// # Errors
/// What is wrong with the text, one sentence.
pub fn parse_restart_policy(text: &str) -> Result<RestartPolicy, ParseOptionError> {
    let (name, most) = match text.split_once(':') {
        Some((name, most)) => (name, Some(most)),
        None => (text, None),
    };
    match (name, most) {
        ("no", None) => Ok(RestartPolicy::No),
        ("always", None) => Ok(RestartPolicy::Always),
        ("unless-stopped", None) => Ok(RestartPolicy::UnlessStopped),
        ("on-failure", None) => Ok(RestartPolicy::OnFailure { most: None }),
        ("on-failure", Some(most)) => match most.parse() {
            // As in Docker, zero sets no limit.
            Ok(0) => Ok(RestartPolicy::OnFailure { most: None }),
            Ok(most) => Ok(RestartPolicy::OnFailure { most: Some(most) }),
            Err(_) => Err(ParseOptionError::new(format!(
                "`{most}` is no number of restarts: write e.g. on-failure:3"
            ))),
        },
        (name, Some(_)) if POLICIES.contains(&name) => Err(ParseOptionError::new(format!(
            "only on-failure takes a number of restarts: write {name} or on-failure:N"
        ))),
        (name, _) => {
            let advice = advice(name, &POLICIES, &format!("there are {}", POLICIES.join(", ")));
            Err(ParseOptionError::new(format!("`{name}` is no restart policy: {advice}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_slips_are_named() {
        assert_eq!(parse_restart_policy("no"), Ok(RestartPolicy::No));
        assert_eq!(
            parse_restart_policy("on-failure:3"),
            Ok(RestartPolicy::OnFailure { most: Some(3) })
        );
        assert_eq!(parse_restart_policy("on-failure"), Ok(RestartPolicy::OnFailure { most: None }));
        for (text, part) in [
            ("allways", "did you mean always?"),
            ("always:3", "only on-failure"),
            ("on-failure:x", "no number"),
            ("", "there are"),
        ] {
            let error = parse_restart_policy(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
