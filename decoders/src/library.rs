//! The protocols a decoder knows, loaded and checked once, shared by all.
//!
//! ```text
//! shipped protocol files ┐
//! shipped framing files   │
//! protocols.d/*.toml     ├─► Library ─► Decoder, Explainer
//! schemas/*.xml (FAST)   │
//! overlays, schemas (SBE) ┘
//! ```

use crate::config::{DecoderConfig, FeedConfig, FixTagConfig, PreambleConfig};
use crate::fast::decode::ResetPolicy;
use crate::fast::feed::FastFeed;
use crate::fast::packet_header::PacketHeader;
use crate::fast::preamble::{Preamble, PreambleError};
use crate::fast::profiles::{self, Profile};
use crate::fast::templates::{TemplateError, Templates};
use crate::fix::user::{UserTagError, UserTags};
use crate::fixed::catalog;
use crate::fixed::error::SpecError;
use crate::fixed::protocol::FixedProtocol;
use crate::fixed::shelf::ShelvedProtocol;
use crate::framing::declared::Framing;
use crate::framing::{self, moldudp64};
use crate::kind::Sender;
use crate::protocol_set::{PROTOCOLS_MAX, ProtocolSet};
use crate::sbe;
use crate::sbe::overlay::Overlay;
use crate::sbe::protocol::SbeProtocol;
use crate::sbe::shape::Schema;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Something wrong in a configuration or a file that it names.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A protocol file.
    #[error("{0}")]
    Protocol(#[from] SpecError),
    /// A protocol names a framing that nothing here knows.
    #[error("protocol {id}: framing {framing:?} is not known; known are {known}")]
    Framing {
        /// The protocol.
        id: String,
        /// The framing it names.
        framing: String,
        /// Those that are known.
        known: String,
    },
    /// Too many protocol files.
    #[error("{had} protocols, at most {PROTOCOLS_MAX}: remove files from the folder {folder}")]
    TooMany {
        /// The folder.
        folder: String,
        /// How many there would be.
        had: usize,
    },
    /// A schema.
    #[error("{0}")]
    Schema(SpecError),
    /// A templates file.
    #[error("{0}")]
    Templates(#[from] TemplateError),
    /// A file that can't be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A feed's preamble.
    #[error("feed {feed}: {error}")]
    Preamble {
        /// The feed's protocol.
        feed: String,
        /// What is wrong.
        error: PreambleError,
    },
    /// A feed's profile.
    #[error("feed {feed}: profile = {profile:?} is none of {}", profiles::NAMES)]
    Profile {
        /// The feed's protocol.
        feed: String,
        /// What it says.
        profile: String,
    },
    /// A feed with packet headers whose templates have none.
    #[error("feed {feed}: no template has PacketSeqNum and keeps nothing, as packet headers do")]
    PacketHeader {
        /// The feed's protocol.
        feed: String,
    },
    /// A feed's reset.
    #[error(
        "feed {feed}: reset = {reset:?} is none of \"never\", \"message\", \"datagram\", \"template\""
    )]
    Reset {
        /// The feed's protocol.
        feed: String,
        /// What it says.
        reset: String,
    },
    /// A tag of a FIX session.
    #[error("{section}: {error}")]
    FixTag {
        /// The section.
        section: String,
        /// What is wrong.
        error: UserTagError,
    },
    /// A protocol id that nothing here knows.
    #[error("protocol {id:?} is not known; `taptrail protocols` lists those that are{hint}")]
    Unknown {
        /// The id.
        id: String,
        /// What else to do.
        hint: &'static str,
    },
}

/// What a protocol id means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolRef {
    /// The protocol of fixed layout, or behind those of SBE, at this index.
    Fixed(u16),
    /// FIX of any version.
    Fix,
    /// The FAST feed at this index of the configuration.
    Fast(u16),
    /// MoldUDP64 with messages of an unknown protocol.
    Mold,
    /// The declared framing at this index, with messages of an unknown protocol.
    Framing(u16),
}

