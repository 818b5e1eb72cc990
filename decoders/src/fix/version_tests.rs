//! What differs from version to version: data behind their lengths, groups in
//! groups, and messages whose length or sum is wrong.

use super::*;

/// Fields of a length and the data behind it, one message for each version.
#[test]
fn data_with_separators_in_them_are_whole_in_every_version() {
    // Length and data tags, and the first version of the standard with them.
    let pairs = [
        (95, 96, 0), // RawData
        (93, 89, 0), // Signature, in the trailer
        (90, 91, 0), // SecureData
        (212, 213, 2),
        (348, 349, 2),
        (354, 355, 2), // EncodedText
        (358, 359, 2),
        (364, 365, 2),
        (445, 446, 4),
        (618, 619, 4),
        (621, 622, 4),
        (1184, 1185, 9),
        (1397, 1398, 9),
        (1401, 1402, 9),
        (1403, 1404, 9),
    ];
    let versions = [
        ("FIX.4.0", 0),
        ("FIX.4.1", 1),
        ("FIX.4.2", 2),
        ("FIX.4.3", 3),
        ("FIX.4.4", 4),
        ("FIX.5.0", 5),
        ("FIX.5.0SP2", 9),
        ("FIXT.1.1", 9),
    ];
    for (begin, version) in versions {
        for (length, data, _) in pairs.iter().filter(|pair| pair.2 <= version) {
            let body = format!("35=D|49=A|56=B|34=1|{length}=9|{data}=a|44=9|zz|55=ALFA|");
            let msg = message(begin, &body);
            assert!(matches!(framing::scan(&msg), Scan::Message { len, .. } if len == msg.len()));
            let mut b = Bench::new();
            let row = b.decode(&msg).start;
            assert_eq!(b.name(row, NameCol::Symbol), Some("ALFA"), "{begin} {data}");
            assert!(!b.present(row, DecimalCol::Price.bit()), "{begin} {data}: 44 is in the data");
            assert_eq!(b.flags(row) & flags::IRREGULAR, 0, "{begin} {data}");
        }
    }
}

#[test]
fn groups_in_groups_are_as_their_version_defines_them() {
    let mut b = Bench::new();
    // Parties with sub-ids inside an order of 4.4; 4.2 has no parties, so the tags are flat.
    let parties = "453=2|448=P1|447=D|452=1|802=2|523=S1|803=1|523=S2|803=2|448=P2|447=D|452=3|";
    let body = format!("35=D|49=A|56=B|34=1|11=X|55=ALFA|54=1|{parties}38=5|");
    let paths = |decoder: &FixDecoder, begin: &str| -> Vec<String> {
        let fields = explained(decoder, &message(begin, &body));
        fields.into_iter().map(|(path, _)| path).filter(|path| path.contains("Party")).collect()
    };
    let in_44 = paths(&b.decoder, "FIX.4.4");
    assert!(in_44.contains(&"NoPartyIDs[0].NoPartySubIDs[1].PartySubID".to_owned()), "{in_44:?}");
    assert!(in_44.contains(&"NoPartyIDs[1].PartyID".to_owned()));
    assert_eq!(paths(&b.decoder, "FIX.5.0SP2"), in_44);
    let in_42 = paths(&b.decoder, "FIX.4.2");
    assert!(in_42.iter().all(|path| !path.contains('[')), "{in_42:?}");
    // A count that is too high, and one too low, lose no field.
    for count in ["453=3|", "453=1|"] {
        let msg = message("FIX.4.4", &body.replacen("453=2|", count, 1));
        let row = b.decode(&msg).start;
        assert_ne!(b.flags(row) & flags::IRREGULAR, 0, "{count}");
        assert_eq!(
            explained(&b.decoder, &msg).len(),
            explained(&b.decoder, &message("FIX.4.4", &body)).len()
        );
    }
}

#[test]
fn wrong_lengths_and_sums_are_told_apart_and_the_next_message_is_read() {
    let good = message("FIX.4.4", "35=0|49=A|56=B|34=2|");
    let text = String::from_utf8(message("FIX.4.4", "35=0|49=A|56=B|34=1|")).unwrap();
    let (head, length) = ("8=FIX.4.4\x019=", "20");
    assert!(text.starts_with(&format!("{head}{length}\x01")), "{text:?}");
    for (wrong, bad) in [("21", 0), ("19", 0), ("5", 0), ("x", 0), ("", 0), ("0020", 1)] {
        let mut stream = text.replacen(length, wrong, 1).into_bytes();
        stream.extend_from_slice(&good);
        let (mut at, mut found, mut skipped) = (0, 0, 0);
        while at < stream.len() {
            match framing::scan(&stream[at..]) {
                Scan::Message { len, checksum_ok } => {
                    (at, found) = (at + len, found + 1);
                    // A length with zeros before it is read; only its sum is another.
                    assert!(checksum_ok || (bad == 1 && found == 1), "{wrong:?}");
                }
                Scan::Skip(len) => (at, skipped) = (at + len, skipped + len),
                Scan::NeedMore => panic!("{wrong:?} waits at {at}"),
            }
        }
        assert_eq!((found, skipped == 0), (1 + bad, bad == 1), "{wrong:?}");
    }
}
