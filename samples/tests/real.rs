//! The encoders against packets of a real exchange, where these are at hand:
//! what a dissector says of a message, encoded, gives the message's bytes.

use serde_json::Value;
use std::path::{Path, PathBuf};
use taptrail_samples::encode::itch::{Head, Itch};
use taptrail_samples::encode::mold::MoldPacket;
use taptrail_samples::encode::ouch::{OrderTerms, Ouch};
use taptrail_samples::encode::soup;

/// The folder of real packets, or `None` with a word about it.
fn data() -> Option<PathBuf> {
    let named = std::env::var_os("TAPTRAIL_DATA").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = named.into_iter().chain(above.map(|dir| dir.join("shared/data")));
    let found = found.map(|dir| dir.join("exchange/Nasdaq")).find(|dir| dir.is_dir());
    if found.is_none() {
        println!("skipped: no real packets here");
    }
    found
}

/// The first packet of a sample: its payload and what a dissector says of it.
struct Sample {
    payload: Vec<u8>,
    fields: Vec<Value>,
}

impl Sample {
    fn read(stem: &Path) -> Self {
        let pcap = std::fs::read(stem.with_extension("pcap")).expect("capture");
        let text = std::fs::read_to_string(stem.with_extension("fields.json")).expect("fields");
        let json: Value = serde_json::from_str(&text).expect("JSON");
        let packet = &json["packets"][0];
        let number = |key: &str| packet[key].as_u64().expect("number") as usize;
        // File header 24, record header 16.
        let start = 40 + number("payload_pos");
        let payload = pcap[start..start + number("payload_len")].to_vec();
        Self { payload, fields: packet["fields"].as_array().expect("fields").clone() }
    }

    fn text(&self, name: &str) -> &'static str {
        let field = self.fields.iter().find(|field| field["name"] == name).expect(name);
        Box::leak(field["show"].as_str().expect("text").to_string().into_boxed_str())
    }

    fn number(&self, name: &str) -> u64 {
        self.text(name).parse().expect("number")
    }

    fn code(&self, name: &str) -> u8 {
        self.text(name).as_bytes()[0]
    }

    fn price_e4(&self, name: &str) -> u64 {
        let (whole, part) = self.text(name).split_once('.').expect("decimal");
        format!("{whole}{part:0<4}").parse().expect("number")
    }
}

#[test]
fn ouch_accepted() {
    let Some(dir) = data() else { return };
    let sample = Sample::read(&dir.join("Nasdaq.Nsm.Ouch.v5.0/OrderAcceptedMessage"));
    let firm = sample.text("firm").as_bytes();
    let weight = sample.text("bboweightindicator").as_bytes();
    let ouch = Ouch::Accepted {
        time: sample.number("timestamp"),
        user_ref: sample.number("userrefnum") as u32,
        terms: OrderTerms {
            side: sample.code("side"),
            quantity: sample.number("quantity") as u32,
            symbol: sample.text("symbol"),
            price_e4: sample.price_e4("price"),
            time_in_force: sample.code("timeinforce"),
            display: sample.code("display"),
            cl_ord_id: sample.text("clordid"),
        },
        reference: sample.number("orderreferencenumber"),
        state: sample.code("orderstate"),
        options: &[(2, firm), (18, weight)],
    };
    assert_eq!(soup::sequenced(&ouch.encode()), sample.payload);
}

#[test]
fn ouch_cancel() {
    let Some(dir) = data() else { return };
    let sample = Sample::read(&dir.join("Nasdaq.Nsm.Ouch.v5.0/CancelOrderMessage"));
    let ouch = Ouch::CancelRequest {
        user_ref: sample.number("userrefnum") as u32,
        quantity: sample.number("quantity") as u32,
    };
    assert_eq!(soup::unsequenced(&ouch.encode()), sample.payload);
}

#[test]
fn itch_add_over_mold() {
    let Some(dir) = data() else { return };
    let stem = "Nasdaq.Equities.TotalView.Itch.v5.0/AddOrderNoMpidAttributionMessage";
    let sample = Sample::read(&dir.join(stem));
    let itch = Itch::Add {
        reference: sample.number("orderreferencenumber"),
        side: sample.code("buysellindicator"),
        shares: sample.number("shares") as u32,
        stock: sample.text("stock"),
        price_e4: sample.price_e4("price") as u32,
    };
    let head = Head {
        locate: sample.number("stocklocate") as u16,
        tracking: sample.number("trackingnumber") as u16,
        time_ns: sample.number("timestamp"),
    };
    let mut body = Vec::new();
    itch.encode(head, &mut body);
    let mut mold = MoldPacket::new(sample.text("session"), sample.number("sequencenumber"));
    mold.push(&body);
    assert_eq!(mold.into_bytes(), sample.payload);
}
