//! Key rules of the user: which fields say that two messages belong together.
//!
//! ```toml
//! [[correlate.key]]                          # a gateway that shortens ids
//! name = "gateway_token"
//! link = "relay"
//! of = [
//!   { protocol = "fix.*", fields = ["cl_ord_id | last 8 | upper"] },
//!   { protocol = "nasdaq.ouch.*", fields = ["cl_ord_id"] },
//! ]
//!
//! [[correlate.key]]                          # one port, addresses translated
//! name = "eti_ids"
//! link = "same"
//! of = [{ protocol = "eurex.eti.*", fields = ["msg_type", "seq", "cl_ord_id"] }]
//! ```
//!
//! Messages whose fields, changed as told, give the same texts have the same
//! key. `same`: they are one message at several points, whatever their
//! session is called there; repeats are paired in order. `relay`: their orders
//! are the two sides of a gateway. A message that lacks one of the fields has
//! no key, and the rules of the correlator apply.

use crate::observation::{Observation, stable_hash};
use crate::packed::{self, Lasting};
use crate::text::{TextId, Texts};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Most key rules.
pub const RULES_MAX: usize = 64;

/// Most fields of a key.
pub const FIELDS_MAX: usize = 8;

/// What a key rule joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Joins {
    /// One message at several points.
    Same,
    /// The two sides of a gateway.
    Relay,
}

/// One `[[correlate.key]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRule {
    /// The rule's name in `links`.
    pub name: String,
    /// What it joins.
    pub link: Joins,
    /// How the key of a message is made, by protocol.
    pub of: Vec<KeyOf>,
}

/// How the key of a protocol's messages is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyOf {
    /// Protocol id; a `*` at its end stands for any rest.
    pub protocol: String,
    /// Columns of `messages`, each with changes behind `|`: `first N`,
    /// `last N`, `after TEXT`, `before TEXT`, `upper`, `lower`, `digits`.
    pub fields: Vec<String>,
}

/// Columns that can be part of a key.
const COLUMNS: [&str; 16] = [
    "session",
    "channel",
    "seq",
    "msg_type",
    "symbol",
    "side",
    "price",
    "qty",
    "order_id",
    "orig_order_id",
    "match_id",
    "order_id_txt",
    "cl_ord_id",
    "orig_cl_ord_id",
    "exec_id",
    "account",
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    First(usize),
    Last(usize),
    After(String),
    Before(String),
    Upper,
    Lower,
    Digits,
}

#[derive(Clone, Debug)]
struct Field {
    column: &'static str,
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
struct Maker {
    rule: &'static str,
    /// Rules with one number make keys that can be equal.
    number: u64,
    joins: Joins,
    protocol: String,
    fields: Vec<Field>,
}

/// A key and the rule that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OwnKey {
    /// The rule's name.
    #[serde(with = "packed::lasting")]
    pub rule: Lasting,
    /// A number that equal keys share.
    pub key: u64,
}

/// The key rules of a run.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    makers: Vec<Maker>,
    /// Which of them are for a protocol.
    by_protocol: HashMap<TextId, Vec<usize>>,
}

impl Keys {
    /// The rules, those that are wrong left out (see [`check`]).
    pub fn new(rules: &[KeyRule]) -> Self {
        let mut makers = Vec::new();
        for (number, rule) in (0..).zip(rules.iter().take(RULES_MAX)) {
            for of in &rule.of {
                let fields: Result<Vec<Field>, String> =
                    of.fields.iter().map(|text| field(text)).collect();
                let Ok(fields) = fields else { continue };
                makers.push(Maker {
                    rule: packed::for_good(&rule.name),
                    number,
                    joins: rule.link,
                    protocol: of.protocol.clone(),
                    fields,
                });
            }
        }
        Self { makers, by_protocol: HashMap::new() }
    }

