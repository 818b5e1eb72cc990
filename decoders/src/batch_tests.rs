use super::*;

fn head() -> Head {
    Head {
        ts: 7,
        ts_first: None,
        ts_send: None,
        packet_ix: 1,
        msg_ix: 2,
        flow_id: 3,
        protocol: Name(0),
        line: None,
        session: None,
        channel: None,
        seq: Some((42, SeqUnit::Message)),
        gap_before: Some(0),
        flags: 0,
        raw_off: Some(42),
        raw_len: 36,
        tcp_off: None,
        sender: None,
    }
}

#[test]
fn a_row_starts_with_the_head_and_nothing_else() {
    let mut batch = MessageBatch::new();
    let row = batch.push(&head(), 0, Name(1)).unwrap();
    batch.set_decimal(row, DecimalCol::Price, 5);
    batch.clear();
    let row = batch.push(&head(), 0, Name(1)).unwrap();
    assert_eq!(batch.ints(IntCol::Seq)[row], 42);
    assert_eq!(batch.present()[row] & DecimalCol::Price.bit(), 0);
    assert_ne!(batch.present()[row] & IntCol::Seq.bit(), 0);
}

#[test]
fn no_two_columns_share_a_bit() {
    let bits = TimeCol::ALL.iter().map(|c| c.bit());
    let bits = bits.chain(IntCol::ALL.iter().map(|c| c.bit()));
    let bits = bits.chain(SmallCol::ALL.iter().map(|c| c.bit()));
    let bits = bits.chain(DecimalCol::ALL.iter().map(|c| c.bit()));
    let bits = bits.chain(NameCol::ALL.iter().map(|c| c.bit()));
    let bits = bits.chain(TextCol::ALL.iter().map(|c| c.bit()));
    let bits: Vec<u64> = bits.chain(EnumCol::ALL.iter().map(|c| c.bit())).collect();
    let all = bits.iter().fold(0, |seen, bit| seen | bit);
    assert_eq!(all.count_ones() as usize, bits.len());
}

#[test]
fn a_full_batch_says_so() {
    let mut batch = MessageBatch::new();
    for _ in 0..BATCH_ROWS {
        assert!(batch.push(&head(), 0, Name(1)).is_some());
    }
    assert_eq!(batch.push(&head(), 0, Name(1)), None);
}
