//! Why a frame gave no payload.

/// The header that stopped the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Ethernet, SLL or whatever the link type says.
    Link,
    /// A VLAN tag.
    Vlan,
    /// A tunnel's header.
    Tunnel,
    /// IPv4 header.
    Ipv4,
    /// IPv6 header or one of its extension headers.
    Ipv6,
    /// UDP header.
    Udp,
    /// TCP header.
    Tcp,
}

impl Layer {
    /// The layer's name in messages and counters.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Vlan => "vlan",
            Self::Tunnel => "tunnel",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// Why a frame gave no UDP or TCP payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The captured bytes end inside a header.
    #[error("{} header at byte {offset}: needs {needed} bytes, has {had}", layer.text())]
    Short {
        /// The header.
        layer: Layer,
        /// Its place in the frame.
        offset: u32,
        /// Bytes it needs from there.
        needed: u32,
        /// Bytes there are.
        had: u32,
    },
    /// A field of the header contradicts the rest.
    #[error("{} header at byte {offset}: {reason}", layer.text())]
    Invalid {
        /// The header.
        layer: Layer,
        /// Its place in the frame.
        offset: u32,
        /// What is wrong.
        reason: &'static str,
    },
    /// A protocol that carries no UDP or TCP this project reads.
    #[error("{} at byte {offset}: {name} (number {number})", layer.text())]
    Other {
        /// The header that names it.
        layer: Layer,
        /// Where its number stands.
        offset: u32,
        /// The number.
        number: u32,
        /// Its common name.
        name: &'static str,
    },
    /// A piece of an IP datagram that came in several.
    #[error("{} header at byte {offset}: {} fragment", layer.text(), if *first { "first" } else { "later" })]
    Fragment {
        /// IPv4 or IPv6.
        layer: Layer,
        /// Place of the header in the frame.
        offset: u32,
        /// Whether it is the one with the UDP or TCP header.
        first: bool,
    },
}

impl HeaderError {
    pub(crate) fn short(layer: Layer, offset: usize, needed: usize, had: usize) -> Self {
        Self::Short { layer, offset: offset as u32, needed: needed as u32, had: had as u32 }
    }

    pub(crate) fn invalid(layer: Layer, offset: usize, reason: &'static str) -> Self {
        Self::Invalid { layer, offset: offset as u32, reason }
    }

    /// Whether the headers made sense up to something that has a name.
    pub(super) fn names_its_content(&self) -> bool {
        match self {
            Self::Short { .. } | Self::Invalid { .. } => false,
            Self::Other { name, .. } => !name.ends_with("not read") && *name != "802.3 frame",
            Self::Fragment { .. } => true,
        }
    }

    /// A short text for counting: frames with the same text fail alike.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Short { layer: Layer::Link | Layer::Vlan, .. } => "link header cut short",
            Self::Short { layer: Layer::Tunnel, .. } => "tunnel header cut short",
            Self::Short { layer: Layer::Ipv4 | Layer::Ipv6, .. } => "ip header cut short",
            Self::Short { .. } => "transport header cut short",
            Self::Invalid { reason, .. } => reason,
            Self::Other { name, .. } => name,
            Self::Fragment { first: true, .. } => "ip fragment, first",
            Self::Fragment { first: false, .. } => "ip fragment, later",
        }
    }
}
