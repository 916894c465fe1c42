//! How results are shown: lines, tables and colour on standard output, remarks on standard error.

use anyhow::Result;
use std::fmt;
use std::io::{self, IsTerminal, Write};

/// Writes a line of data.
pub(crate) fn line(text: fmt::Arguments<'_>) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Says something that is not data.
pub(crate) fn note(text: fmt::Arguments<'_>) {
    // Where it cannot be said there is nobody to hear it.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes rows under their headings, in columns as wide as they need.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        let heading = headings.get(column).map_or(0, |heading| heading.chars().count());
        cells.max().unwrap_or(0).max(heading)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let row_of = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    line(format_args!("{}", bold(&row_of(&mut headings.iter().copied()))))?;
    for row in rows {
        line(format_args!("{}", row_of(&mut row.iter().map(String::as_str))))?;
    }
    Ok(())
}

/// A word that is good news, or bad.
pub(crate) fn verdict(is_good: bool, text: &str) -> String {
    coloured(if is_good { "32" } else { "31" }, text)
}

fn bold(text: &str) -> String {
    coloured("1", text)
}

fn coloured(code: &str, text: &str) -> String {
    if io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