/// Everything loaded.
#[derive(Debug)]
pub struct Library {
    /// Protocols of fixed layout; your own come first and win over shipped
    /// ones with the same id. Behind them the framings' own messages.
    pub fixed: Vec<Arc<ShelvedProtocol>>,
    /// How many of them are no framing's own.
    pub protocols: usize,
    /// SBE protocols, with the schemas that there are. Their numbers go on
    /// behind those of `fixed`.
    pub sbe: Vec<Arc<SbeProtocol>>,
    /// By the index of the feed; `None` where it is no FAST feed.
    pub fast: Vec<Option<FastFeed>>,
    /// Declared framings; your own come first and win likewise.
    pub framings: Vec<Arc<Framing>>,
    /// Tags of FIX sessions: those of every session, then one for each session
    /// of the configuration.
    fix_tags: Vec<UserTags>,
    /// Of a message whose session is not known.
    any_fix_tags: UserTags,
    /// By the index of the feed: the bytes before FIX messages.
    pub preambles: Vec<Option<Preamble>>,
    on_framings: Vec<ProtocolSet>,
    /// By framing, where in `fixed` its own messages are.
    sessions: Vec<Option<u16>>,
    on_mold: ProtocolSet,
    from_client: ProtocolSet,
}

impl Library {
    /// Loads what `config` names; relative paths start at `base`.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first.
    pub fn load(config: &DecoderConfig, base: &Path) -> Result<Self, Vec<LibraryError>> {
        let mut errors = Vec::new();
        let framings = load_framings(config, base, &mut errors);
        let (fixed, own) = load_fixed(config, base, &mut errors);
        let (overlays, own_overlays) = load_overlays(config, base, &mut errors);
        let named = fixed.iter().take(own).map(|protocol| (protocol.id(), protocol.framings()));
        let overlaid = overlays.iter().take(own_overlays);
        let named = named.chain(overlaid.map(|o| (o.id.as_str(), o.framings.as_slice())));
        check_framings(named, &framings, &mut errors);
        let schemas = load_schemas(config, base, &mut errors);
        let sbe = overlays.into_iter().map(|o| Arc::new(SbeProtocol::new(o, &schemas))).collect();
        let mut fast = Vec::new();
        for feed in &config.feeds {
            fast.push(load_fast(feed, config, base, &mut errors));
        }
        let mut library = Self::assemble(fixed, sbe, fast, framings);
        if library.protocol_count() > PROTOCOLS_MAX {
            let folder = config.decode.protocols.clone().unwrap_or_default();
            errors.push(LibraryError::TooMany { folder, had: library.protocol_count() });
        }
        library.fix_tags = load_fix_tags(config, &mut errors);
        library.any_fix_tags = library.fix_tags(0).hiding(&library.fix_tags);
        let fix = |feed: &&FeedConfig| feed.templates.is_none();
        for feed in &config.feeds {
            let preamble = Some(feed).filter(fix).and_then(|feed| load_preamble(feed, &mut errors));
            library.preambles.push(preamble.flatten());
        }
        library.check_ids(config, &mut errors);
        if errors.is_empty() { Ok(library) } else { Err(errors) }
    }

    /// What is shipped and nothing else.
    pub fn shipped() -> Self {
        let loaded = Self::load(&DecoderConfig::default(), Path::new(""));
        loaded.unwrap_or_else(|_| Self::assemble(vec![], vec![], vec![], vec![]))
    }

    /// Puts together what was loaded.
    pub(crate) fn assemble(
        mut fixed: Vec<Arc<ShelvedProtocol>>,
        sbe: Vec<Arc<SbeProtocol>>,
        fast: Vec<Option<FastFeed>>,
        framings: Vec<Arc<Framing>>,
    ) -> Self {
        let those = |is: &dyn Fn(&ShelvedProtocol) -> bool| -> ProtocolSet {
            (0..).zip(&fixed).filter(|(_, p)| is(p)).map(|(at, _)| at).collect()
        };
        let carried = |framing: &str| those(&|p| p.framings().iter().any(|id| id == framing));
        let mut on_framings: Vec<ProtocolSet> =
            framings.iter().map(|framing| carried(&framing.id)).collect();
        let (on_mold, mut from_client) = (carried(moldudp64::ID), those(&|p| p.has_requests()));
        let protocols = fixed.len();
        let session = |framing: &Arc<Framing>| {
            let session = framing.session.clone()?;
            fixed.push(Arc::new(ShelvedProtocol::from(session)));
            Some((fixed.len() - 1) as u16)
        };
        let sessions = framings.iter().map(session).collect();
        for (at, protocol) in (fixed.len() as u16..).zip(&sbe) {
            for (framing, carried) in framings.iter().zip(&mut on_framings) {
                if protocol.overlay.framings.contains(&framing.id) {
                    carried.insert(at);
                }
            }
            if protocol.overlay.has_requests() {
                from_client.insert(at);
            }
        }
        Self {
            on_framings,
            on_mold,
            from_client,
            sessions,
            protocols,
            fixed,
            sbe,
            fast,
            framings,
            fix_tags: Vec::new(),
            any_fix_tags: UserTags::none(),
            preambles: Vec::new(),
        }
    }

