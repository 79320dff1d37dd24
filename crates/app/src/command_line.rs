use crate::ExperimentRequest;

impl ExperimentRequest {
    /// The `tandem compare` that does the same. Settings that stand at their
    /// defaults are left out.
    pub fn compare_command(&self) -> String {
        let defaults = Self::compare(&self.subject);
        let mut words = vec!["tandem".to_owned(), "compare".to_owned(), quote(&self.subject)];
        if self.lanes != defaults.lanes {
            let lanes: Vec<_> = self.lanes.iter().map(ToString::to_string).collect();
            words.extend(["--lanes".to_owned(), lanes.join(",")]);
        }
        words.extend(["--trials".to_owned(), self.trials.to_string()]);
        if self.warmup != defaults.warmup {
            words.extend(["--warmup".to_owned(), self.warmup.to_string()]);
        }
        if let Some(seed) = self.seed {
            words.extend(["--seed".to_owned(), seed.to_string()]);
        }
        if self.resources.memory_bytes != defaults.resources.memory_bytes
            && let Some(bytes) = self.resources.memory_bytes
        {
            words.extend(["--memory".to_owned(), format!("{}m", bytes >> 20)]);
        }
        if self.resources.milli_cpus != defaults.resources.milli_cpus
            && let Some(milli) = self.resources.milli_cpus
        {
            words.extend(["--cpus".to_owned(), (f64::from(milli) / 1000.0).to_string()]);
        }
        if let Some(port) = self.port {
            words.extend(["--port".to_owned(), port.to_string()]);
        }
        if self.time_limit_s != defaults.time_limit_s {
            words.extend(["--time-limit".to_owned(), self.time_limit_s.to_string()]);
        }
        if self.keep {
            words.push("--keep".to_owned());
        }
        words.join(" ")
    }
}

/// A word as a POSIX shell reads it back; the person's home stays `~/`. The
/// page does the same (`ui/src/lib/command.ts`).
fn quote(word: &str) -> String {
    if let Some(rest) = word.strip_prefix("~/").filter(|rest| !rest.is_empty()) {
        return format!("~/{}", quote(rest));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Read by the page's tests too.
    const SHARED: &str = include_str!("../../../ui/src/lib/commands.json");

    #[test]
    fn words_are_quoted_as_the_page_does_it() {
        let shared: serde_json::Value = serde_json::from_str(SHARED).unwrap();
        let cases = shared["quoted"].as_array().unwrap();
        assert!(cases.len() > 5);
        for case in cases {
            let [word, quoted] = [0, 1].map(|at| case[at].as_str().unwrap());
            assert_eq!(quote(word), quoted);
        }
    }

    #[test]
    fn only_what_differs_from_the_defaults_is_written() {
        let mut request = ExperimentRequest::compare("hello-flask");
        request.trials = 5;
        assert_eq!(request.compare_command(), "tandem compare hello-flask --trials 5");
        request.subject = "my app's".to_owned();
        request.resources.milli_cpus = Some(1500);
        request.keep = true;
        assert_eq!(
            request.compare_command(),
            r"tandem compare 'my app'\''s' --trials 5 --cpus 1.5 --keep"
        );
    }
}
