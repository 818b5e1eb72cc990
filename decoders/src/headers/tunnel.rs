//! What a packet is wrapped in, from the outside in.
//!
//! ```text
//! Ethernet │ IP │ UDP 4789 │ VXLAN │ Ethernet │ MPLS │ IP │ TCP │ payload
//!            └ outer addresses ┘     path: vxlan>mpls  └ Segment ┘
//! ```
//!
//! IP in IP (RFC 2003, 2473, 4213), MPLS in IP (RFC 4023), and the tunnels over
//! UDP by their registered ports: VXLAN (RFC 7348), Geneve (RFC 8926), GTP-U
//! (3GPP TS 29.281), GRE (RFC 8086) and MPLS (RFC 7510). A port is only a hint:
//! where the tunnel's header or what it carries is not one, the datagram is
//! taken for what it is.

use super::bytes::take;
use super::error::{HeaderError, Layer};
use super::ip::Network;
use super::link::{self, Link};
use super::{Segment, gre, mpls};
use std::fmt;
use std::net::IpAddr;

/// Most wrappings followed in one packet.
pub const TUNNELS_MAX: usize = 8;

/// A wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tunnel {
    /// A stack of MPLS labels.
    Mpls,
    /// Ethernet behind MPLS labels.
    Pseudowire,
    /// GRE around IP, Ethernet, MPLS or PPP.
    Gre,
    /// ERSPAN type I: a mirrored frame in GRE.
    ErspanI,
    /// ERSPAN type II.
    ErspanII,
    /// ERSPAN type III.
    ErspanIII,
    /// VXLAN.
    Vxlan,
    /// Geneve.
    Geneve,
    /// GTP-U.
    GtpU,
    /// IPv4 or IPv6 directly in IP.
    IpInIp,
}

impl Tunnel {
    /// The name in the `flows` table.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Mpls => "mpls",
            Self::Pseudowire => "pseudowire",
            Self::Gre => "gre",
            Self::ErspanI => "erspan1",
            Self::ErspanII => "erspan2",
            Self::ErspanIII => "erspan3",
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::GtpU => "gtp-u",
            Self::IpInIp => "ip-in-ip",
        }
    }
}

/// The wrappings of a packet, outermost first. Shown as `geneve>vxlan`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path {
    tunnels: [Option<Tunnel>; TUNNELS_MAX],
    /// Source and destination of the outermost IP header, where another is
    /// inside.
    pub outer: Option<(IpAddr, IpAddr)>,
}

impl Path {
    /// The wrappings, outermost first.
    pub fn tunnels(&self) -> impl Iterator<Item = Tunnel> {
        self.tunnels.into_iter().flatten()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tunnels.first().is_none_or(Option::is_none)
    }

    /// Goes one deeper.
    ///
    /// # Errors
    /// Where that is too deep.
    pub(super) fn enter(&mut self, tunnel: Tunnel, offset: usize) -> Result<(), HeaderError> {
        match self.tunnels.iter_mut().find(|tunnel| tunnel.is_none()) {
            Some(free) => {
                *free = Some(tunnel);
                Ok(())
            }
            None => Err(HeaderError::invalid(Layer::Tunnel, offset, "too many tunnels")),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, tunnel) in self.tunnels().enumerate() {
            let between = if depth == 0 { "" } else { ">" };
            write!(f, "{between}{}", tunnel.text())?;
        }
        Ok(())
    }
}

/// The next IP header behind the one at hand, where its protocol is a wrapping.
///
/// # Errors
/// Where a header is cut short or carries something other than IP.
pub(super) fn in_ip(
    frame: &[u8],
    network: &Network,
    path: &mut Path,
) -> Option<Result<Link, HeaderError>> {
    let at = network.offset;
    let link = match network.protocol {
        4 | 41 => path.enter(Tunnel::IpInIp, at).map(|()| Link::at(at)),
        47 => gre::parse(frame, at, path),
        137 => mpls::parse(frame, at, path),
        _ => return None,
    };
    Some(link.map(|link| link.within(network.end)))
}

/// The next IP header inside a datagram, where its ports are those of a tunnel
/// and its header is one.
pub(super) fn in_udp(
    frame: &[u8],
    segment: &Segment,
    path: &mut Path,
) -> Option<Result<Link, HeaderError>> {
    let at = segment.payload.start;
    let link = match (segment.src_port, segment.dst_port) {
        (_, 4789) => vxlan(frame, at, path)?,
        (_, 6081) => geneve(frame, at, path)?,
        (_, 2152) | (2152, _) => gtp_u(frame, at, path)?,
        (_, 4754) => gre::parse(frame, at, path),
        (_, 6635) => mpls::parse(frame, at, path),
        _ => return None,
    };
    Some(link.map(|link| link.within(at + segment.wire_len as usize)))
}

/// ```text
/// flags 1 (0x08: has a network) · reserved 3 · network 3 · reserved 1 │ Ethernet
/// ```
fn vxlan(frame: &[u8], at: usize, path: &mut Path) -> Option<Result<Link, HeaderError>> {
    let header: [u8; 8] = take(frame, at, Layer::Tunnel).ok()?;
    if header[0] & 0x08 == 0 {
        return None;
    }
    let entered = path.enter(Tunnel::Vxlan, at);
    Some(entered.and_then(|()| link::ethernet(frame, at + 8, path)))
}

/// ```text
/// version 2 bits · option words 6 bits · flags 1 · type 2 · network 3 · reserved 1 │ options │ type's
/// ```
fn geneve(frame: &[u8], at: usize, path: &mut Path) -> Option<Result<Link, HeaderError>> {
    let header: [u8; 8] = take(frame, at, Layer::Tunnel).ok()?;
    if header[0] >> 6 != 0 {
        return None;
    }
    let inner = at + 8 + usize::from(header[0] & 0x3F) * 4;
    let ethertype = u16::from_be_bytes([header[2], header[3]]);
    let entered = path.enter(Tunnel::Geneve, at);
    Some(entered.and_then(|()| link::of_type(frame, ethertype, at + 2, inner, path)))
}

/// Most extension headers followed in one GTP-U header.
const GTP_EXTENSIONS_MAX: usize = 8;

/// ```text
/// version 3 bits (1) · GTP 1 · 0 · E S P · type 1 (255: user data) · length 2 · endpoint 4
/// [where E, S or P: sequence 2 · N-PDU 1 · next 1 │ extension: words 1 · … · next 1]
/// ```
fn gtp_u(frame: &[u8], at: usize, path: &mut Path) -> Option<Result<Link, HeaderError>> {
    let header: [u8; 8] = take(frame, at, Layer::Tunnel).ok()?;
    if header[0] >> 4 != 3 || header[1] != 255 {
        return None;
    }
    let mut inner = at + 8;
    if header[0] & 7 != 0 {
        let optional: [u8; 4] = take(frame, inner, Layer::Tunnel).ok()?;
        inner += 4;
        let mut next = if header[0] & 4 != 0 { optional[3] } else { 0 };
        for _ in 0..GTP_EXTENSIONS_MAX {
            if next == 0 {
                break;
            }
            let [words] = take::<1>(frame, inner, Layer::Tunnel).ok()?;
            inner += usize::from(words.max(1)) * 4;
            [next] = take(frame, inner - 1, Layer::Tunnel).ok()?;
        }
    }
    Some(path.enter(Tunnel::GtpU, at).map(|()| Link::at(inner)))
}