    /// The user tags at an index: 0 are those of sessions that the
    /// configuration does not name, n + 1 those of its session n.
    pub fn fix_tags(&self, at: u16) -> &UserTags {
        static NONE: UserTags = UserTags::none();
        self.fix_tags.get(usize::from(at)).or(self.fix_tags.first()).unwrap_or(&NONE)
    }

    /// The user tags of a message whose session is not known: those of sessions
    /// without a section, and hidden is what any session hides.
    pub fn any_fix_tags(&self) -> &UserTags {
        &self.any_fix_tags
    }

    fn check_ids(&self, config: &DecoderConfig, errors: &mut Vec<LibraryError>) {
        let feeds = config.feeds.iter().filter(|f| f.templates.is_none()).map(|f| &f.protocol);
        let ids = feeds.chain(config.sessions.iter().map(|s| &s.protocol)).chain(&config.protocol);
        for id in ids.filter(|id| self.find(id, config).is_none()) {
            let hint =
                if id.contains("fast") { "; a FAST feed needs templates = \"FILE\"" } else { "" };
            errors.push(LibraryError::Unknown { id: id.clone(), hint });
        }
    }

    /// What a protocol id means under `config`.
    pub fn find(&self, id: &str, config: &DecoderConfig) -> Option<ProtocolRef> {
        let protocols = self.fixed.iter().take(self.protocols);
        if let Some(at) = protocols.map(|protocol| protocol.id()).position(|known| known == id) {
            return Some(ProtocolRef::Fixed(at as u16));
        }
        if let Some(at) = self.sbe.iter().position(|protocol| protocol.id() == id) {
            return Some(ProtocolRef::Fixed((self.fixed.len() + at) as u16));
        }
        if let Some(at) = self.framings.iter().position(|framing| framing.id == id) {
            return Some(ProtocolRef::Framing(at as u16));
        }
        let is_fast = |feed: &FeedConfig| feed.templates.is_some() && feed.protocol == id;
        match id {
            moldudp64::ID => Some(ProtocolRef::Mold),
            _ if is_fix(id) => Some(ProtocolRef::Fix),
            _ => config.feeds.iter().position(is_fast).map(|at| ProtocolRef::Fast(at as u16)),
        }
    }

    /// How many protocols of fixed layout and SBE there are.
    pub fn protocol_count(&self) -> usize {
        self.fixed.len() + self.sbe.len()
    }

    /// The protocol of fixed layout with this number, compiled now where it is
    /// not yet.
    #[inline]
    pub fn fixed_at(&self, protocol: u16) -> Option<&Arc<FixedProtocol>> {
        self.fixed.get(usize::from(protocol))?.compiled()
    }

    /// The SBE protocol with this number.
    #[inline]
    pub fn sbe_at(&self, protocol: u16) -> Option<&Arc<SbeProtocol>> {
        self.sbe.get(usize::from(protocol).checked_sub(self.fixed.len())?)
    }

    /// The id of the protocol with this number.
    pub fn id_of(&self, protocol: u16) -> Option<&str> {
        let fixed = self.fixed.get(usize::from(protocol)).map(|protocol| protocol.id());
        fixed.or_else(|| self.sbe_at(protocol).map(|protocol| protocol.id()))
    }

