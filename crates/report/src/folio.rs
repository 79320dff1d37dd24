//! Charts and tables of the caller's as one document: what is told of several
//! results together.

use std::fmt::Write as _;

use crate::{
    chart::{NamedChart, Table},
    html,
    rows::line,
    text::escape,
};

/// A document of sections.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Folio {
    /// What it is about.
    pub title: String,
    /// What a reader must know before all, a sentence.
    pub about: String,
    /// Its parts.
    pub sections: Vec<FolioSection>,
}

/// A part of a [`Folio`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FolioSection {
    /// Its heading.
    pub title: String,
    /// What a reader must know of it, a sentence each.
    pub notes: Vec<String>,
    /// Its charts, for light and for dark ground.
    pub charts: Vec<[NamedChart; 2]>,
    /// Its tables.
    pub tables: Vec<Table>,
}

/// The document as one HTML file: nothing is loaded and nothing runs, as in
/// [`crate::report_html`].
pub fn folio_html(folio: &Folio) -> String {
    let mut page = html::begin(&folio.title);
    let _ = write!(
        page,
        "<header><h1>{}</h1>\n<p class=\"soft\">{}</p></header>\n",
        escape(&folio.title),
        escape(&folio.about)
    );
    for section in &folio.sections {
        let _ = writeln!(page, "<section><h2>{}</h2>", escape(&section.title));
        html::list(&mut page, &section.notes);
        for table in &section.tables {
            page.push_str(&html::table(table));
        }
        page.push_str("</section>\n");
        for [light, dark] in &section.charts {
            html::chart(&mut page, light, dark);
        }
    }
    html::end(&mut page);
    page
}

/// The document as Markdown: its notes and tables.
pub fn folio_markdown(folio: &Folio) -> String {
    let mut out = format!("# {}\n\n{}\n", line(&folio.title), line(&folio.about));
    for section in &folio.sections {
        let _ = writeln!(out, "\n## {}\n", line(&section.title));
        for note in &section.notes {
            let _ = writeln!(out, "- {}", line(note));
        }
        for table in &section.tables {
            let row = |cells: &[String]| {
                let cells: Vec<_> = cells.iter().map(|cell| line(cell)).collect();
                format!("| {} |\n", cells.join(" | "))
            };
            let _ = write!(out, "\n{}\n\n{}", line(&table.caption), row(&table.header));
            let _ = writeln!(out, "|{}", "---|".repeat(table.header.len()));
            for cells in &table.rows {
                out.push_str(&row(cells));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folio() -> Folio {
        let mut table = Table::new("a <caption>", &["Lane", "n"]);
        table.rows.push(vec!["container | x".to_owned(), "3".to_owned()]);
        let section = FolioSection {
            title: "startup & more".to_owned(),
            notes: vec!["one <machine>".to_owned()],
            charts: Vec::new(),
            tables: vec![table],
        };
        Folio { title: "<Class>".to_owned(), about: "all".to_owned(), sections: vec![section] }
    }

    #[test]
    fn what_is_foreign_is_escaped_and_nothing_is_loaded() {
        let page = folio_html(&folio());
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
        assert!(page.contains("default-src 'none'") && page.contains("startup &amp; more"));
        for raw in ["<Class>", "<machine>", "a <caption>", "<script", "://", "src="] {
            assert!(!page.contains(raw), "{raw}");
        }
    }

    #[test]
    fn markdown_has_every_row() {
        let text = folio_markdown(&folio());
        assert!(text.contains("| Lane | n |\n|---|---|\n| container \\| x | 3 |"), "{text}");
    }
}
