//! Whatever the bytes: no panic, no endless loop, and rows and fields agree.

use proptest::prelude::*;

use super::*;

/// Every type under every operator that applies to it.
fn all_kinds() -> Arc<Templates> {
    let mut fields = String::new();
    let mut add = |kind: &str, operators: &[&str]| {
        for presence in ["mandatory", "optional"] {
            for operator in operators {
                let name = format!("{kind}{presence}{}", fields.len());
                fields +=
                    &format!("<{kind} name=\"{name}\" presence=\"{presence}\">{operator}</{kind}>");
            }
        }
    };
    let numbers = [
        "",
        "<copy/>",
        "<increment/>",
        "<delta/>",
        "<default value=\"1\"/>",
        "<constant value=\"2\"/>",
    ];
    add("uInt32", &numbers);
    add("int64", &numbers);
    add("uInt64", &numbers);
    add(
        "decimal",
        &[
            "",
            "<copy/>",
            "<delta/>",
            "<default value=\"1.5\"/>",
            "<exponent><copy/></exponent><mantissa><delta/></mantissa>",
        ],
    );
    add("string", &["", "<copy/>", "<tail/>", "<delta/>", "<default value=\"q\"/>"]);
    add("byteVector", &["", "<copy/>", "<tail/>", "<delta/>"]);
    let xml = format!(
        "<template name=\"A\" id=\"1\">{fields}</template>
         <template name=\"B\" id=\"2\"><uInt32 name=\"MsgSeqNum\"/>
           <sequence name=\"E\"><decimal name=\"Price\"><delta/></decimal><string name=\"Symbol\"><copy/></string>
             <group name=\"G\" presence=\"optional\"><uInt32 name=\"Qty\"><copy/></uInt32></group>
             <sequence name=\"I\" presence=\"optional\"><int32 name=\"n\"><delta/></int32></sequence>
           </sequence></template>
         <template name=\"C\" id=\"3\"><templateRef/><templateRef name=\"B\"/></template>
         <template name=\"D\" id=\"4\"><string name=\"OrderID\"><delta/></string><string name=\"ClOrdID\"><tail value=\"x\"/></string>
           <uInt64 name=\"SendingTime\" presence=\"optional\"/><string name=\"TransactTime\" presence=\"optional\"/>
           <string name=\"Side\"/><int32 name=\"MDPriceLevel\"/><uInt32 name=\"MDUpdateAction\"/></template>"
    );
    templates(&xml)
}

fn policy() -> impl Strategy<Value = ResetPolicy> {
    use ResetPolicy::{Datagram, Message, Never, Template};
    prop::sample::select(vec![Never, Message, Datagram, Template])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn random_bytes(
        id in 1u8..5,
        policy in policy(),
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..6),
    ) {
        let mut pair = Pair::new(&all_kinds(), policy);
        for bytes in messages {
            let mut message = vec![0x7f, 0x3f | 0x80, 0x80 | id];
            message.extend(bytes);
            let _ = pair.decode(&message);
        }
    }

    #[test]
    fn every_prefix_and_every_flipped_bit(seed in prop::collection::vec(0x80u8..0x90, 60)) {
        let mut pair = Pair::new(&all_kinds(), ResetPolicy::Message);
        let mut message = vec![0xc0, 0x82, 0x85, 0x82];
        message.extend(seed);
        for len in 0..message.len().min(24) {
            let _ = pair.decode(&message[..len]);
        }
        for bit in 0..24 * 8 {
            message[bit / 8] ^= 1 << (bit % 8);
            let _ = pair.decode(&message);
            message[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn template_files_of_random_text(text in "[<>/a-z \"=]{0,80}", cut in 0usize..400) {
        let _ = Templates::parse("t.xml", &text);
        let xml = "<templates><template name=\"T\" id=\"1\"><sequence name=\"S\"><length name=\"N\"/>\
                   <decimal name=\"d\"><exponent><copy value=\"-2\"/></exponent></decimal></sequence>\
                   </template></templates>";
        let mut torn = xml[..cut.min(xml.len())].to_string();
        let _ = Templates::parse("t.xml", &torn);
        torn.push_str(&text);
        let _ = Templates::parse("t.xml", &torn);
    }
}
