//! An incremental book of 2 entries, alone and with as many orders.

use super::fix::head;
use super::{Contender, measure};
use generated::book::{parse_entries, parse_order_entries, parse_with_header};
use generated::message_header::MessageHeader;
use std::sync::Arc;
use taptrail_decoders::batch::MessageBatch;
use taptrail_decoders::names::{Name, Names};
use taptrail_decoders::sbe::decode::SbeDecoder;
use taptrail_decoders::sbe::overlay::Overlay;
use taptrail_decoders::sbe::protocol::SbeProtocol;
use taptrail_decoders::sbe::shape::Schema;

#[path = "../../streams/sbe.rs"]
mod wire;

#[allow(warnings)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/sbe.rs"));
}

pub fn run() {
    for (what, orders) in
        [("SBE book, 2 entries", 0), ("SBE book, 2 entries, 2 orders", wire::ENTRIES)]
    {
        let messages: Vec<Vec<u8>> =
            (0..wire::MESSAGES as u64).map(|n| wire::message(n, orders)).collect();
        measure(what, messages.len(), vec![ours(messages.clone()), sbe_gen(messages, orders)]);
    }
}

fn ours(messages: Vec<Vec<u8>>) -> Contender {
    let schema = Schema::parse("bench", wire::SCHEMA).expect("a good schema");
    let overlay = Overlay::parse("bench", wire::OVERLAY).expect("a good overlay");
    let (mut batch, mut names) = (MessageBatch::new(), Names::new());
    let protocol = Arc::new(SbeProtocol::new(overlay, &[schema]));
    let mut decoder = SbeDecoder::new(protocol, false, &mut names);
    let head = head(names.intern(b"bench.book").unwrap_or(Name(0)));
    let read = move || {
        batch.clear();
        for message in &messages {
            assert!(decoder.decode(message, &head, 1, &mut batch, &mut names).is_ok());
        }
        batch.len() as u64
    };
    Contender { name: "taptrail", makes: "columns of rows", read: Box::new(read) }
}

/// Reads every field and adds them up.
fn sbe_gen(messages: Vec<Vec<u8>>, orders: usize) -> Contender {
    let read = move || {
        let (mut sum, mut entries) = (0u64, 0);
        for message in &messages {
            let (header, body) = MessageHeader::parse_prefix(message).expect("a header");
            assert_eq!((header.template_id.get(), header.schema_id.get()), (46, 1));
            let (book, rest) = parse_with_header(body, header).expect("a block");
            let mut add = |value: u64| sum = sum.wrapping_add(value);
            add(book.transact_time_value().expect("a time"));
            add(u64::from(book.event_value().expect("a set").0));
            let mut levels = parse_entries(rest).expect("a group").iter();
            for level in &mut levels {
                entries += 1;
                let level = &level.body;
                add(level.price.mantissa.get() as u64);
                add(level.size_opt().unwrap_or(0) as u64);
                add(level.security_id.get() as u64);
                add(u64::from(level.rpt_seq.get()));
                add(level.orders_opt().unwrap_or(0) as u64);
                add(u64::from(level.level) + u64::from(level.action.0) + u64::from(level.type_.0));
            }
            for order in parse_order_entries(levels.remainder()).expect("a group").iter() {
                entries += 1;
                let order = &order.body;
                add(order.order_id.get());
                add(order.priority.get());
                add(order.shown_opt().unwrap_or(0) as u64);
                add(u64::from(order.reference_opt().unwrap_or(0)) + u64::from(order.update.0));
            }
        }
        assert_eq!(entries, messages.len() * (wire::ENTRIES + orders));
        sum
    };
    let name = "code of sbe_gen 0.7.3 (MIT or Apache-2.0)";
    Contender { name, makes: "fields read in place, nothing kept", read: Box::new(read) }
}
