//! `.dockerignore`: which files of the context a build does not see
//! (Docker's reference, "Dockerignore files"; the patterns are those of Go's
//! `filepath.Match` with `**` added).

mod glob;

#[cfg(test)]
mod tests;

pub(crate) use glob::{Glob, GlobError};

/// The patterns of an ignore file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    glob: Glob,
    /// `!`: what matches is seen after all.
    exception: bool,
}

impl Ignore {
    /// Reads an ignore file; the error names the line.
    pub(crate) fn parse(text: &str) -> Result<Self, (u32, GlobError)> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (exception, pattern) =
                line.strip_prefix('!').map_or((false, line), |rest| (true, rest.trim()));
            if exception && pattern.is_empty() {
                return Err((number, GlobError::Empty));
            }
            let pattern = clean(pattern);
            if pattern.is_empty() {
                continue;
            }
            rules.push(Rule { glob: Glob::new(&pattern).map_err(|e| (number, e))?, exception });
        }
        Ok(Self { rules })
    }

    /// Whether a path (relative, `/` between components) is left out. The
    /// last rule that matches the path or a folder above it decides.
    pub(crate) fn excludes(&self, path: &str) -> bool {
        let mut excluded = false;
        for rule in &self.rules {
            // A rule that would change nothing need not be tried.
            if rule.exception == excluded && rule.glob.covers(path) {
                excluded = !rule.exception;
            }
        }
        excluded
    }

    /// Whether something below an excluded folder may be seen after all.
    pub(crate) fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.exception)
    }

    /// Whether nothing is left out.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// The pattern as Go's `filepath.Clean` leaves it, without a slash in front:
/// no `.` and no empty components, and `..` only where it leads out of the
/// context, where it matches nothing.
fn clean(pattern: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for component in pattern.split('/') {
        match component {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => _ = kept.pop(),
            ".." if pattern.starts_with('/') => {}
            _ => kept.push(component),
        }
    }
    kept.join("/")
}
