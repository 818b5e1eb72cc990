//! Writes messages made up from every shipped protocol file as a corpus for
//! the fuzzers: `cargo run -p taptrail-decoders --example fuzz_corpus fuzz/corpus`.

use std::path::Path;
use taptrail_decoders::fixed::catalog;
use taptrail_decoders::fixed::encode::{Seeded, message};
use taptrail_decoders::kind::Sender;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "fuzz/corpus".to_owned());
    let messages = Path::new(&folder).join("fixed");
    let files = Path::new(&folder).join("protocol_file");
    std::fs::create_dir_all(&messages)?;
    std::fs::create_dir_all(&files)?;
    for (which, protocol) in catalog::embedded().iter().enumerate() {
        for (at, layout) in protocol.layouts.iter().enumerate() {
            let mut dice = Seeded(at as u64);
            let sender = match layout.sender {
                None => 0,
                Some(Sender::Client) => 1,
                Some(Sender::Server) => 2,
            };
            let mut bytes = vec![which as u8, sender];
            bytes.extend(message(protocol, layout, &mut dice));
            std::fs::write(messages.join(format!("{}-{at}", protocol.id())), bytes)?;
        }
    }
    for (name, text) in catalog::FILES {
        std::fs::write(files.join(name), text)?;
    }
    Ok(())
}
