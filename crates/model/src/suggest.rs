/// The candidate that differs least from what was written, when it differs by
/// no more than a slip of the finger would (Damerau–Levenshtein distance of at
/// most 2, and less than half of the word).
pub fn closest<'a>(written: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let written = written.to_lowercase();
    candidates
        .iter()
        .map(|candidate| (distance(&written, &candidate.to_lowercase()), *candidate))
        .filter(|(distance, candidate)| *distance <= 2 && distance * 2 <= candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `: did you mean X?`, or nothing.
pub fn did_you_mean(written: &str, candidates: &[&str]) -> String {
    closest(written, candidates).map_or_else(String::new, |it| format!(": did you mean {it}?"))
}

/// Optimal string alignment distance: edits, with a swap of neighbours as one.
fn distance(a: &str, b: &str) -> usize {
    // A longer word is no slip of a keyword; this also bounds the work.
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX / 4;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best =
                (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let names = ["RUN", "COPY", "ENTRYPOINT", "ENV", "ADD"];
        assert_eq!(closest("RUNN", &names), Some("RUN"));
        assert_eq!(closest("copz", &names), Some("COPY"));
        assert_eq!(closest("ENTRYPIONT", &names), Some("ENTRYPOINT"));
        assert_eq!(closest("NEV", &names), Some("ENV"));
        assert_eq!(closest("INSTALL", &names), None);
        assert_eq!(closest("X", &names), None);
    }
}
