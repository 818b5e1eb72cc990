//! SoupBinTCP 3.00 packets.
//!
//! ```text
//! length u16 (excludes itself) | type a1 | body
//! ```
//! Text fields: alphanumerics left-justified, numbers right-justified, both
//! padded with spaces. Source: SoupBinTCP 3.00, section "Logical Packets".

use crate::encode::put_alpha;

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(3 + body.len());
    out.extend_from_slice(&(1 + body.len() as u16).to_be_bytes());
    out.push(kind);
    out.extend_from_slice(body);
    out
}

/// Server: a sequenced message.
pub fn sequenced(body: &[u8]) -> Vec<u8> {
    packet(b'S', body)
}

/// Either side: an unsequenced message.
pub fn unsequenced(body: &[u8]) -> Vec<u8> {
    packet(b'U', body)
}

/// Client: log in to `session` (blank: the current one), asking for the
/// stream from `sequence` on (0: only new messages).
pub fn login_request(user: &str, password: &str, session: &str, sequence: u64) -> Vec<u8> {
    let mut body = Vec::with_capacity(46);
    put_alpha(&mut body, user, 6);
    put_alpha(&mut body, password, 10);
    body.extend_from_slice(format!("{session:>10}{sequence:>20}").as_bytes());
    packet(b'L', &body)
}

/// Server: logged in; the next sequenced message has number `sequence`.
pub fn login_accepted(session: &str, sequence: u64) -> Vec<u8> {
    packet(b'A', format!("{session:>10}{sequence:>20}").as_bytes())
}

/// Server: not logged in: `A` not authorised, `S` session not available.
pub fn login_rejected(reason: u8) -> Vec<u8> {
    packet(b'J', &[reason])
}

/// Server: still here.
pub fn server_heartbeat() -> Vec<u8> {
    packet(b'H', &[])
}

/// Client: still here.
pub fn client_heartbeat() -> Vec<u8> {
    packet(b'R', &[])
}

/// Client: log out.
pub fn logout_request() -> Vec<u8> {
    packet(b'O', &[])
}

/// Server: the session is over.
pub fn end_of_session() -> Vec<u8> {
    packet(b'Z', &[])
}

/// Either side: free text.
pub fn debug(text: &str) -> Vec<u8> {
    packet(b'+', text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_request_is_49_bytes() {
        let bytes = login_request("GWAY1", "secret", "", 1);
        let mut expected = b"\x00\x2FLGWAY1 secret              ".to_vec();
        expected.extend_from_slice(b"                   1");
        assert_eq!(bytes, expected);
        assert_eq!(bytes.len(), 49);
    }

    #[test]
    fn login_accepted_is_33_bytes() {
        let bytes = login_accepted("OU1", 12);
        assert_eq!(&bytes[..13], b"\x00\x1FA       OU1");
        assert_eq!(&bytes[13..], b"                  12");
    }

    #[test]
    fn data_and_signs_of_life() {
        assert_eq!(sequenced(b"xy"), b"\x00\x03Sxy");
        assert_eq!(unsequenced(b""), b"\x00\x01U");
        assert_eq!(server_heartbeat(), b"\x00\x01H");
        assert_eq!(client_heartbeat(), b"\x00\x01R");
        assert_eq!(logout_request(), b"\x00\x01O");
        assert_eq!(end_of_session(), b"\x00\x01Z");
        assert_eq!(login_rejected(b'A'), b"\x00\x02JA");
        assert_eq!(debug("hi"), b"\x00\x03+hi");
    }
}
