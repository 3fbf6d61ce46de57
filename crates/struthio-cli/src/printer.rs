//! The one place that writes to the terminal: data on standard output, talk on standard error.

use std::io::Write;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::args::Format;

pub struct Printer {
    format: Format,
    quiet: bool,
}

impl Printer {
    pub fn new(format: Format, quiet: bool) -> Self {
        Self { format, quiet }
    }

    /// Prints a result: `text` or, if asked for, `json`.
    pub fn result(&self, json: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        let out = match self.format {
            Format::Text => text(),
            Format::Json => serde_json::to_string_pretty(json).context("cannot write JSON")?,
        };
        match writeln!(std::io::stdout(), "{}", out.trim_end()) {
            // Whoever reads us (`head`, say) has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            written => written.context("cannot write to standard output"),
        }
    }

    /// A remark.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            say(&format!("note: {text}"));
        }
    }

    /// A line about something done.
    pub fn done(&self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }

    /// A progress bar called `name`; invisible where nobody would see it.
    pub fn bar(&self, name: &str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(
            Some(0),
            if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(8) },
        );
        let template = "{prefix:<24} {bar:24} {percent:>3} %  {msg}  {eta} left";
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(250));
        bar
    }
}

/// A progress bar for what is usually over at once: it appears after two seconds.
pub struct LateBar<'a> {
    printer: &'a Printer,
    name: &'a str,
    started: Instant,
    bar: OnceLock<ProgressBar>,
}

impl<'a> LateBar<'a> {
    const PATIENCE: Duration = Duration::from_secs(2);

    pub fn new(printer: &'a Printer, name: &'a str) -> Self {
        Self { printer, name, started: Instant::now(), bar: OnceLock::new() }
    }

    /// From any thread: `done` of `total` are done.
    pub fn show(&self, done: usize, total: usize) {
        if self.started.elapsed() > Self::PATIENCE {
            let bar = self.bar.get_or_init(|| self.printer.bar(self.name));
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
    }
}

impl Drop for LateBar<'_> {
    fn drop(&mut self) {
        self.bar.get().inspect(|bar| bar.finish_and_clear());
    }
}

/// A line on standard error; nobody can be told if that is closed.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// `1 image`, `2 images`
pub fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Says that stored results were damaged.
pub fn damaged_before(images: usize) -> String {
    format!(
        "stored results are damaged; {} attacked again",
        if images == 1 { "1 image is".into() } else { format!("{images} images are") }
    )
}

/// A table in plain text: the first column to the left, the others to the right.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..header.len())
        .map(|i| {
            rows.iter()
                .map(|row| row[i].chars().count())
                .chain([header[i].chars().count()])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).enumerate().map(|(i, (cell, width))| {
            if i == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(header.to_vec())];
    lines.push(widths.iter().map(|&width| "─".repeat(width)).collect::<Vec<_>>().join("  "));
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let rows = vec![vec!["a".into(), "10.5".into()], vec!["longer".into(), "—".into()]];
        assert_eq!(table(&["name", "%"], &rows), "name       %\n──────  ────\na       10.5\nlonger     —");
    }
}
