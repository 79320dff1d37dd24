use serde::Serialize;

/// Between two values of a row.
pub(super) const FIELD: char = '\u{1f}';
/// Between two rows.
pub(super) const RECORD: char = '\u{1e}';
/// A value that is not there.
pub(super) const NULL: &str = "\u{1d}";

/// Rows that are shown at most.
const ROWS: usize = 500;

/// What PostgreSQL says to a query.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct QueryAnswer {
    /// What its statements gave, one after the other.
    pub tables: Vec<QueryTable>,
    /// What they did: `CREATE TABLE`, `INSERT 0 2`; and notices.
    pub notes: Vec<String>,
    /// What is wrong with one, in its own words.
    pub error: Option<String>,
    /// It said more than is taken in.
    pub cut: bool,
    /// How long it took, with the start of `psql`.
    #[ts(type = "number")]
    pub elapsed_ns: u64,
}

/// Rows of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct QueryTable {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The first rows; a value that is not there is null.
    pub rows: Vec<Vec<Option<String>>>,
    /// How many rows there are.
    pub count: usize,
}

/// Reads what `psql` writes unaligned with our marks: a header, rows and a
/// count for each statement that gives rows, and a line for any other.
pub(super) fn read(text: &str) -> (Vec<QueryTable>, Vec<String>) {
    let (mut tables, mut notes) = (Vec::new(), Vec::new());
    let mut rest = text;
    while !rest.is_empty() {
        let line = rest.find('\n').unwrap_or(rest.len());
        match rest.find(RECORD) {
            Some(at) if at < line || !is_note(&rest[..line]) => {
                let (table, after) = table(&rest[..at], &rest[at + RECORD.len_utf8()..]);
                tables.push(table);
                rest = after;
            }
            _ => {
                notes.extend(Some(rest[..line].to_owned()).filter(|note| !note.is_empty()));
                rest = rest.get(line + 1..).unwrap_or_default();
            }
        }
    }
    (tables, notes)
}

/// A command's tag has no marks and begins with a capital letter; a column's
/// name with a line break in it is rarer than both.
fn is_note(line: &str) -> bool {
    !line.contains(FIELD) && line.starts_with(|first: char| first.is_ascii_uppercase())
}

/// Rows up to the line that counts them, and what comes after.
fn table<'a>(header: &str, mut rest: &'a str) -> (QueryTable, &'a str) {
    let columns = header.split(FIELD).map(ToOwned::to_owned).collect();
    let (mut rows, mut count) = (Vec::new(), 0);
    loop {
        let footer = format!("({count} row{})", if count == 1 { "" } else { "s" });
        if let Some(after) = rest.strip_prefix(&footer)
            && (after.is_empty() || after.starts_with('\n'))
        {
            return (QueryTable { columns, rows, count }, after.trim_start_matches('\n'));
        }
        let Some(at) = rest.find(RECORD) else {
            // It was cut off.
            return (QueryTable { columns, rows, count }, "");
        };
        if rows.len() < ROWS {
            let value = |text: &str| (text != NULL).then(|| text.to_owned());
            rows.push(rest[..at].split(FIELD).map(value).collect());
        }
        count += 1;
        rest = &rest[at + RECORD.len_utf8()..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(table: &QueryTable) -> Vec<Vec<Option<&str>>> {
        table.rows.iter().map(|row| row.iter().map(Option::as_deref).collect()).collect()
    }

    #[test]
    fn statements_are_told_apart() {
        let text = "CREATE TABLE\nINSERT 0 2\n\
            n\u{1f}word\u{1e}1\u{1f}one\nline\u{1e}2\u{1f}\u{1d}\u{1e}(2 rows)\n\
            count\u{1e}2\u{1e}(1 row)\nDROP TABLE\n";
        let (tables, notes) = read(text);
        assert_eq!(notes, ["CREATE TABLE", "INSERT 0 2", "DROP TABLE"]);
        assert_eq!(tables[0].columns, ["n", "word"]);
        assert_eq!(rows(&tables[0]), [[Some("1"), Some("one\nline")], [Some("2"), None]]);
        assert_eq!((rows(&tables[1]), tables.len()), (vec![vec![Some("2")]], 2));
    }

    #[test]
    fn no_rows_are_a_table_too() {
        let (tables, notes) = read("n\u{1e}(0 rows)\n");
        assert_eq!((tables[0].count, tables[0].rows.len(), notes.len()), (0, 0, 0));
    }

    #[test]
    fn a_value_that_looks_like_a_count_is_a_value() {
        let (tables, _) = read("x\u{1e}(1 row)\u{1e}(1 row)\n");
        assert_eq!(rows(&tables[0]), [[Some("(1 row)")]]);
    }

    #[test]
    fn what_is_cut_off_still_shows() {
        let many = (0..600).map(|n| format!("{n}\u{1e}")).collect::<Vec<_>>().concat();
        let (tables, _) = read(&format!("n\u{1e}{many}60"));
        assert_eq!((tables[0].rows.len(), tables[0].count), (500, 600));
    }
}