    /// The key of a message by the first rule that gives it one.
    pub fn of(&mut self, joins: Joins, obs: &Observation, texts: &Texts) -> Option<OwnKey> {
        if self.makers.is_empty() {
            return None;
        }
        let Self { makers, by_protocol } = self;
        let fitting = by_protocol.entry(obs.protocol).or_insert_with(|| {
            let protocol = texts.text(obs.protocol);
            let fits = |maker: &Maker| matches(&maker.protocol, protocol);
            (0..makers.len()).filter(|&ix| fits(&makers[ix])).collect()
        });
        let mut fitting = fitting.iter().filter_map(|&ix| makers.get(ix));
        fitting.find_map(|maker| {
            let key = (maker.joins == joins).then(|| maker.key(obs, texts)).flatten()?;
            Some(OwnKey { rule: maker.rule, key })
        })
    }
}

impl Maker {
    fn key(&self, obs: &Observation, texts: &Texts) -> Option<u64> {
        let mut key = stable_hash(&[self.number, self.fields.len() as u64]);
        for field in &self.fields {
            let mut text = value(field.column, obs, texts)?;
            for change in &field.changes {
                text = change.apply(text);
            }
            let bytes = text.bytes().map(u64::from).chain([text.len() as u64]);
            key = bytes.fold(key, |key, byte| stable_hash(&[key, byte]));
        }
        Some(key)
    }
}

impl Change {
    fn apply(&self, text: String) -> String {
        match self {
            Self::First(n) => text.chars().take(*n).collect(),
            Self::Last(n) => {
                let skipped = text.chars().count().saturating_sub(*n);
                text.chars().skip(skipped).collect()
            }
            Self::After(mark) => match text.split_once(mark.as_str()) {
                Some((_, rest)) => rest.to_owned(),
                None => text,
            },
            Self::Before(mark) => match text.split_once(mark.as_str()) {
                Some((start, _)) => start.to_owned(),
                None => text,
            },
            Self::Upper => text.to_uppercase(),
            Self::Lower => text.to_lowercase(),
            Self::Digits => text.chars().filter(char::is_ascii_digit).collect(),
        }
    }
}

/// The text of a column; `None` where it is null.
fn value(column: &str, obs: &Observation, texts: &Texts) -> Option<String> {
    let text = |id: TextId| id.some().map(|id| texts.text(id).to_owned());
    let number = |number: Option<u64>| number.map(|n| n.to_string());
    let decimal = |decimal: Option<i128>| decimal.map(|n| n.to_string());
    match column {
        "session" => text(obs.session),
        "channel" => obs.channel.map(|n| n.to_string()),
        "seq" => number(obs.seq),
        "msg_type" => text(obs.msg_type),
        "symbol" => text(obs.symbol),
        "side" => obs.side.map(|side| (side as u8).to_string()),
        "price" => decimal(obs.price.get()),
        "qty" => decimal(obs.qty.get()),
        "order_id" => number(obs.order_id),
        "orig_order_id" => number(obs.orig_order_id),
        "match_id" => number(obs.match_id),
        "order_id_txt" => text(obs.order_id_txt),
        "cl_ord_id" => text(obs.cl_ord_id),
        "orig_cl_ord_id" => text(obs.orig_cl_ord_id),
        "exec_id" => text(obs.exec_id),
        "account" => text(obs.account),
        _ => None,
    }
}

fn matches(pattern: &str, protocol: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == protocol, |start| protocol.starts_with(start))
}

fn field(text: &str) -> Result<Field, String> {
    let mut parts = text.split('|').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let column = COLUMNS.into_iter().find(|known| *known == name);
    let Some(column) = column else {
        return Err(format!("{name:?} is none of {}", COLUMNS.join(", ")));
    };
    let changes: Result<Vec<Change>, String> = parts.map(change).collect();
    Ok(Field { column, changes: changes? })
}

