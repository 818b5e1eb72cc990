//! What messages teach, from capture to capture.
//!
//! ```text
//! capture 1  ▔▔▔▔▔▔▔▔▔ ─ learned rows ─┐
//! capture 2             ▔▔▔▔▔▔▔▔▔▔      └─► the same point, source and trading day:
//!                       begins with what capture 1 ended with
//! ```
//!
//! The rule, so that the order of imports changes no row: a scope begins with
//! what the latest capture of the same point taught that has the same protocol,
//! source and trading day and whose last packet is before this capture's first.
//! The manifest says which capture that was; where the rule now names another
//! one, the capture is stale and decoding it anew brings it up to date.

use crate::catalog::manifest::{ImportManifest, Input, LearnedScope};
use crate::catalog::{Catalog, Store};
use crate::error::StoreError;
use crate::import::lead_in;
use crate::segment::TimeRange;
use crate::segment::reader::SegmentReader;
use crate::tables::learned::{LearnedRow, NEXT, SEQUENCE};
use crate::tables::row::{Row, Text};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use taptrail_decoders::decoder::Decoder;
use taptrail_decoders::fixed::protocol::FixedProtocol;
use taptrail_decoders::learning::{Earlier, Ended, Kept, Taught};
use taptrail_decoders::library::Library;
use taptrail_decoders::names::Name;
use taptrail_decoders::typed::history::History;

/// Protocol, source and trading day.
type ScopeKey = (String, String, String);

/// Where the scopes of a capture began.
pub(super) type Begun = Arc<Mutex<BTreeMap<ScopeKey, Input>>>;

/// The earlier captures of a point, and what was taken from them.
pub(super) struct EarlierCaptures {
    pub store: Store,
    pub catalog: Catalog,
    pub point: String,
    pub capture_id: u64,
    /// Time of the capture's first packet.
    pub first_ts: i64,
    pub begun: Begun,
}

/// The import that a scope begins from.
fn source_of<'c>(
    catalog: &'c Catalog,
    (point, capture_id, first_ts): (&str, u64, i64),
    key: &ScopeKey,
) -> Option<&'c Arc<ImportManifest>> {
    let imports = catalog.imports.iter();
    let before = imports.filter(|i| i.point == point && i.capture_id != capture_id);
    let has_it = |import: &&Arc<ImportManifest>| import.learned.iter().any(|scope| scope.is(key));
    let timed = before.filter(has_it).filter_map(|import| {
        let last = last_ts(import)?;
        (last < first_ts).then_some((last, import))
    });
    timed.max_by_key(|(last, import)| (*last, import.capture_id)).map(|(_, import)| import)
}

pub(super) fn last_ts(import: &ImportManifest) -> Option<i64> {
    let times = import.files_of("packets").filter_map(|file| file.time);
    times.reduce(TimeRange::union).map(|time| time.max_ns)
}

/// Whether a capture began with something else than the rule says now.
pub fn is_stale(catalog: &Catalog, import: &ImportManifest) -> bool {
    let Some(first_ts) = import.first_ts else { return false };
    let fresh = import.decode.as_ref().is_some_and(|decode| decode.is_fresh());
    let here = (import.point.as_str(), import.capture_id, first_ts);
    // Where the one before is gone, what was taken from it stays right.
    let before = lead_in::before(catalog, here).map(|before| before.capture_id);
    if import.decode.is_some() && !fresh && before.is_some() && before != import.continues {
        return true;
    }
    import.learned.iter().filter(|scope| scope.begins && !fresh).any(|scope| {
        let here = (import.point.as_str(), import.capture_id, first_ts);
        let from = source_of(catalog, here, &scope.key()).map(|import| import.input());
        from != scope.from
    })
}

impl LearnedScope {
    fn key(&self) -> ScopeKey {
        (self.protocol.clone(), self.source.clone(), self.day.clone())
    }

    fn is(&self, (protocol, source, day): &ScopeKey) -> bool {
        (&self.protocol, &self.source, &self.day) == (protocol, source, day)
    }
}

impl Earlier for EarlierCaptures {
    fn ended(&mut self, protocol: &FixedProtocol, source: &str, ts: i64) -> Ended {
        let key = (protocol.id().to_owned(), source.to_owned(), protocol.trading_day(ts));
        let here = (self.point.as_str(), self.capture_id, self.first_ts);
        let Some(import) = source_of(&self.catalog, here, &key) else { return Ended::default() };
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.insert(key.clone(), import.input());
        // A file that cannot be read teaches nothing; its rows stay flagged.
        ended(&self.store, import, &key).unwrap_or_default()
    }
}

/// The rows of `learned` of one capture, one after the other.
pub(crate) fn each_row(
    store: &Store,
    import: &ImportManifest,
    f: &mut dyn FnMut(LearnedRow),
) -> Result<(), StoreError> {
    for segment in import.files_of("learned") {
        for batch in SegmentReader::of(store, segment, None)? {
            let rows = LearnedRow::from_batch(&batch?).map_err(StoreError::rows("learned"))?;
            rows.into_iter().for_each(&mut *f);
        }
    }
    Ok(())
}

