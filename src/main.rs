//! The one binary: reads the command line and the configuration, joins the
//! crates, and does nothing else.
//!
//! Exit codes: 0 ok, 1 failed (one clear line on standard error), 2 usage.
#![deny(missing_docs)]

mod cli;
mod commands;
mod config;
mod output;
mod progress;
mod query;
mod runtime;
mod score;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("taptrail: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(args) => commands::demo::run(args),
        Command::Sim(args) => commands::sim::run(args),
        Command::Import(args) => commands::import::run(args),
        Command::Capture(args) => commands::capture::run(args),
        Command::Ship(args) => commands::ship::run(args),
        Command::Hub(args) => commands::hub::run(args),
        Command::Certs(args) => commands::certs::run(args),
        Command::Decode(args) => commands::decode::run(args),
        Command::Calibrate(args) => commands::calibrate::run(args),
        Command::Correlate(args) => commands::correlate::run(args),
        Command::Compact(args) => commands::compact::run(args),
        Command::Redecode(args) => commands::redecode::run(args),
        Command::Report(args) => commands::report::run(args),
        Command::Sql(args) => commands::sql::run(args),
        Command::Serve(args) => commands::serve::run(args),
        Command::Replay(args) => commands::replay::run(args),
        Command::Export(args) => commands::export::run(args),
        Command::Protocols(args) => commands::protocols::run(args),
        Command::Check(args) => commands::check::run(args),
    }
}

/// Whether the reader of our output went away (`taptrail … | head`).
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}
