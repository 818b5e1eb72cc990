//! A progress bar on a terminal, nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// Shows how far a long piece of work has come.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar for `what`, `total` units long.
    pub fn new(what: &str, total: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template("{msg:>24} {wide_bar} {percent:>3} % {eta}")
        {
            bar.set_style(style);
        }
        bar.set_message(what.to_string());
        Self { bar }
    }

    /// Sets how many units are done.
    pub fn set(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Sets how many units are done, and how many there are.
    pub fn set_of(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
