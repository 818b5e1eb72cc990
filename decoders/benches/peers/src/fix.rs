//! New orders of 227 bytes and 24 fields, and a mix of requests and reports.

use super::{Contender, measure};
use hotfix_message::dict::Dictionary as HotDictionary;
use hotfix_message::message::Config as HotConfig;
use hotfix_message::{MessageBuilder, Part, fix44};
use ironfix_tagvalue::{Decoder as Iron, FieldIndex};
use taptrail_decoders::batch::{Head, MessageBatch};
use taptrail_decoders::fix::decode::{FixConfig, FixDecoder};
use taptrail_decoders::fix::framing::{self, Scan};
use taptrail_decoders::fix::user::UserTags;
use taptrail_decoders::names::{Name, Names};

#[path = "../../streams/fix.rs"]
mod wire;

/// The messages of a stream.
fn cut(stream: &[u8]) -> Vec<Vec<u8>> {
    let (mut at, mut all) = (0, Vec::new());
    while let Scan::Message { len, .. } = framing::scan(&stream[at..]) {
        all.push(stream[at..at + len].to_vec());
        at += len;
    }
    assert_eq!((at, all.len()), (stream.len(), wire::MESSAGES));
    all
}

/// Writes the streams for those who are no Rust.
pub fn write(folder: &std::path::Path) {
    for (name, stream) in [("orders.fix", wire::orders()), ("mixed.fix", wire::mixed())] {
        std::fs::write(folder.join(name), stream).expect("writable");
    }
}

pub fn run() {
    stream("FIX orders", wire::orders());
    stream("FIX, 24 shapes", wire::mixed());
}

fn stream(what: &str, stream: Vec<u8>) {
    let messages = cut(&stream);
    measure(
        what,
        wire::MESSAGES,
        vec![ours(stream.clone()), iron(stream), fefix(messages.clone()), hotfix(messages)],
    );
}

fn ours(stream: Vec<u8>) -> Contender {
    let (mut names, mut batch) = (Names::new(), MessageBatch::new());
    let mut decoder = FixDecoder::new(FixConfig::default());
    let head = head(names.intern(b"fix.4.4").unwrap_or(Name(0)));
    let user = UserTags::trigger(9717);
    let read = move || {
        batch.clear();
        let mut at = 0;
        while let Scan::Message { len, checksum_ok } = framing::scan(&stream[at..]) {
            assert!(checksum_ok);
            let msg = &stream[at..at + len];
            decoder.decode(msg, &head, &user, &mut batch, &mut names).expect("room");
            at += len;
        }
        batch.len() as u64
    };
    let makes = "a stream cut, sums checked, columns of rows";
    Contender { name: "taptrail", makes, read: Box::new(read) }
}

fn iron(stream: Vec<u8>) -> Contender {
    let mut index = FieldIndex::with_capacity(64);
    let read = move || {
        let mut decoder = Iron::new(&stream);
        let mut fields = 0;
        for _ in 0..wire::MESSAGES {
            let message = decoder.decode_into(&mut index).expect("a good message");
            fields += u64::from(message.get_field_str(49).is_some());
        }
        assert_eq!(fields, wire::MESSAGES as u64);
        fields
    };
    let makes = "a stream cut, sums checked, an index of tags";
    Contender { name: "ironfix-tagvalue 0.5.1 (MIT)", makes, read: Box::new(read) }
}

fn fefix(messages: Vec<Vec<u8>>) -> Contender {
    use fefix::Dictionary;
    use fefix::tagvalue::{Config, Decoder, FieldAccess};
    let mut decoder = Decoder::<Config>::new(Dictionary::fix44());
    let read = move || {
        let mut fields = 0;
        for message in &messages {
            let decoded = decoder.decode(&message[..]).expect("a good message");
            fields += u64::from(decoded.fv_raw(&49u32).is_some());
        }
        assert_eq!(fields, messages.len() as u64);
        fields
    };
    let makes = "cut before, sums checked, a map of tags";
    Contender { name: "fefix 0.7.0 (MIT or Apache-2.0)", makes, read: Box::new(read) }
}

fn hotfix(messages: Vec<Vec<u8>>) -> Contender {
    let config = HotConfig::default().validate_user_defined_fields(false);
    let builder = MessageBuilder::new(HotDictionary::fix44(), config).expect("a dictionary");
    let read = move || {
        let mut fields = 0;
        for message in &messages {
            let message = builder.build(message).into_message().expect("a whole message");
            fields += u64::from(message.header().get_raw(fix44::SENDER_COMP_ID).is_some());
        }
        assert_eq!(fields, messages.len() as u64);
        fields
    };
    let makes = "cut before, sums checked, copies of all fields";
    Contender { name: "hotfix-message 0.4.0 (MIT)", makes, read: Box::new(read) }
}

/// What all rows share.
pub fn head(protocol: Name) -> Head {
    Head {
        ts: 1,
        ts_first: None,
        ts_send: None,
        packet_ix: 1,
        msg_ix: 0,
        flow_id: 1,
        protocol,
        line: None,
        session: None,
        channel: None,
        seq: None,
        gap_before: Some(0),
        flags: 0,
        raw_off: Some(42),
        raw_len: 0,
        tcp_off: None,
        sender: None,
    }
}
