//! Aligned tables for terminals.

use std::fmt;

/// Rows under headings. Columns are as wide as their widest cell; numbers stand to the right.
#[derive(Debug, Clone)]
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub fn new(headings: impl Into<Vec<&'static str>>) -> Self {
        Self { headings: headings.into(), rows: Vec::new() }
    }

    /// Adds a row. Control characters are replaced, so that no name can play with the terminal; missing cells are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let clean = |cell: String| cell.chars().map(|c| if c.is_control() { '�' } else { c }).collect();
        let mut cells: Vec<String> = cells.into_iter().map(clean).collect();
        cells.resize(self.headings.len(), String::new());
        self.rows.push(cells);
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.is_empty()).peekable();
        cells.peek().is_some() && cells.all(|cell| cell.bytes().all(|b| b.is_ascii_digit()))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |text: &str| text.chars().count();
        let columns: Vec<(usize, bool)> = (0..self.headings.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell));
                let heading = self.headings.get(column).map_or(0, |heading| width(heading));
                (cells.chain([heading]).max().unwrap_or(0), self.is_numeric(column))
            })
            .collect();
        let mut line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut text = String::new();
            for (cell, (width, right)) in cells.zip(&columns) {
                text.push_str(&if *right { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") });
            }
            writeln!(f, "{}", text.trim_end())
        };
        line(&mut self.headings.iter().copied())?;
        for row in &self.rows {
            line(&mut row.iter().map(String::as_str))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_numbers_stand_right() {
        let mut table = Table::new(["COUNTRY", "OBJECTS"]);
        table.row(["PK".to_owned(), "5".to_owned()]);
        table.row(["SG".to_owned(), "1200".to_owned()]);
        assert_eq!(table.to_string(), "COUNTRY  OBJECTS\nPK             5\nSG          1200\n");
    }

    #[test]
    fn a_name_cannot_control_the_terminal() {
        let mut table = Table::new(["KEY"]);
        table.row(["a\u{1b}[2Jb\n".to_owned()]);
        assert!(!table.to_string().contains('\u{1b}'));
        assert_eq!(table.to_string().lines().count(), 2);
    }
}
