//! What the datagrams of known venues have in common, so that a feed's section
//! need only name its profile and its templates.
//!
//! | profile | before the messages | previous values are forgotten |
//! |---|---|---|
//! | `moex` | a 32-bit little-endian number | before each message |
//! | `cme` (CME until 2016, CQG) | a 32-bit big-endian number, a subchannel | before each message |
//! | `eurex` (EMDI, MDI, RDI; Xetra, BSE) | a FAST message with the number ([`super::packet_header`]) | by template 120, which stands in no file |
//!
//! Sources: Moscow Exchange FAST market data specification; CME MDP FIX/FAST
//! core functionality; T7 Market and Reference Data Interfaces manual.

use super::decode::ResetPolicy;
use super::preamble::Preamble;

/// The profiles' names.
pub const NAMES: &str = "moex, cme, eurex";

/// How a venue's datagrams are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Bytes before the messages.
    pub preamble: Preamble,
    /// Whether the first message may be a packet header.
    pub packet_header: bool,
    /// When previous values are forgotten.
    pub reset: ResetPolicy,
    /// A template id that means so, though no template has it.
    pub implicit_template: Option<u32>,
}

impl Profile {
    /// The profile of a config's word.
    pub fn from_text(text: &str) -> Option<Self> {
        let preamble = |fields: &[&str]| Preamble::parse(fields).ok();
        Some(match text {
            "moex" => Self { preamble: preamble(&["u32le seq"])?, ..Self::default() },
            "cme" => {
                Self { preamble: preamble(&["u32be seq", "u8 subchannel"])?, ..Self::default() }
            }
            "eurex" => Self {
                packet_header: true,
                reset: ResetPolicy::Template,
                implicit_template: Some(120),
                ..Self::default()
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_one() {
        for name in NAMES.split(", ") {
            let profile = Profile::from_text(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(profile.packet_header, name == "eurex");
            assert_eq!(profile.preamble == Preamble::none(), name == "eurex");
        }
        assert_eq!(Profile::from_text("nyse"), None);
    }
}
