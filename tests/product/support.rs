//! Runs the real binary.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

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

/// A dashboard that ends with the test.
pub struct Dashboard {
    child: Child,
    /// `http://127.0.0.1:…/`
    pub address: String,
}

impl Dashboard {
    /// Starts `serving` and waits until it says where.
    pub fn start(serving: &mut Command) -> Self {
        let mut child = serving.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("dashboard: ")?.split(' ').next().map(String::from))
            .expect("the address is printed");
        Self { child, address }
    }

    /// The answer to a request, headers and all.
    pub fn get(&self, path: &str) -> String {
        let host = self.address.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(host).expect("the dashboard listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the request is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer in text");
        answer
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a run that is over gave.
pub fn from(output: Output) -> Run {
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
