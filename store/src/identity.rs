//! What a capture is called: the same content at the same point has the same
//! id, wherever, however compressed and whenever it is imported.
//!
//! ```text
//! a.pcap ──────────┐
//! a.pcap.gz ─gunzip┴─> content ─BLAKE3─> content hash ─┐
//!                                                      ├with the point's name─BLAKE3─> capture_id
//! live capture ─> the segment's own name ──────────────┘
//! ```
//!
//! A segment of live capture is called by its name, since its messages are shown before
//! its content is known; so sealing need not read it twice.

use crate::error::StoreError;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use taptrail_capture::point::PointName;

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// What a gzip member begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The uncompressed content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// BLAKE3 of its bytes.
    pub hash: blake3::Hash,
    /// How many there are.
    pub bytes: u64,
}

impl Content {
    /// Reads a file, plain or gzip, to its end. Where a gzip stream is cut or
    /// damaged, the content is what comes out before.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::io(path))?;
        let mut reader = BufReader::with_capacity(CHUNK, file);
        let start = reader.fill_buf().map_err(StoreError::io(path))?;
        if start.starts_with(&GZIP) {
            Self::read(MultiGzDecoder::new(reader), path, true)
        } else {
            Self::read(reader, path, false)
        }
    }

    fn read(mut reader: impl Read, path: &Path, gzip: bool) -> Result<Self, StoreError> {
        let damaged = [ErrorKind::InvalidData, ErrorKind::InvalidInput, ErrorKind::UnexpectedEof];
        let mut hasher = blake3::Hasher::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(len) => hasher.update(chunk.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if gzip && damaged.contains(&error.kind()) => break,
                Err(error) => return Err(StoreError::Io { path: path.to_owned(), error }),
            };
        }
        Ok(Self { hash: hasher.finalize(), bytes: hasher.count() })
    }

    /// The id of this content captured at `point`.
    pub fn capture_id(&self, point: &PointName) -> u64 {
        id_at(point, self.hash.as_bytes())
    }
}

/// The id of a segment of live capture at `point`, by its name.
pub fn segment_capture_id(point: &PointName, segment: &str) -> u64 {
    id_at(point, segment.as_bytes())
}

fn id_at(point: &PointName, named: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(point.as_str().as_bytes());
    hasher.update(&[0]);
    hasher.update(named);
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// BLAKE3 of some bytes, in hex: names a configuration.
pub fn content_hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::fs;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn content(bytes: &[u8]) -> Content {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("capture");
        fs::write(&path, bytes).unwrap();
        Content::of(&path).unwrap()
    }

    #[test]
    fn compression_does_not_matter() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i >> 7) as u8).collect();
        let (head, tail) = bytes.split_at(1_000_000);
        let plain = content(&bytes);
        assert_eq!(plain.bytes, 3_000_000);
        assert_eq!(content(&gzip(&bytes)), plain);
        let members = [gzip(head), gzip(tail)].concat();
        assert_eq!(content(&members), plain);
    }

    #[test]
    fn a_cut_gzip_is_what_comes_out() {
        let mut cut = gzip(&[7; 100_000]);
        cut.truncate(cut.len() - 4);
        assert_eq!(content(&cut).hash, content(&[7; 100_000]).hash);
    }

    #[test]
    fn the_point_matters() {
        let point = |name: &str| PointName::try_from(name.to_owned()).unwrap();
        let content = content(b"same");
        assert_ne!(content.capture_id(&point("P1")), content.capture_id(&point("P2")));
        assert_eq!(content.capture_id(&point("P1")), content.capture_id(&point("P1")));
    }
}
