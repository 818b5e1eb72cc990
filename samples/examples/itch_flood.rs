//! Writes a large ITCH capture for measuring: `itch_flood FILE MESSAGES [SEED]`.

use std::fs::File;
use std::io::{BufWriter, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let path = args.first().ok_or("needs a file to write to")?;
    let messages = args.get(1).ok_or("needs a number of messages")?.parse()?;
    let seed = args.get(2).map_or(Ok(1), |text| text.parse())?;
    let out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    taptrail_samples::flood::itch_flood(out, messages, seed)?.flush()?;
    Ok(())
}
