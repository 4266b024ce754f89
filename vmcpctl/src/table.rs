//! Columns that fit the terminal.

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use crate::terminal::{WIDEST, cut, legible};

/// Rows of cells below a heading; each row has a style.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<(Style, Vec<String>)>,
}

/// Between two columns.
const GAP: usize = 2;

impl Table {
    pub(crate) fn new(heading: &[&str]) -> Self {
        let heading = heading.iter().map(|cell| (*cell).to_owned()).collect();
        Self { rows: vec![(Style::new().bold(), heading)] }
    }

    /// Whether there is nothing but a heading.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    pub(crate) fn row(&mut self, style: Style, cells: Vec<String>) {
        let cells = cells.iter().map(|cell| cut(&legible(cell), WIDEST));
        self.rows.push((style, cells.collect()));
    }

    /// The table on lines that are at most so wide: the widest columns give way.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        let columns = self.rows.iter().map(|(_, cells)| cells.len()).max().unwrap_or_default();
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|(_, cells)| cells.get(column));
            cells.map(|cell| cell.width()).max().unwrap_or_default()
        };
        let widths = fit((0..columns).map(widest).collect(), width);
        let mut text = String::new();
        for (style, cells) in &self.rows {
            let mut line = String::new();
            for (cell, width) in cells.iter().zip(&widths) {
                let cell = cut(cell, *width);
                let padding = width.saturating_sub(cell.width()) + GAP;
                line.push_str(&cell);
                line.extend(std::iter::repeat_n(' ', padding));
            }
            text.push_str(&format!("{style}{}{style:#}\n", line.trim_end()));
        }
        text
    }
}

/// Takes from the widest column until all fit.
fn fit(mut widths: Vec<usize>, limit: Option<usize>) -> Vec<usize> {
    const NARROWEST: usize = 8;
    let Some(limit) = limit else { return widths };
    let room = limit.saturating_sub(GAP * widths.len().saturating_sub(1));
    while widths.iter().sum::<usize>() > room {
        match widths.iter_mut().max().filter(|width| **width > NARROWEST) {
            Some(widest) => *widest -= 1,
            None => break,
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_and_no_wider_than_there_is_room() {
        let mut table = Table::new(&["NAME", "WHY"]);
        table.row(Style::new(), vec!["a_long_name_indeed".into(), "be\ncause".into()]);
        let plain = |width| anstream::adapter::strip_str(&table.render(width)).to_string();
        assert_eq!(plain(None), "NAME                WHY\na_long_name_indeed  be cause\n");
        assert_eq!(plain(Some(20)), "NAME        WHY\na_long_na…  be cause\n");
        assert_eq!(
            plain(Some(1)),
            "NAME      WHY\na_long_…  be cause\n",
            "narrower than that nothing can be read"
        );
        assert_eq!(cut("日本語", 4), "日…", "cells, not characters");
    }
}
