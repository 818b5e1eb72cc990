//! `flows`: one row a direction between two addresses in a capture.
//!
//! ```text
//! flow 3 | udp | 10.0.0.1:26400 -> 233.54.12.101:26477 | nasdaq.totalview-itch.5.0 | certain
//! ```

use crate::tables::row::{Name, Null, Plain, Text, Time, U16, U32, U64, rows};

rows! {
    /// A flow. Its point stands in the path.
    FlowRow in "flows" {
        /// The capture.
        capture_id: u64 as U64,
        /// Number of the flow in its capture, from 0.
        flow_id: u32 as U32,
        /// udp, tcp; ethernet for PTP without IP.
        transport: Text as Name,
        /// Source address as text.
        src_addr: Text as Plain,
        /// Source port; null without ports.
        src_port: Option<u16> as Null<U16>,
        /// Destination address as text.
        dst_addr: Text as Plain,
        /// Destination port; null without ports.
        dst_port: Option<u16> as Null<U16>,
        /// VLAN id of the innermost tag.
        vlan: Option<u16> as Null<U16>,
        /// What its first packet came wrapped in, outermost first: geneve>vxlan; null where nothing.
        tunnel: Option<Text> as Null<Name>,
        /// Source address of the outermost IP header of a tunnel.
        outer_src: Option<Text> as Null<Plain>,
        /// Destination address of the outermost IP header of a tunnel.
        outer_dst: Option<Text> as Null<Plain>,
        /// Protocol id; null where it was not recognised.
        protocol: Option<Text> as Null<Name>,
        /// How the protocol is known: configured, certain or guess; null where it is not.
        recognised: Option<Text> as Null<Name>,
        /// Feed line, where configured.
        line: Option<Text> as Null<Name>,
        /// Packets.
        packets: u64 as U64,
        /// Payload bytes.
        bytes: u64 as U64,
        /// Messages decoded.
        messages: u64 as U64,
        /// First packet's time.
        first_ts: i64 as Time,
        /// Last packet's time.
        last_ts: i64 as Time,
        /// Runs of missing messages or bytes.
        gaps: u64 as U64,
        /// Messages missing (bytes for TCP).
        missing: u64 as U64,
        /// Packets or messages that could not be decoded to their end.
        errors: u64 as U64,
        /// What else is to say.
        note: Option<Text> as Null<Plain>,
    }
}
