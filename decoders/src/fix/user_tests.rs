//! Tags of a user's own, secrets, and entries that are rows, through whole
//! messages.

use super::decode::{FixConfig, FixDecoder};
use super::tests::{head, message};
use super::user::UserTags;
use crate::batch::*;
use crate::config::FixTagConfig;
use crate::field::Value;
use crate::kind::{Kind, flags};
use crate::names::{Name, Names};

fn tags(text: &str) -> UserTags {
    #[derive(serde::Deserialize)]
    struct Section {
        tag: Vec<FixTagConfig>,
    }
    let section: Section = toml::from_str(text).unwrap();
    UserTags::new(&section.tag, &[]).unwrap()
}

fn decode(user: &UserTags, body: &str) -> (MessageBatch, Names) {
    let (mut batch, mut names) = (MessageBatch::new(), Names::new());
    names.intern(b"fix");
    let mut decoder = FixDecoder::new(FixConfig::default());
    let msg = message("FIX.5.0SP2", body);
    decoder.decode(&msg, &head(), user, &mut batch, &mut names).unwrap();
    (batch, names)
}

const VENUE: &str = "
    [[tag]]
    tag = 5979
    name = 'RequestTime'
    type = 'epoch-ns'
    column = 'ts_exch'
    [[tag]]
    tag = 9717
    column = 'trigger_seq'
    [[tag]]
    tag = 9001
    name = 'Desk'
    column = 'participant'
    [[tag]]
    tag = 9002
    secret = true";

#[test]
fn user_tags_fill_their_columns_over_the_standards() {
    let (batch, names) = decode(
        &tags(VENUE),
        "35=D|49=A|56=B|34=1|60=20240102-09:30:00|5979=1704187800000000123|9717=FEED:77|9001=D7|",
    );
    assert_eq!(batch.times(TimeCol::TsExch), [1_704_187_800_000_000_123]);
    assert_eq!(batch.ints(IntCol::TriggerSeq), [77]);
    assert_eq!(names.text(Name(batch.names(NameCol::Participant)[0])), "D7");
    assert_eq!(batch.flags(), [0]);
    let (batch, _) = decode(&tags(VENUE), "35=D|49=A|56=B|34=1|5979=soon|");
    assert_eq!(batch.flags(), [flags::IRREGULAR], "no time");
    assert_eq!(batch.present()[0] & TimeCol::TsExch.bit(), 0);
}

#[test]
fn a_user_tag_of_an_entry_is_that_entrys() {
    let (batch, names) = decode(
        &tags(VENUE),
        "35=X|49=A|56=B|34=1|9717=5|268=2|279=0|269=0|9001=one|279=0|269=1|9001=two|",
    );
    let name = |row: usize| names.text(Name(batch.names(NameCol::Participant)[row]));
    assert_eq!((batch.len(), name(0), name(1)), (2, "one", "two"));
    assert_eq!(batch.ints(IntCol::TriggerSeq), [5, 5]);
}

#[test]
fn user_tags_are_shown_by_name_and_type() {
    let decoder = FixDecoder::new(FixConfig::default());
    let msg = message("FIX.4.4", "35=D|5979=1704187800000000123|9001=D7|9002=hush|9003=x|");
    let explained = decoder.explain(&msg, &tags(VENUE));
    let value = |path: &str| explained.fields.iter().find(|f| f.path == path).map(|f| &f.value);
    assert_eq!(value("RequestTime"), Some(&Value::Time(1_704_187_800_000_000_123)));
    assert_eq!(value("Desk"), Some(&Value::Text("D7".into())));
    assert_eq!(value("9002"), Some(&Value::Text("***".into())));
    assert_eq!(value("9003"), Some(&Value::Text("x".into())));
}

#[test]
fn rows_that_keep_bytes_keep_no_secret_unless_asked() {
    let msg = message("FIXT.1.1", "35=A|49=A|56=B|34=1|95=3|96=a|b|553=me|554=pw|9002=x|");
    let hidden = FixDecoder::new(FixConfig::default()).masked(&msg, &tags(VENUE)).unwrap();
    let text = String::from_utf8(hidden).unwrap().replace('\x01', "|");
    assert!(text.contains("|95=*|96=***|553=**|554=**|9002=*|10="), "{text}");
    assert_eq!(text.len(), msg.len());
    let shown = FixDecoder::new(FixConfig { show_secrets: true });
    assert_eq!(shown.masked(&msg, &tags(VENUE)), None);
}

#[test]
fn fills_of_one_report_are_rows() {
    let (batch, _) = decode(
        &UserTags::default(),
        "35=8|49=V|56=A|34=1|37=9|17=E|150=F|39=2|55=ALFA|54=1|31=10.5|32=300|14=300|151=0|\
         1362=2|1363=E-1|1364=10|1365=100|1363=E-2|1364=10.75|1365=200|",
    );
    assert_eq!(batch.kind(), [Kind::RptFill as u8; 2]);
    assert_eq!(batch.decimals(DecimalCol::Price), [10_000_000_000, 10_750_000_000]);
    assert_eq!(batch.decimals(DecimalCol::Qty), [100_000_000_000, 200_000_000_000]);
    assert_eq!(batch.text(1, TextCol::ExecId), Some(&b"E-2"[..]));
    assert_eq!(batch.ints(IntCol::OrderId), [9, 9]);
}

#[test]
fn allocations_are_rows() {
    let (batch, names) = decode(
        &UserTags::default(),
        "35=J|49=A|56=B|34=1|70=x|54=1|55=ALFA|53=300|6=10|78=2|79=ACC1|366=10.1|80=100|79=ACC2|80=200|",
    );
    let account = |row: usize| names.text(Name(batch.names(NameCol::Account)[row]));
    assert_eq!((batch.len(), account(0), account(1)), (2, "ACC1", "ACC2"));
    assert_eq!(batch.decimals(DecimalCol::Qty), [100_000_000_000, 200_000_000_000]);
    assert_eq!(batch.decimals(DecimalCol::Price), [10_100_000_000, 10_000_000_000]);
}

#[test]
fn legs_are_part_of_their_one_event() {
    let (batch, names) = decode(
        &UserTags::default(),
        "35=8|49=V|56=A|34=1|37=9|17=E|150=F|39=2|55=SPREAD|54=1|31=2|32=5|\
         555=2|600=LEG1|624=1|637=10|600=LEG2|624=2|637=8|",
    );
    assert_eq!((batch.len(), batch.flags()), (1, &[0][..]));
    assert_eq!(names.text(Name(batch.names(NameCol::Symbol)[0])), "SPREAD");
    assert_eq!(batch.decimals(DecimalCol::Price), [2_000_000_000]);
}
