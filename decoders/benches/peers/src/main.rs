//! FAST, FIX and SBE decoders of other authors beside ours, on the same bytes,
//! in turn, in one run on one core.
//!
//! ```text
//! what | who | version, licence | ns a message: best, median | times ours
//! ```
//!
//! What each one makes of a message differs, and stands in the table: ours
//! fills the columns of rows; the others hand out fields or an object. Every
//! one must find in the messages what ours finds (a count of fields, a sum of
//! sizes), so that none is measured while it reads nothing.

mod fast;
mod fix;
mod sbe;

use std::time::Instant;

/// Rounds in turn; each goes through a stream once.
const ROUNDS: usize = 400;

/// Somebody who reads a stream.
pub struct Contender {
    /// Who, with the version and the licence.
    pub name: &'static str,
    /// What is made of a message.
    pub makes: &'static str,
    /// Reads the stream once; gives something that hangs on what was read.
    pub read: Box<dyn FnMut() -> u64>,
}

/// Measures all of them in turn and prints a line each; the first one is ours.
pub fn measure(what: &str, messages: usize, mut all: Vec<Contender>) {
    let mut times = vec![Vec::with_capacity(ROUNDS); all.len()];
    let mut read = vec![0; all.len()];
    for round in 0..ROUNDS {
        for (at, contender) in all.iter_mut().enumerate() {
            let begin = Instant::now();
            let got = std::hint::black_box((contender.read)());
            times[at].push(begin.elapsed().as_nanos() as f64 / messages as f64);
            assert!(round == 0 || got == read[at], "{}: reads the same each time", contender.name);
            read[at] = got;
        }
    }
    let ours = best(&mut times[0].clone());
    for (contender, times) in all.iter().zip(&mut times) {
        let (best, median) = (best(times), times[times.len() / 2]);
        println!(
            "| {what} | {} | {} | {best:.0} | {median:.0} | {:.2} |",
            contender.name,
            contender.makes,
            best / ours
        );
    }
}

/// Sorts them and gives the least.
fn best(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[0]
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, verb, folder] = &args[..]
        && verb == "write"
    {
        return fix::write(std::path::Path::new(folder));
    }
    println!("| messages | decoder | makes | best ns | median ns | times ours |");
    println!("|---|---|---|---|---|---|");
    fix::run();
    fast::run();
    sbe::run();
}