    /// The ids of all protocols, by their numbers.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let fixed = self.fixed.iter().map(|protocol| protocol.id());
        fixed.chain(self.sbe.iter().map(|protocol| protocol.id()))
    }

    /// Whether the protocol with this number knows a message by code and size.
    pub fn knows(&self, protocol: u16, body: &[u8], sender: Option<Sender>) -> bool {
        match self.fixed.get(usize::from(protocol)) {
            Some(fixed) => fixed.knows(body, sender),
            None => self.sbe_at(protocol).is_some_and(|sbe| sbe.knows(body, sender)),
        }
    }

    /// Whether the beginning of a message of `len` bytes may go on to be one that
    /// the protocol with this number knows.
    pub fn may_know(
        &self,
        protocol: u16,
        start: &[u8],
        len: usize,
        sender: Option<Sender>,
    ) -> bool {
        match self.fixed.get(usize::from(protocol)) {
            Some(fixed) => fixed.may_know(start, len, sender),
            None => self.sbe_at(protocol).is_some_and(|sbe| sbe.may_know(start, len)),
        }
    }

    /// The protocols whose schemas are not there.
    pub fn without_schema(&self) -> ProtocolSet {
        let all = (self.fixed.len() as u16..).zip(&self.sbe);
        all.filter(|(_, protocol)| protocol.schemas.is_empty()).map(|(at, _)| at).collect()
    }

    /// Whether a message may be of the protocol with this number, whose schema
    /// is not there.
    pub fn may_be(&self, protocol: u16, body: &[u8]) -> bool {
        self.sbe_at(protocol).is_some_and(|sbe| sbe.may_be(body))
    }

    /// The bytes that a message of the protocol with this number takes, where
    /// it can tell.
    pub fn size_of(&self, protocol: u16, rest: &[u8], sender: Option<Sender>) -> Option<usize> {
        self.fixed.get(usize::from(protocol))?.size_of(rest, sender)
    }

    /// The fixed protocols that a declared framing carries.
    pub fn on_framing(&self, framing: u16) -> ProtocolSet {
        self.on_framings.get(usize::from(framing)).copied().unwrap_or_default()
    }

    /// The fixed protocols that MoldUDP64 carries.
    pub fn on_mold(&self) -> ProtocolSet {
        self.on_mold
    }

    /// The fixed protocols with messages that only a client sends.
    pub fn from_client(&self) -> ProtocolSet {
        self.from_client
    }

    /// The protocol of a framing's own messages.
    pub fn session_of(&self, framing: u16) -> Option<u16> {
        self.sessions.get(usize::from(framing)).copied().flatten()
    }
}

/// `fix`, `fix.4.4`, `fixt.1.1` and the like.
fn is_fix(id: &str) -> bool {
    id == "fix" || id.starts_with("fix.") || id.starts_with("fixt.")
}

/// What the configuration says of FIX tags, for no session in particular and
/// for each one.
fn load_fix_tags(config: &DecoderConfig, errors: &mut Vec<LibraryError>) -> Vec<UserTags> {
    let general = &config.decode.fix_tags;
    let mut read = |section: String, own: &[FixTagConfig]| {
        UserTags::new(own, general).unwrap_or_else(|error| {
            errors.push(LibraryError::FixTag { section, error });
            UserTags::default()
        })
    };
    let mut all = vec![read("[decode]".to_owned(), &[])];
    for session in &config.sessions {
        let trigger = session.trigger_tag.map(FixTagConfig::trigger);
        let own: Vec<_> = session.tags.iter().cloned().chain(trigger).collect();
        all.push(read(format!("session {}:{}", session.server, session.port), &own));
    }
    all
}

/// The framings of your folder, then the shipped ones.
fn load_framings(
    config: &DecoderConfig,
    base: &Path,
    errors: &mut Vec<LibraryError>,
) -> Vec<Arc<Framing>> {
    let mut framings = Vec::new();
    if let Some(folder) = &config.decode.protocols {
        match framing::catalog::load_dir(&base.join(folder)) {
            Ok(own) => framings = own,
            Err(faults) => errors.extend(faults.into_iter().map(LibraryError::Protocol)),
        }
    }
    for shipped in framing::catalog::embedded() {
        if framings.iter().all(|own| own.id != shipped.id) {
            framings.push(shipped.clone());
        }
    }
    framings
}

/// Tells the framings that protocols name and nobody knows.
fn check_framings<'a>(
    protocols: impl Iterator<Item = (&'a str, &'a [String])>,
    framings: &[Arc<Framing>],
    errors: &mut Vec<LibraryError>,
) {
    let known = || {
        let declared = framings.iter().map(|framing| framing.id.as_str());
        std::iter::once(moldudp64::ID).chain(declared)
    };
    for (id, named) in protocols {
        let unknown = named.iter().filter(|id| known().all(|known| known != *id));
        errors.extend(unknown.map(|framing| LibraryError::Framing {
            id: id.to_owned(),
            framing: framing.clone(),
            known: known().collect::<Vec<_>>().join(", "),
        }));
    }
}

