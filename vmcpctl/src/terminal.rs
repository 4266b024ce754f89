//! What goes to standard output and to terminals: lines that may end early, texts that obey nobody, and as much as fits.

use std::io::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// No text of others is shown wider, whatever a backend calls its tools.
pub(crate) const WIDEST: usize = 120;

/// Data on standard output. Whoever has stopped reading needs no more, and no error.
pub(crate) fn print_line(text: &str) -> std::io::Result<()> {
    Lines::default().line(text)
}

/// Lines on standard output for as long as somebody reads them.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    is_closed: bool,
}

impl Lines {
    /// One more.
    pub(crate) fn line(&mut self, text: &str) -> std::io::Result<()> {
        let mut out = anstream::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }
}

/// How wide the terminal on standard output is, if it is one.
pub(crate) fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// What others have written, without what a terminal would obey: controls, and marks that turn the direction of text.
pub(crate) fn legible(text: &str) -> String {
    let obeys = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().take(WIDEST * 4).map(|c| if obeys(c) { ' ' } else { c }).collect()
}

/// As much of a text as fits into so many cells.
pub(crate) fn cut(cell: &str, width: usize) -> String {
    if cell.width() <= width {
        return cell.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let fits = |c: &char| {
        let width = c.width().unwrap_or_default();
        let is_room = width <= room;
        room = room.saturating_sub(width);
        is_room
    };
    let mut text: String = cell.chars().take_while(fits).collect();
    text.push('…');
    text
}
