//! FIX messages: orders of 227 bytes, and a mix of requests and reports.

use taptrail_decoders::fix::framing;

/// Messages of a stream.
pub const MESSAGES: usize = 4096;

/// Orders of 227 bytes one after the other, as a stream.
pub fn orders() -> Vec<u8> {
    let mut stream = Vec::new();
    for n in 0..MESSAGES {
        let body = format!(
            "35=D|49=CLIENT01|56=BROKER01|34={:06}|52=20240102-09:30:00.{:09}|11=ORD-{:010}|\
             1=ACC-{:03}|55=SYM{:04}|54={}|38={:05}|40=2|44={:03}.{:02}|59=0|\
             60=20240102-09:30:00.{:09}|100=XNAS|21=1|47=A|9717={:05}|",
            n + 1,
            n * 1000,
            n,
            n % 50,
            n % 500,
            1 + n % 2,
            n % 900 + 100,
            100 + n % 50,
            n % 100,
            n * 997,
            n * 13,
        )
        .replace('|', "\x01");
        let msg = whole(&body);
        assert_eq!(msg.len(), 227, "the yardstick's size");
        stream.extend_from_slice(&msg);
    }
    stream
}

/// A message with its length and sum.
fn whole(body: &str) -> Vec<u8> {
    let mut msg = format!("8=FIX.4.4\x019={}\x01{body}", body.len()).into_bytes();
    let sum = framing::checksum(&msg);
    msg.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
    msg
}

/// Messages of six types, each with or without two of its fields: 24 shapes,
/// in no order.
pub fn mixed() -> Vec<u8> {
    const TYPES: [(&str, &str); 6] = [
        ("D", "21=1|38=00300|40=2|44=101.25|59=0|"),
        ("8", "37=X77|17=E5|150=F|39=1|31=101.25|32=100|38=300|151=200|14=100|6=101.25|"),
        ("8", "37=X77|17=E5|150=0|39=0|38=300|151=300|14=0|6=0|"),
        ("F", "41=ORD-1|37=X77|38=300|"),
        ("G", "41=ORD-1|38=200|40=2|44=101.5|59=0|"),
        ("9", "37=X77|41=ORD-1|39=4|434=1|102=1|"),
    ];
    let mut dice = 1u64;
    let mut stream = Vec::new();
    for n in 0..MESSAGES {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let shape = (dice >> 33) as usize % 24;
        let (msg_type, fields) = TYPES[shape / 4];
        let account = if shape & 1 == 0 { "" } else { "1=ACC-007|" };
        let text = if shape & 2 == 0 { "" } else { "58=as agreed|" };
        let body = format!(
            "35={msg_type}|49=CLIENT01|56=BROKER01|34={:06}|52=20240102-09:30:00.{:09}|\
             11=ORD-{:010}|{account}55=SYM{:04}|54={}|{fields}60=20240102-09:30:00.{:09}|{text}",
            n + 1,
            n * 1000,
            n,
            n % 500,
            1 + n % 2,
            n * 997,
        );
        stream.extend(whole(&body.replace('|', "\x01")));
    }
    stream
}
