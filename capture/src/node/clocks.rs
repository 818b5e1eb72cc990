//! The thread that asks the node's clocks, once a second.

use crate::clock::{ClockRecord, chrony, kernel, linuxptp, phc};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(1);

/// Longest wait for a program's answer.
const PATIENCE: Duration = Duration::from_millis(800);

/// Bytes read of a program's answer.
const ANSWER_MAX: u64 = 16 << 10;

/// Rounds in which a program that is not there is not tried again.
const ABSENT_FOR: u32 = 60;

/// What the clocks said last.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    latest: Arc<Mutex<Vec<ClockRecord>>>,
}

impl Clocks {
    /// Starts asking, until `stop` is set.
    pub fn start(stop: Arc<AtomicBool>) -> (Self, JoinHandle<()>) {
        let clocks = Self::default();
        let shared = clocks.clone();
        let thread = std::thread::spawn(move || {
            let mut programs = [
                Program::new(&chrony::COMMAND, chrony::parse),
                Program::new(&linuxptp::COMMAND, linuxptp::parse),
            ];
            while !stop.load(Ordering::Relaxed) {
                let start = Instant::now();
                let mut records = vec![kernel::read()];
                records.extend(programs.iter_mut().filter_map(|program| program.ask(&stop)));
                *shared.latest.lock().unwrap_or_else(PoisonError::into_inner) = records;
                while start.elapsed() < EVERY && !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        });
        (clocks, thread)
    }

    /// The latest records, and the adapter's clock where the interface has one.
    pub fn of(&self, interface: &str) -> Vec<ClockRecord> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let adapter = phc::device(interface).and_then(|device| phc::read(&device));
        let mut records = latest;
        records.extend(adapter);
        records
    }
}

/// A program that tells of a clock.
struct Program {
    command: &'static [&'static str],
    parse: fn(&str) -> Option<ClockRecord>,
    absent: u32,
}

impl Program {
    fn new(command: &'static [&'static str], parse: fn(&str) -> Option<ClockRecord>) -> Self {
        Self { command, parse, absent: 0 }
    }

    fn ask(&mut self, stop: &AtomicBool) -> Option<ClockRecord> {
        if self.absent > 0 {
            self.absent -= 1;
            return None;
        }
        let (name, arguments) = self.command.split_first()?;
        let mut command = Command::new(name);
        command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped());
        let Ok(child) = command.spawn() else {
            self.absent = ABSENT_FOR;
            return None;
        };
        (self.parse)(&answer(child, stop)?)
    }
}

/// What a program wrote, once it has ended well; it is ended where it takes too
/// long. Its answer is far smaller than a pipe holds.
fn answer(mut child: Child, stop: &AtomicBool) -> Option<String> {
    let start = Instant::now();
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.success(),
            Ok(None) if start.elapsed() < PATIENCE && !stop.load(Ordering::Relaxed) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            _ => {
                // It may have ended by itself meanwhile.
                let _ = child.kill();
                let _ = child.wait();
                break false;
            }
        }
    };
    let mut text = String::new();
    child.stdout.take()?.take(ANSWER_MAX).read_to_string(&mut text).ok()?;
    ended.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> Option<String> {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        answer(command.spawn().unwrap(), &AtomicBool::new(false))
    }

    #[test]
    fn only_a_good_and_quick_answer_counts() {
        assert_eq!(run("echo 1,2").as_deref(), Some("1,2\n"));
        assert_eq!(run("echo 1,2; exit 1"), None);
        assert_eq!(run("exec sleep 30"), None);
        let mut nobody = Program::new(&["no-such-program-anywhere"], chrony::parse);
        assert!(nobody.ask(&AtomicBool::new(false)).is_none() && nobody.absent == ABSENT_FOR);
    }
}
