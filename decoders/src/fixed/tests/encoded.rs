//! Messages made up from the shipped files: each is read as it was written.

use crate::field::{SECRET, Value};
use crate::fixed::catalog::embedded;
use crate::fixed::encode::{Seeded, message};
use crate::fixed::explain::explain;
use crate::fixed::tests::rows::Rows;
use crate::kind::flags;

/// Messages of each layout: enough to meet every condition.
const ROUNDS: u64 = 12;

#[test]
fn every_message_of_every_file_is_known_whole() {
    for protocol in embedded() {
        let mut rows = Rows::new(protocol.clone());
        for layout in &protocol.layouts {
            let mut dice = Seeded(layout.code + 1);
            for _ in 0..ROUNDS {
                let body = message(protocol, layout, &mut dice);
                let what = format!("{} {} {body:02x?}", protocol.id(), layout.name);
                let explained = explain(protocol, &body, layout.sender);
                assert_eq!(explained.error, None, "{what}");
                assert_eq!(explained.name, layout.name, "{what}");
                assert!(
                    explained.fields.iter().all(|f| f.name != "unknown"
                        || f.path.contains('[')
                        || !layout.steps.is_empty()),
                    "{what}"
                );
                rows.batch.clear();
                rows.decode(&[(body, 0)], layout.sender, 1);
                let bad = flags::DECODE_ERROR | flags::IRREGULAR | flags::UNKNOWN_TYPE;
                assert!(rows.batch.flags().iter().all(|flags| flags & bad == 0), "{what}");
            }
        }
    }
}

#[test]
fn what_is_behind_the_fixed_part_tells_a_messages_size() {
    for protocol in embedded() {
        for layout in protocol.messages() {
            let mut dice = Seeded(layout.code + 3);
            let body = message(protocol, layout, &mut dice);
            assert_eq!(protocol.size_of(&body, layout.sender), Some(body.len()));
        }
    }
}

/// What logins carry, by the names that documents give it.
const CREDENTIALS: [&str; 2] = ["password", "passcode"];

#[test]
fn passwords_of_every_file_are_hidden() {
    let sessions = crate::framing::catalog::embedded();
    let sessions = sessions.iter().filter_map(|framing| framing.session.as_ref());
    let mut hidden = 0;
    for protocol in embedded().iter().chain(sessions) {
        for layout in &protocol.layouts {
            let mut dice = Seeded(layout.code + 5);
            let body = message(protocol, layout, &mut dice);
            for field in explain(protocol, &body, layout.sender).fields {
                if CREDENTIALS.iter().any(|word| field.name.ends_with(word)) {
                    let what = format!("{} {}.{}", protocol.id(), layout.name, field.path);
                    assert_eq!(field.value, Value::Text(SECRET.to_owned()), "{what}");
                    hidden += 1;
                }
            }
        }
    }
    assert!(hidden > 10, "{hidden}");
}
