//! Headers of declared framings in real packets, against a dissector of other
//! authors, and the messages they cut.

mod common;

use serde_json::Value;
use std::path::Path;
use taptrail_decoders::explain::{ExplainedMessage, PACKET_HEADER};

/// Folders of captures and the framing in them.
const CAPTURES: [(&str, &str); 24] = [
    ("Box", "hsvf"),
    ("Cboe/Byx.Equities.DepthOfBook.Pitch.v2.41", "cboe-suh"),
    ("Cboe/Futures.DepthOfBook.Pitch.v1.1.6", "cboe-suh"),
    ("Cboe/Options.DepthOfBook.Pitch.v2.39.4", "cboe-suh"),
    ("Cboe/Options.TopOfMarket.Csm.v1.4.4", "cboe-csm"),
    ("Eurex/Eobi.T7.v6.0", "eobi"),
    ("Ice/Mdf.iMpact.v1.1.24", "ice-impact"),
    ("Ice/Mdf.iMpact.v1.1.33", "ice-impact"),
    ("Iex/DeepPlus.IexTp.1.0.2", "iex-tp"),
    ("Imperative/IntelligentCross.Mdf.v1.11", "aspen"),
    ("Miax/MiaxOptions.cToM.v1.1", "mach"),
    ("Miax/OnyxFutures.ToM.v1.0", "mach"),
    ("Nyse/Arca.Options.TopFeed.Pillar.1.2.c", "xdp"),
    ("Nyse/Bbo.Xdp.v2.3a", "xdp"),
    ("Nyse/IntegratedFeed.Pillar.v2.5", "xdp"),
    ("Nyse/Nyse.Equities.OpenBook.Ultra.2.1.b", "ultra"),
    ("Otc/Ats.Headers", "otc-link"),
    ("Otc/Multicast.Ats.v4.3", "otc-link"),
    ("Siac/Cqs.Cta.v2.10.a", "cta-block"),
    ("Siac/Cts.Cta.v2.11.b", "cta-block"),
    ("Siac/Cts.Cta.v2.9", "cta-block"),
    ("Siac/Opra.Recipient.v6.2", "opra-block"),
    ("Tmx/Mx.Sola.1.14", "hsvf"),
    ("Tmx/Tmx.TsxTsxvLevel2.Xmt.v2.1", "xmt"),
];

#[test]
fn headers_and_messages_are_where_another_dissector_sees_them() {
    let Some(data) = common::data() else { return };
    let mut fields = 0;
    for (folder, framing) in CAPTURES {
        let entries = std::fs::read_dir(data.join("exchange").join(folder)).expect("folder");
        let paths = entries.map(|entry| entry.expect("entry").path());
        for path in paths.filter(|path| path.extension().is_some_and(|e| e == "pcap")) {
            fields += check(&path, framing);
        }
    }
    assert!(fields > 500, "{fields} fields");
}

/// Checks a capture's packets; says how many fields of headers agree.
fn check(path: &Path, framing: &str) -> usize {
    let messages = common::explain(path, Some(framing));
    // Only the protocol knows where a message of OPRA ends.
    for message in messages.iter().filter(|_| framing != "opra-block") {
        let known = message.name == PACKET_HEADER || message.msg_ix.is_some();
        assert!(known, "{}: {message:#?}", path.display());
    }
    let text = std::fs::read_to_string(path.with_extension("fields.json")).expect("answer");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let packets = answer["packets"].as_array().expect("packets");
    // There the dissector takes sequence and market segment for one number; no
    // document has it so.
    let udp = packets.iter().filter(|p| p["udp_src"].is_string() && framing != "eobi");
    udp.map(|packet| agreed(path, packet, &messages)).sum()
}

/// Every whole field that the dissector sees inside a header is one of ours.
fn agreed(path: &Path, packet: &Value, messages: &[ExplainedMessage]) -> usize {
    let number = packet["frame"].as_u64().expect("frame");
    let of = messages.iter().filter(|message| message.packet == number);
    let headers: Vec<_> = of.filter(|message| message.name == PACKET_HEADER).collect();
    let mut agreed = 0;
    for field in packet["fields"].as_array().expect("fields") {
        let (at, size) = (field["pos"].as_i64().expect("pos"), field["size"].as_i64().unwrap_or(0));
        let hex = field["hex"].as_str().unwrap_or_default();
        let inside =
            |m: &&&ExplainedMessage| at >= m.offset && at + size <= m.offset + i64::from(m.size);
        // Bits have no bytes of their own.
        let header =
            headers.iter().find(inside).filter(|_| hex.len() as i64 == 2 * size && size > 0);
        let Some(header) = header else { continue };
        let same = header.fields.iter().any(|f| f.offset == at && i64::from(f.size) == size);
        assert!(same, "{}: {field} in {header:#?}", path.display());
        agreed += 1;
    }
    agreed
}