/// The protocols of your folder, which are compiled now, then the shipped ones;
/// and how many are yours.
fn load_fixed(
    config: &DecoderConfig,
    base: &Path,
    errors: &mut Vec<LibraryError>,
) -> (Vec<Arc<ShelvedProtocol>>, usize) {
    let mut fixed: Vec<Arc<ShelvedProtocol>> = Vec::new();
    if let Some(folder) = &config.decode.protocols {
        match catalog::load_dir(&base.join(folder)) {
            Ok(own) => fixed.extend(own.into_iter().map(|own| Arc::new(own.into()))),
            Err(faults) => errors.extend(faults.into_iter().map(LibraryError::Protocol)),
        }
    }
    let own = fixed.len();
    for shipped in catalog::shelf() {
        if fixed.iter().all(|own| own.id() != shipped.id()) {
            fixed.push(shipped.clone());
        }
    }
    if fixed.len() > PROTOCOLS_MAX {
        let folder = config.decode.protocols.clone().unwrap_or_default();
        errors.push(LibraryError::TooMany { folder, had: fixed.len() });
        fixed.truncate(PROTOCOLS_MAX);
    }
    (fixed, own)
}

/// The overlays of your folder, then the shipped ones; and how many are yours.
fn load_overlays(
    config: &DecoderConfig,
    base: &Path,
    errors: &mut Vec<LibraryError>,
) -> (Vec<Overlay>, usize) {
    let mut overlays = Vec::new();
    if let Some(folder) = &config.decode.protocols {
        match sbe::catalog::load_overlays(&base.join(folder)) {
            Ok(own) => overlays = own,
            Err(faults) => errors.extend(faults.into_iter().map(LibraryError::Protocol)),
        }
    }
    let own = overlays.len();
    for shipped in sbe::catalog::embedded() {
        if overlays.iter().all(|own| own.id != shipped.id) {
            overlays.push(shipped.clone());
        }
    }
    (overlays, own)
}

/// The SBE schemas of the folder that the configuration names.
fn load_schemas(
    config: &DecoderConfig,
    base: &Path,
    errors: &mut Vec<LibraryError>,
) -> Vec<Schema> {
    let Some(folder) = &config.decode.schemas else { return Vec::new() };
    sbe::catalog::load_schemas(&base.join(folder)).unwrap_or_else(|faults| {
        errors.extend(faults.into_iter().map(LibraryError::Schema));
        Vec::new()
    })
}

fn load_fast(
    feed: &FeedConfig,
    config: &DecoderConfig,
    base: &Path,
    errors: &mut Vec<LibraryError>,
) -> Option<FastFeed> {
    let file = feed.templates.as_ref()?;
    let path = match &config.decode.schemas {
        Some(folder) => base.join(folder).join(file),
        None => base.join(file),
    };
    let templates = read_templates(&path).map_err(|error| errors.push(error)).ok();
    let name = || feed.protocol.clone();
    let profile = match &feed.profile {
        None => Some(Profile::default()),
        Some(text) => Profile::from_text(text).or_else(|| {
            errors.push(LibraryError::Profile { feed: name(), profile: text.clone() });
            None
        }),
    };
    let preamble = load_preamble(feed, errors);
    let reset = match &feed.reset {
        None => profile.as_ref().map(|profile| profile.reset),
        Some(text) => ResetPolicy::from_text(text).or_else(|| {
            errors.push(LibraryError::Reset { feed: name(), reset: text.clone() });
            None
        }),
    };
    let (profile, templates) = (profile?, Arc::new(templates?));
    let packet_header = match profile.packet_header {
        true => Some(PacketHeader::find(&templates).or_else(|| {
            errors.push(LibraryError::PacketHeader { feed: name() });
            None
        })?),
        false => None,
    };
    Some(FastFeed {
        templates,
        preamble: preamble?.unwrap_or(profile.preamble),
        reset: reset?,
        implicit_template: feed.implicit_template.or(profile.implicit_template),
        packet_header,
    })
}