fn change(text: &str) -> Result<Change, String> {
    let (word, rest) = text.split_once(' ').map_or((text, ""), |(word, rest)| (word, rest.trim()));
    let count = || rest.parse().map_err(|_| format!("{text:?}: needs a number behind {word}"));
    let mark = || match rest {
        "" => Err(format!("{text:?}: needs a text behind {word}")),
        _ => Ok(rest.to_owned()),
    };
    match word {
        "first" => Ok(Change::First(count()?)),
        "last" => Ok(Change::Last(count()?)),
        "after" => Ok(Change::After(mark()?)),
        "before" => Ok(Change::Before(mark()?)),
        "upper" => Ok(Change::Upper),
        "lower" => Ok(Change::Lower),
        "digits" => Ok(Change::Digits),
        _ => Err(format!(
            "{text:?} is none of first N, last N, after TEXT, before TEXT, upper, lower, digits"
        )),
    }
}

/// What is wrong with the rules, every error at once.
pub fn check(rules: &[KeyRule]) -> Vec<String> {
    let mut wrong = Vec::new();
    if rules.len() > RULES_MAX {
        wrong.push(format!("[[correlate.key]]: {} rules, at most {RULES_MAX}", rules.len()));
    }
    for rule in rules {
        let place = format!("[[correlate.key]] {}", rule.name);
        if rule.name.is_empty() {
            wrong.push(format!("{place}: needs a name"));
        }
        if rule.of.is_empty() || rule.of.iter().any(|of| of.fields.is_empty()) {
            wrong.push(format!("{place}: needs fields of at least one protocol"));
        }
        for of in &rule.of {
            let place = format!("{place}, {}", of.protocol);
            if of.fields.len() > FIELDS_MAX {
                wrong.push(format!("{place}: at most {FIELDS_MAX} fields"));
            }
            let faults = of.fields.iter().filter_map(|text| field(text).err());
            wrong.extend(faults.map(|fault| format!("{place}: {fault}")));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use taptrail_decoders::kind::Kind;

    fn rule(fields: &[&str]) -> KeyRule {
        let fields = fields.iter().map(|text| (*text).to_owned()).collect();
        let of = vec![KeyOf { protocol: "fix.*".into(), fields }];
        KeyRule { name: "own".into(), link: Joins::Relay, of }
    }

    fn key(rule: &KeyRule, protocol: &str, id: &str) -> Option<u64> {
        let mut texts = Texts::new();
        let obs = Observation {
            protocol: texts.intern(protocol),
            cl_ord_id: texts.intern(id),
            ..Observation::empty(0, 0, Kind::ReqNew)
        };
        let mut keys = Keys::new(std::slice::from_ref(rule));
        assert_eq!(keys.of(Joins::Same, &obs, &texts), None);
        keys.of(Joins::Relay, &obs, &texts).map(|own| own.key)
    }

    #[test]
    fn changes_are_made_in_order() {
        let plain = key(&rule(&["cl_ord_id"]), "fix.4.4", "AB12");
        assert!(plain.is_some());
        for (changes, id) in [
            ("last 4 | upper", "xx-ab12"),
            ("after - | upper", "xx-ab12"),
            ("before _", "AB12_7"),
            ("first 4", "AB12345"),
        ] {
            let changed = rule(&[&format!("cl_ord_id | {changes}")]);
            assert_eq!(key(&changed, "fix.4.4", id), plain, "{changes}");
        }
        let digits = rule(&["cl_ord_id | digits"]);
        assert_eq!(key(&digits, "fix.4.4", "A1-2"), key(&digits, "fix.5.0", "12"));
    }

    #[test]
    fn a_message_without_a_field_or_of_another_protocol_has_no_key() {
        assert_eq!(key(&rule(&["cl_ord_id", "exec_id"]), "fix.4.4", "A"), None);
        assert_eq!(key(&rule(&["cl_ord_id"]), "nasdaq.ouch.5.0", "A"), None);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let wrong = check(&[rule(&["colour", "cl_ord_id | last x", "seq | turn"]), rule(&[])]);
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        assert!(wrong[0].contains("colour") && wrong[1].contains("number"), "{wrong:?}");
    }
}
