//! Real captures, where the machine has them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use taptrail_capture::file;
use taptrail_capture::packet::PacketBatch;
use taptrail_capture::point::TimestampFrom;
use taptrail_capture::source::{PacketSource, Progress};
use taptrail_decoders::config::{DecodeConfig, DecoderConfig};
use taptrail_decoders::explain::{ExplainedMessage, Explainer};
use taptrail_decoders::library::Library;

/// The folder of real captures: named by the environment, else beside the
/// project.
pub fn data() -> Option<PathBuf> {
    let named = std::env::var_os("TAPTRAIL_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("../shared/data"))
        .find(|folder| folder.is_dir());
    let found = named.filter(|folder| folder.is_dir()).or(beside);
    if found.is_none() {
        eprintln!("skipped: no folder shared/data beside the project");
    }
    found
}

/// Gives every packet batch of a capture file.
pub fn packets(path: &Path, mut each: impl FnMut(&PacketBatch)) {
    let mut source = file::open(path, TimestampFrom::Record).expect("opens");
    let mut batch = PacketBatch::new();
    loop {
        let progress = source.next_batch(&mut batch).expect("reads");
        each(&batch);
        if progress == Progress::End {
            return;
        }
    }
}

/// Everything in a capture file, explained; the protocol named or recognised.
pub fn explain(path: &Path, protocol: Option<&str>) -> Vec<ExplainedMessage> {
    explain_by(Arc::new(Library::shipped()), path, protocol)
}

/// The same by a library; passwords are shown.
pub fn explain_by(
    library: Arc<Library>,
    path: &Path,
    protocol: Option<&str>,
) -> Vec<ExplainedMessage> {
    let protocol = protocol.map(str::to_owned);
    let decode = DecodeConfig { show_secrets: true, ..DecodeConfig::default() };
    let config = DecoderConfig { protocol, decode, ..DecoderConfig::default() };
    let mut explainer = Explainer::new(Arc::new(config), library);
    let mut messages = Vec::new();
    packets(path, |batch| explainer.explain(batch, &mut |message| messages.push(message)));
    explainer.finish(&mut |message| messages.push(message));
    messages
}
