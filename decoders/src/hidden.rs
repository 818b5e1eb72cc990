//! What rows that keep the bytes of their message keep of its secrets: nothing.
//!
//! ```text
//! login cut by two segments   … 00 17 L u s e r s e c r e t … ─► raw  … 00 17 L u s e r * * * * * * …
//! ```
//!
//! A row keeps bytes only where they lie in no packet as a whole. FIX has its
//! own way, see [`crate::fix::secrets`].

use crate::field::{Explained, SECRET, Value};
use crate::fixed::explain::explain_with;
use crate::fixed::program::FieldDef;
use crate::fixed::protocol::FixedProtocol;
use crate::fixed::walk::{Step, What};
use crate::kind::Sender;
use crate::library::Library;
use crate::sbe;

/// Stands for every byte of a secret.
const HIDDEN: u8 = b'*';

/// The bytes of a message of the protocol with this number without its
/// secrets; `None` where it has none.
pub(crate) fn masked(
    library: &Library,
    protocol: u16,
    body: &[u8],
    sender: Option<Sender>,
) -> Option<Vec<u8>> {
    if let Some(fixed) = library.fixed_at(protocol) {
        let hides = has_secrets(fixed, body, sender);
        return hides.then(|| hide(&explain_with(fixed, body, sender, false), body));
    }
    let sbe = library.sbe_at(protocol).filter(|sbe| !sbe.overlay.secrets.is_empty())?;
    Some(hide(&sbe::explain::explain(sbe, body, false), body))
}

/// Whether the message's layout has a field that is hidden.
fn has_secrets(protocol: &FixedProtocol, body: &[u8], sender: Option<Sender>) -> bool {
    let found = protocol.choose(body, sender);
    let layout = found.and_then(|choice| protocol.layouts.get(choice.layout));
    layout.is_some_and(|layout| are_secret(&layout.fields) || lead_to_secrets(&layout.steps))
}

fn are_secret(fields: &[FieldDef]) -> bool {
    fields.iter().any(|field| field.ty.secret)
}

fn lead_to_secrets(steps: &[Step]) -> bool {
    steps.iter().any(|step| match &step.what {
        What::Text { secret, .. } => *secret,
        What::Once(shape) | What::Each { shape, .. } => {
            are_secret(&shape.fields) || lead_to_secrets(&shape.steps)
        }
        _ => false,
    })
}

/// The bytes with asterisks in the place of every secret field.
fn hide(explained: &Explained, body: &[u8]) -> Vec<u8> {
    let mut bytes = body.to_vec();
    let is_secret = |value: &Value| matches!(value, Value::Text(text) if text == SECRET);
    for field in explained.fields.iter().filter(|field| is_secret(&field.value)) {
        let end = field.offset.saturating_add(field.size) as usize;
        bytes.get_mut(field.offset as usize..end).unwrap_or_default().fill(HIDDEN);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::catalog::embedded;
    use crate::fixed::encode::{Seeded, message};

    #[test]
    fn a_login_keeps_everything_but_its_password() {
        let library = Library::shipped();
        let at = (0..).find(|at| library.id_of(*at) == Some("cboe.pitch-us.2.41")).unwrap();
        let login = b"\x16\x01SUB1USER  secretword";
        assert_eq!(masked(&library, at, login, None).unwrap(), b"\x16\x01SUB1USER  **********");
        assert_eq!(masked(&library, at, b"\x06\x97\x01\x02\x03\x04", None), None);
    }

    #[test]
    fn whatever_an_explanation_hides_is_hidden_here() {
        let mut hidden = 0;
        for protocol in embedded() {
            for layout in &protocol.layouts {
                let body = message(protocol, layout, &mut Seeded(layout.code + 7));
                let explained = explain_with(protocol, &body, layout.sender, false);
                let bytes = hide(&explained, &body);
                let differs = bytes != body;
                assert!(
                    !differs || has_secrets(protocol, &body, layout.sender),
                    "{} {}",
                    protocol.id(),
                    layout.name
                );
                hidden += usize::from(differs);
            }
        }
        assert!(hidden > 5, "{hidden}");
    }
}