/// What a scope ended with.
fn ended(store: &Store, import: &ImportManifest, key: &ScopeKey) -> Result<Ended, StoreError> {
    let mut last: BTreeMap<(Text, u64, Text), LearnedRow> = BTreeMap::new();
    let mut next_seq = None;
    each_row(store, import, &mut |row| {
        let is_it = *row.protocol == *key.0
            && row.source.as_deref() == Some(key.1.as_str())
            && *row.day == *key.2;
        if !is_it {
            return;
        }
        if &*row.table_name == SEQUENCE {
            next_seq = row.number;
            return;
        }
        let place = (row.table_name.clone(), row.key, row.value_name.clone());
        let at = |row: &LearnedRow| (row.packet_ix, row.msg_ix);
        if last.get(&place).is_none_or(|known| at(known) <= at(&row)) {
            last.insert(place, row);
        }
    })?;
    let values = last.into_iter().filter_map(|((table, key, value), row)| {
        let kept = match (row.number, row.text) {
            (Some(number), _) => Kept::Number(number),
            (None, Some(text)) => Kept::Text(text.to_string()),
            (None, None) => return None,
        };
        Some((table.to_string(), key, value.to_string(), kept))
    });
    Ok(Ended { values: values.collect(), next_seq })
}

/// What one protocol's messages of a capture taught, for looking back.
pub(crate) fn history(
    store: &Store,
    import: &ImportManifest,
    protocol: &FixedProtocol,
) -> Result<History, StoreError> {
    let mut history = History::new();
    each_row(store, import, &mut |row| {
        let place = protocol.learned_place(&row.table_name, &row.value_name);
        let (Some((table, slot)), Some(number)) = (place, row.number) else { return };
        if *row.protocol == *protocol.id() {
            let at = row.packet_ix.zip(row.msg_ix);
            history.teach((table, row.scope, row.key, slot), at, number);
        }
    })?;
    Ok(history)
}

/// Turns what a decoder was taught into rows.
#[derive(Default)]
pub(super) struct LearnedRows {
    /// Protocol, source and day of every row.
    pub keys: BTreeSet<ScopeKey>,
}

impl LearnedRows {
    /// The rows of what was taught since the last call.
    pub fn taught(
        &mut self,
        capture_id: u64,
        decoder: &Decoder,
        library: &Library,
        taught: Vec<Taught>,
        begun: &Begun,
    ) -> Vec<LearnedRow> {
        let scopes = decoder.scopes();
        let row = |taught: Taught| {
            let protocol = library.fixed_at(taught.protocol)?;
            let table = protocol.tables.get(taught.table)?;
            let (value_name, is_text) = table.values.get(taught.slot)?;
            let source = scopes
                .iter()
                .find(|scope| (scope.scope, scope.protocol) == (taught.scope, taught.protocol));
            let source = source.map(|scope| scope.source.clone());
            let day = protocol.trading_day(taught.ts);
            let text = |text: &str| -> Text { text.into() };
            let key = (protocol.id().to_owned(), source.clone().unwrap_or_default(), day.clone());
            let begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
            let from = begun.get(&key).filter(|_| taught.at.is_none());
            if source.is_some() {
                self.keys.insert(key.clone());
            }
            let value = u32::try_from(taught.value).map(|name| decoder.names().text(Name(name)));
            Some(LearnedRow {
                capture_id,
                scope: taught.scope,
                ts: taught.ts,
                packet_ix: taught.at.map(|at| at.0),
                msg_ix: taught.at.map(|at| at.1),
                protocol: text(protocol.id()),
                source: source.as_deref().map(text),
                day: text(&day),
                table_name: text(&table.name),
                key: taught.key,
                value_name: text(value_name),
                number: (!is_text).then_some(taught.value),
                text: value.ok().filter(|_| *is_text).map(text),
                from_capture_id: from.map(|from| from.capture_id),
            })
        };
        taught.into_iter().filter_map(row).collect()
    }

    /// Where the numbers of each scope go on after the capture.
    pub fn sequences(
        &mut self,
        capture_id: u64,
        decoder: &Decoder,
        library: &Library,
        last_ts: i64,
    ) -> Vec<LearnedRow> {
        let row = |scope: taptrail_decoders::learning::ScopeInfo| {
            let protocol = library.fixed_at(scope.protocol)?;
            let day = protocol.trading_day(last_ts);
            let key = (protocol.id().to_owned(), scope.source.clone(), day.clone());
            let number = Some(scope.next_seq?);
            self.keys.insert(key);
            Some(LearnedRow {
                capture_id,
                scope: scope.scope,
                ts: last_ts,
                packet_ix: None,
                msg_ix: None,
                protocol: protocol.id().into(),
                source: Some(scope.source.as_str().into()),
                day: day.as_str().into(),
                table_name: SEQUENCE.into(),
                key: 0,
                value_name: NEXT.into(),
                number,
                text: None,
                from_capture_id: None,
            })
        };
        decoder.scopes().into_iter().filter_map(row).collect()
    }

    /// What the manifest keeps: every protocol, source and day with rows, and
    /// those in which a scope began, with where it began from.
    pub fn scopes(&self, decoder: &Decoder, library: &Library, begun: &Begun) -> Vec<LearnedScope> {
        let begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
        let began = decoder.scopes().into_iter().filter_map(|scope| {
            let protocol = library.fixed_at(scope.protocol)?;
            let day = protocol.trading_day(scope.first_ts);
            Some((protocol.id().to_owned(), scope.source, day))
        });
        let began: BTreeSet<ScopeKey> = began.collect();
        let all = self.keys.union(&began);
        let scope = |key: &ScopeKey| {
            let (protocol, source, day) = key.clone();
            let (begins, from) = (began.contains(key), begun.get(key).cloned());
            LearnedScope { protocol, source, day, begins, from }
        };
        all.map(scope).collect()
    }
}
