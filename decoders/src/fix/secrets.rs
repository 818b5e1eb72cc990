//! What is not shown unless asked for: user names, passwords, and the fields
//! that carry them (FIX 4.0 to 5.0 SP2, "Logon", "UserRequest").
//!
//! ```text
//! 35=A␁…␁553=me␁554=secret␁     shown   554 = ***
//!                               stored  554=******␁   where a row keeps the bytes itself
//! ```
//!
//! Packets keep their bytes: a capture is evidence, and who may read it may
//! read everything in it.

use memchr::memchr;

use super::SOH;
use super::dictionary::Dictionary;
use super::fields::Fields;
use super::user::UserTags;

/// Whether a tag's value is secret in messages of a type: Username, Password,
/// NewPassword, the encrypted passwords with their lengths and method
/// (1400–1404), and where passwords are sent as RawData also that (95, 96).
pub fn is_secret(tag: u32, msg_type: &[u8], user: &UserTags) -> bool {
    match tag {
        553 | 554 | 925 | 1400..=1404 => true,
        95 | 96 => matches!(msg_type, b"A" | b"BE"),
        _ => user.get(tag).is_some_and(|tag| tag.secret),
    }
}

/// Overwrites the secret values of one message; says whether there were any.
pub fn mask(msg: &mut [u8], dictionary: &Dictionary, user: &UserTags) -> bool {
    let mut places = Vec::new();
    let mut msg_type: &[u8] = b"";
    for field in Fields::new(msg, dictionary) {
        if field.tag == 35 && msg_type.is_empty() {
            msg_type = field.value(msg);
        }
        if is_secret(field.tag, msg_type, user) {
            places.push(field.value as usize..field.end as usize);
        }
    }
    let any = !places.is_empty();
    for place in places {
        msg.get_mut(place).unwrap_or_default().fill(b'*');
    }
    any
}

/// As [`mask`], for bytes that are no whole message: whatever stands between a
/// secret tag after an SOH and the next one. Of tag 96 nothing is known here;
/// it counts as secret.
pub fn mask_loose(bytes: &mut [u8]) -> bool {
    const TAGS: [&[u8]; 10] = [
        b"553=", b"554=", b"925=", b"1400=", b"1401=", b"1402=", b"1403=", b"1404=", b"95=", b"96=",
    ];
    let (mut at, mut any) = (0, false);
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
        let end = memchr(SOH, rest).unwrap_or(rest.len());
        if let Some(tag) = TAGS.iter().find(|tag| rest.starts_with(tag)) {
            rest.get_mut(tag.len()..end).unwrap_or_default().fill(b'*');
            any = true;
        }
        at += end + 1;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fix::dictionary::Version;

    fn masked(text: &str) -> String {
        let mut msg = text.replace('|', "\x01").into_bytes();
        mask(&mut msg, Dictionary::of(Version::Fix50Sp2), &UserTags::default());
        String::from_utf8(msg).unwrap().replace('\x01', "|")
    }

    #[test]
    fn every_secret_of_a_logon_is_overwritten_and_keeps_its_length() {
        assert_eq!(
            masked(
                "35=A|553=me|554=secret|925=new|95=3|96=a|b|1400=1|1401=2|1402=xy|1403=2|1404=zz|58=t|"
            ),
            "35=A|553=**|554=******|925=***|95=*|96=***|1400=*|1401=*|1402=**|1403=*|1404=**|58=t|"
        );
        assert_eq!(masked("35=BE|95=1|96=a|"), "35=BE|95=*|96=*|");
    }

    #[test]
    fn raw_data_elsewhere_is_no_secret() {
        assert_eq!(masked("35=B|95=2|96=ab|554=x|"), "35=B|95=2|96=ab|554=*|");
    }

    #[test]
    fn bytes_that_are_no_message_keep_no_secret_either() {
        let mut bytes = b"554=half\x0110=\x0135=A\x01554=whole\x01955=no\x0196=cut".to_vec();
        assert!(mask_loose(&mut bytes));
        assert_eq!(bytes, b"554=****\x0110=\x0135=A\x01554=*****\x01955=no\x0196=***");
        assert!(!mask_loose(&mut b"GET / HTTP".to_vec()));
    }
}
