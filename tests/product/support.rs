//! Runs the real binary.

use std::path::Path;
use std::process::{Command, Output};

/// What one run gave.
pub struct Run {
    /// Exit code; -1 where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// A command that runs the binary under test.
pub fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_taptrail"))
}

/// Runs `taptrail` with `args`.
pub fn taptrail<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Run {
    from(command().args(args).output().expect("the binary starts"))
}

/// Runs `taptrail` and requires success.
pub fn taptrail_ok<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Run {
    let run = taptrail(args);
    assert_eq!(run.code, 0, "failed with: {}", run.err);
    run
}

/// An SQL statement's rows, one JSON object each.
pub fn sql(store: &Path, statement: &str) -> Vec<serde_json::Value> {
    let store = store.to_str().expect("temporary paths are text");
    let run = taptrail_ok(&["sql", "--store", store, "--format", "json", statement]);
    run.out.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

/// One number that an SQL statement gives as `n`.
pub fn sql_n(store: &Path, statement: &str) -> i64 {
    sql(store, statement)[0]["n"].as_i64().expect("a column named n")
}

fn from(output: Output) -> Run {
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
