//! What is wrong in a protocol file, and where.

use thiserror::Error;

/// A protocol file was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}:{line}: {reason}")]
pub struct SpecError {
    /// Name of the file, as it was given.
    pub file: String,
    /// Line, from 1; 1 where the whole file is meant.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub reason: String,
}

/// A reason with the line it was found on, before the file's name is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl Fault {
    /// A fault on a line.
    pub fn new(line: usize, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }

    /// The same fault with the name of its file.
    pub fn in_file(self, file: &str) -> SpecError {
        SpecError { file: file.to_owned(), line: self.line, reason: self.reason }
    }
}
