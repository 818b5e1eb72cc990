//! Which clocks can stamp an interface's packets, and which one is set to.
//!
//! ```text
//! ETHTOOL_GET_TS_INFO   can: rx_hardware, raw_hardware, rx_software · filters · phc 0
//! SIOCGHWTSTAMP         set: none | all | some (only packets of a kind, such as PTP's)
//! ```
//!
//! That an adapter is set to stamp is not that it stamped: each packet of a ring
//! says so itself.

use super::{SIOCETHTOOL, ask};

/// `ETHTOOL_GET_TS_INFO`; its struct is 11 words.
const GET_TS_INFO: u32 = 0x41;

/// `SIOCGHWTSTAMP`; its struct is three integers.
const SIOCGHWTSTAMP: libc::c_ulong = 0x89b1;

/// What an interface says of its stamps; `None` where it does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// `SOF_TIMESTAMPING_*` bits that it can.
    pub can: Option<u32>,
    /// Its own clock: `/dev/ptpN`.
    pub phc: Option<u32>,
    /// Bit n: it can stamp by `HWTSTAMP_FILTER_*` number n.
    pub filters: Option<u32>,
    /// The filter that is set: 0 stamps nothing, 1 every packet.
    pub filter: Option<u32>,
}

/// Bits of `SOF_TIMESTAMPING_*` and their words.
const CAN: [(u32, &str); 4] = [
    (libc::SOF_TIMESTAMPING_RX_HARDWARE, "rx_hardware"),
    (libc::SOF_TIMESTAMPING_RAW_HARDWARE, "raw_hardware"),
    (libc::SOF_TIMESTAMPING_RX_SOFTWARE, "rx_software"),
    (libc::SOF_TIMESTAMPING_SOFTWARE, "software"),
];

impl Stamps {
    /// Asks an interface.
    pub fn ask(interface: &str) -> Self {
        let mut stamps = Self::default();
        // The kernel writes a struct of 11 words.
        let mut words = [0; 11];
        words[0] = GET_TS_INFO;
        if ask(interface, SIOCETHTOOL, &mut words).is_ok() {
            let [_, can, phc, _, _, _, _, filters, ..] = words;
            stamps.can = Some(can);
            // -1, as a signed number, is no clock.
            stamps.phc = Some(phc).filter(|phc| *phc <= i32::MAX as u32);
            stamps.filters = Some(filters);
        }
        // The kernel writes flags, kind of sending, filter.
        let mut words = [0; 3];
        if ask(interface, SIOCGHWTSTAMP, &mut words).is_ok() {
            stamps.filter = Some(words[2]);
        }
        stamps
    }

    /// Whether the adapter can stamp every packet with its own clock.
    pub fn can_stamp_all(&self) -> bool {
        let needed = libc::SOF_TIMESTAMPING_RX_HARDWARE | libc::SOF_TIMESTAMPING_RAW_HARDWARE;
        let all = 1 << libc::HWTSTAMP_FILTER_ALL;
        self.can.is_some_and(|can| can & needed == needed)
            && self.filters.is_some_and(|filters| filters & all != 0)
    }

    /// As words: `can:rx_hardware+…|filters:none+all+some|phc:0|set:all`.
    pub fn text(&self) -> String {
        let mut words = Vec::new();
        match self.can {
            Some(can) => {
                let can = CAN.iter().filter(|(bit, _)| can & bit != 0).map(|(_, word)| *word);
                words.push(format!("can:{}", can.collect::<Vec<_>>().join("+")));
            }
            None => words.push("can:unknown".to_string()),
        }
        if let Some(filters) = self.filters.filter(|filters| *filters != 0) {
            let kinds = [(filters & 1, "none"), (filters & 2, "all"), (filters >> 2, "some")];
            let kinds = kinds.iter().filter(|(bits, _)| *bits != 0).map(|(_, word)| *word);
            words.push(format!("filters:{}", kinds.collect::<Vec<_>>().join("+")));
        }
        words.extend(self.phc.map(|phc| format!("phc:{phc}")));
        words.push(format!("set:{}", self.filter.map_or("unknown", filter_word)));
        words.join("|")
    }
}

fn filter_word(filter: u32) -> &'static str {
    match filter {
        0 => "none",
        1 => "all",
        _ => "some",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_that_can() {
        let can = CAN.iter().map(|(bit, _)| bit).sum();
        let stamps = Stamps { can: Some(can), phc: Some(2), filters: Some(0b111), filter: Some(1) };
        assert!(stamps.can_stamp_all());
        assert_eq!(
            stamps.text(),
            "can:rx_hardware+raw_hardware+rx_software+software|filters:none+all+some|phc:2|set:all"
        );
        assert!(!Stamps { filters: Some(0b101), ..stamps }.can_stamp_all());
    }

    #[test]
    fn nobody_answers_for_no_interface() {
        let stamps = Stamps::ask("no-such-interface");
        assert_eq!(stamps, Stamps::default());
        assert!(!stamps.can_stamp_all());
        assert_eq!(stamps.text(), "can:unknown|set:unknown");
        let none = Stamps { can: Some(0), filters: Some(0), ..stamps };
        assert_eq!(none.text(), "can:|set:unknown");
    }

    #[test]
    fn the_loopback_stamps_in_software() {
        let stamps = Stamps::ask("lo");
        if let Some(can) = stamps.can {
            assert_ne!(can & libc::SOF_TIMESTAMPING_RX_SOFTWARE, 0);
            assert!(!stamps.can_stamp_all());
        }
    }
}
