//! The one place that writes to the terminal: data on standard output, talk on standard error.

use std::io::Write;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
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

    /// A progress bar called `name`; invisible where nobody would see it. What is left is told from what is done.
    pub fn bar(&self, name: &str) -> ProgressBar {
        self.bar_with(name, "{prefix:<24} {bar:24} {share:>5}  {msg}{left}")
    }

    /// A progress bar for the work on so many `images`, told by whoever knows what is left.
    pub fn work_bar(&self, name: &str, images: usize) -> WorkBar {
        let bar = self.bar_with(name, "{prefix:<24} {bar:24} {share:>5}  {msg}");
        bar.set_length(WorkBar::STEPS);
        WorkBar { bar, images, state: Mutex::default() }
    }

    fn bar_with(&self, name: &str, template: &str) -> ProgressBar {
        let target =
            if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(8) };
        let bar = ProgressBar::with_draw_target(None, target);
        let known = |state: &ProgressState| state.len().as_ref().is_some_and(|&len| len > 0);
        let share = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            if known(state) {
                let _ = write!(out, "{:.0} %", 100.0 * state.fraction()); // a bar is not worth an error
            }
        };
        let left = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let is_under_way = state.pos() > 0 && state.len().is_some_and(|len| state.pos() < len);
            if is_under_way && state.elapsed() > Duration::from_secs(1) {
                let _ = write!(out, "  about {} left", duration(state.eta()));
            }
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.with_key("share", share).with_key("left", left));
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(250));
        bar
    }
}

/// Shows how far searches for many images have come.
pub struct WorkBar {
    bar: ProgressBar,
    images: usize,
    /// Images done, and the time that the rest will take, once it is known.
    state: Mutex<(usize, Option<Duration>)>,
}

impl WorkBar {
    const STEPS: u64 = 1000;

    /// So many images are done.
    pub fn done(&self, images: usize) {
        self.update(|state| state.0 = images);
    }

    /// This share of the work on the last `images` is done, and the rest takes so long.
    pub fn show(&self, share: f64, images: usize, left: Duration) {
        self.update(|state| state.1 = Some(left));
        let whole = self.images.max(1) as f64;
        let share = 1.0 - (1.0 - share) * images as f64 / whole;
        let steps = (share * Self::STEPS as f64) as u64;
        self.bar.set_position(steps.max(self.bar.position()));
    }

    fn update(&self, change: impl FnOnce(&mut (usize, Option<Duration>))) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut state);
        let (done, left) = *state;
        let left = left.map_or_else(String::new, |left| format!("  about {} left", duration(left)));
        self.bar.set_message(format!("{done} of {} images{left}", self.images));
    }

    /// Says something while the bar is out of the way.
    pub fn suspended(&self, say: impl FnOnce()) {
        self.bar.suspend(say);
    }

    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// `25 s`, `4 min`, `2 h 10 min`, `3 days`
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    let minutes = (seconds + 30) / 60;
    match seconds {
        0..=9 => format!("{} s", seconds.max(1)),
        10..=89 => format!("{} s", (seconds + 2) / 5 * 5),
        90..=3569 => format!("{minutes} min"),
        3570..=86_399 => {
            let minutes = (minutes + 2) / 5 * 5;
            match minutes % 60 {
                0 => format!("{} h", minutes / 60),
                rest => format!("{} h {rest} min", minutes / 60),
            }
        }
        _ => counted((seconds + 43_200) / 86_400, "day"),
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
    fn durations_are_as_long_as_one_needs_to_know() {
        let said: Vec<String> = [0, 7, 58, 62, 89, 90, 240, 3590, 3600, 7800, 86_390, 100_000, 300_000]
            .map(|seconds| duration(Duration::from_secs(seconds)))
            .into();
        let expected = [
            "1 s",
            "7 s",
            "60 s",
            "60 s",
            "90 s",
            "2 min",
            "4 min",
            "1 h",
            "1 h",
            "2 h 10 min",
            "24 h",
            "1 day",
            "3 days",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn tables_line_up() {
        let rows = vec![vec!["a".into(), "10.5".into()], vec!["longer".into(), "—".into()]];
        assert_eq!(table(&["name", "%"], &rows), "name       %\n──────  ────\na       10.5\nlonger     —");
    }
}
