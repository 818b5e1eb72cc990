//! How one FAST feed is read: its templates, and what stands around messages.

use std::sync::Arc;

use super::decode::ResetPolicy;
use super::packet_header::PacketHeader;
use super::preamble::{Preamble, PreambleError, Prefix};
use super::templates::Templates;
use crate::field::Field;

/// How the datagrams of a FAST feed are read.
#[derive(Debug)]
pub struct FastFeed {
    /// Templates.
    pub templates: Arc<Templates>,
    /// Bytes before the messages.
    pub preamble: Preamble,
    /// When previous values are forgotten.
    pub reset: ResetPolicy,
    /// A template id that means so.
    pub implicit_template: Option<u32>,
    /// The messages that are packet headers.
    pub packet_header: Option<PacketHeader>,
}

impl FastFeed {
    /// What stands before the messages at the start of `bytes`.
    ///
    /// # Errors
    /// The bytes end inside the preamble.
    pub fn prefix(&self, bytes: &[u8]) -> Result<Prefix, PreambleError> {
        let prefix = self.preamble.read(bytes)?;
        let rest = bytes.get(prefix.len..).unwrap_or_default();
        Ok(match self.packet_header.as_ref().and_then(|header| header.read(rest)) {
            Some(header) => Prefix { len: prefix.len + header.len, ..header },
            None => prefix,
        })
    }

    /// Its fields, for people.
    pub fn explain_prefix(&self, bytes: &[u8]) -> Vec<Field> {
        let mut fields = self.preamble.explain(bytes).unwrap_or_default();
        let at = fields.iter().map(|field| field.size).sum::<u32>();
        let rest = bytes.get(at as usize..).unwrap_or_default();
        if let Some(header) = self.packet_header.as_ref().filter(|_| !rest.is_empty()) {
            let shift = |field: Field| Field { offset: field.offset + at, ..field };
            fields.extend(header.explain(rest).into_iter().map(shift));
        }
        fields
    }
}