/// The bytes before a feed's messages, where it says so: `None` where it says
/// it wrongly.
fn load_preamble(feed: &FeedConfig, errors: &mut Vec<LibraryError>) -> Option<Option<Preamble>> {
    let preamble = match &feed.preamble {
        None => return Some(None),
        Some(PreambleConfig::Bytes(count)) => Preamble::opaque(*count),
        Some(PreambleConfig::Fields(fields)) => Preamble::parse(fields),
    };
    match preamble {
        Ok(preamble) => Some(Some(preamble)),
        Err(error) => {
            errors.push(LibraryError::Preamble { feed: feed.protocol.clone(), error });
            None
        }
    }
}

fn read_templates(path: &Path) -> Result<Templates, LibraryError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| LibraryError::Read { path: path.to_owned(), error })?;
    Ok(Templates::parse(&path.display().to_string(), &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_told() {
        let config: DecoderConfig = toml::from_str(
            r#"
            [[feed]]
            protocol = "no.such.thing"
            [[feed]]
            protocol = "bus"
            templates = "not-there.xml"
            preamble = ["nonsense"]
            reset = "sometimes"
            [[session]]
            protocol = "fix.4.4"
            server = "10.0.0.1"
            port = 1
            "#,
        )
        .unwrap();
        let errors = Library::load(&config, Path::new("/nowhere")).unwrap_err();
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 4, "{texts:#?}");
        assert!(texts.iter().any(|text| text.contains("no.such.thing")));
    }

    #[test]
    fn ids_lead_to_engines() {
        let library = Library::shipped();
        let config = DecoderConfig::default();
        let find = |id| library.find(id, &config);
        assert!(matches!(find("nasdaq.totalview-itch.5.0"), Some(ProtocolRef::Fixed(_))));
        assert_eq!(find("fix.4.4"), Some(ProtocolRef::Fix));
        assert_eq!(find("moldudp64"), Some(ProtocolRef::Mold));
        assert_eq!(find("fixed"), None);
        assert!(!library.on_mold().is_empty());
        let Some(ProtocolRef::Framing(soup)) = find("soupbintcp") else { panic!() };
        assert!(!library.on_framing(soup).is_empty() && library.session_of(soup).is_some());
    }

    #[test]
    fn an_exchange_of_your_own_can_be_one_file() {
        let folder = std::env::temp_dir().join(format!("own-framing-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |framing: &str| {
            format!(
                "[protocol]\nid = \"own.feed.1\"\ntitle = \"t\"\nsource = \"s\"\nvenues = [\"XXXX\"]\n\
                 framings = [{framing:?}]\nendian = \"big\"\ncode = {{ at = 0, type = \"u8\" }}\n\
                 [msg.1]\nname = \"m\"\nkind = \"admin\"\nsize = 2\nlayout = \"\"\"\n0 t u8\n1 x u8\n\"\"\"\n\
                 [framing]\nid = \"own\"\ntitle = \"t\"\nsource = \"s\"\nendian = \"big\"\n\
                 [framing.message]\nheader = 1\nlayout = \"\"\"\n0 n u8 -> length : 1\n\"\"\"\n"
            )
        };
        let config = DecoderConfig {
            decode: crate::config::DecodeConfig {
                protocols: Some(folder.display().to_string()),
                ..Default::default()
            },
            ..DecoderConfig::default()
        };
        std::fs::write(folder.join("own.toml"), file("own")).unwrap();
        let library = Library::load(&config, Path::new("")).unwrap();
        assert_eq!(library.framings[0].id, "own");
        assert_eq!(library.on_framing(0), ProtocolSet::one(0));
        std::fs::write(folder.join("own.toml"), file("onw")).unwrap();
        let errors = Library::load(&config, Path::new("")).unwrap_err();
        std::fs::remove_dir_all(&folder).unwrap();
        let text = errors[0].to_string();
        assert!(text.contains("protocol own.feed.1: framing \"onw\" is not known"), "{text}");
    }

    #[test]
    fn shipped_protocols_name_known_framings() {
        let library = Library::shipped();
        let mut errors = Vec::new();
        let fixed = library.fixed.iter().map(|p| (p.id(), p.framings()));
        let sbe = library.sbe.iter().map(|p| (p.id(), p.overlay.framings.as_slice()));
        check_framings(fixed.chain(sbe), &library.framings, &mut errors);
        assert!(errors.is_empty(), "{errors:#?}");
    }
}
