//! Who is where in the simulated site.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Sends the exchange's feed.
pub const PUBLISHER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 90, 1, 10), 31_000);
/// Group and port of feed line A.
pub const FEED_A: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(233, 54, 12, 101), 26_477);
/// Group and port of feed line B.
pub const FEED_B: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(233, 54, 12, 102), 26_477);
/// The exchange's order gateway.
pub const OUCH_SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 90, 1, 20), 15_000);
/// The risk gateway's side of the OUCH session.
pub const OUCH_CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 20, 6, 9), 40_001);
/// What the firewall makes of [`OUCH_CLIENT`] where it translates addresses.
pub const OUCH_CLIENT_TRANSLATED: SocketAddrV4 =
    SocketAddrV4::new(Ipv4Addr::new(10, 80, 0, 7), 51_117);
/// The risk gateway's side of the strategies' FIX sessions.
pub const FIX_SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 20, 5, 9), 9_101);
/// The risk gateway's side of the drop copy.
pub const DROP_SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 20, 5, 9), 9_201);
/// Who takes the drop copy.
pub const DROP_CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 20, 7, 30), 43_210);
/// The feed handler's side of the bus.
pub const BUS_SENDER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 20, 4, 5), 30_500);
/// Group and port of the bus.
pub const BUS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 10, 4, 1), 30_001);

/// A strategy's side of its FIX session.
pub fn strategy(index: usize) -> SocketAddrV4 {
    let number = index as u16 + 1;
    SocketAddrV4::new(Ipv4Addr::new(10, 20, 5, 100 + number as u8), 41_000 + number)
}
