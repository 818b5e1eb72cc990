//! The protocols a decoder knows, loaded and checked once, shared by all.
//!
//! ```text
//! shipped protocol files ┐
//! shipped framing files   │
//! protocols.d/*.toml     ├─► Library ─► Decoder, Explainer
//! schemas/*.xml (FAST)   ┘
//! ```

use crate::config::{DecoderConfig, FeedConfig, FixTagConfig, PreambleConfig};
use crate::fast::decode::ResetPolicy;
use crate::fast::packet_header::PacketHeader;
use crate::fast::preamble::{Preamble, PreambleError, Prefix};
use crate::fast::profiles::{self, Profile};
use crate::fast::templates::{TemplateError, Templates};
use crate::field::Field;
use crate::fix::user::{UserTagError, UserTags};
use crate::fixed::catalog;
use crate::fixed::error::SpecError;
use crate::fixed::protocol::FixedProtocol;
use crate::framing::declared::Framing;
use crate::framing::{self, moldudp64, soupbintcp};
use crate::kind::Sender;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most protocols of fixed layout at once: the shipped ones and your own.
pub const FIXED_MAX: usize = 128;

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
    #[error("{had} protocols, at most {FIXED_MAX}: remove files from the folder {folder}")]
    TooMany {
        /// The folder.
        folder: String,
        /// How many there would be.
        had: usize,
    },
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

/// How the datagrams of a FAST feed are read.
#[derive(Debug)]
pub struct FastFeed {
    /// Templates.
    pub templates: Arc<Templates>,
    /// Bytes before the messages.
    pub preamble: Preamble,
    /// When previous values are forgotten.
    pub reset: ResetPolicy,
    /// A template id that means so.
    pub implicit_template: Option<u32>,
    /// The messages that are packet headers.
    pub packet_header: Option<PacketHeader>,
}

impl FastFeed {
    /// What stands before the messages at the start of `bytes`.
    ///
    /// # Errors
    /// The bytes end inside the preamble.
    pub fn prefix(&self, bytes: &[u8]) -> Result<Prefix, PreambleError> {
        let prefix = self.preamble.read(bytes)?;
        let rest = bytes.get(prefix.len..).unwrap_or_default();
        Ok(match self.packet_header.as_ref().and_then(|header| header.read(rest)) {
            Some(header) => Prefix { len: prefix.len + header.len, ..header },
            None => prefix,
        })
    }

    /// Its fields, for people.
    pub fn explain_prefix(&self, bytes: &[u8]) -> Vec<Field> {
        let mut fields = self.preamble.explain(bytes).unwrap_or_default();
        let at = fields.iter().map(|field| field.size).sum::<u32>();
        let rest = bytes.get(at as usize..).unwrap_or_default();
        if let Some(header) = self.packet_header.as_ref().filter(|_| !rest.is_empty()) {
            let shift = |field: Field| Field { offset: field.offset + at, ..field };
            fields.extend(header.explain(rest).into_iter().map(shift));
        }
        fields
    }
}

/// What a protocol id means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolRef {
    /// The fixed protocol at this index.
    Fixed(u16),
    /// FIX of any version.
    Fix,
    /// The FAST feed at this index of the configuration.
    Fast(u16),
    /// MoldUDP64 with messages of an unknown protocol.
    Mold,
    /// SoupBinTCP with messages of an unknown protocol.
    Soup,
    /// The declared framing at this index, with messages of an unknown protocol.
    Framing(u16),
}

/// Everything loaded.
#[derive(Debug)]
pub struct Library {
    /// Protocols of fixed layout; your own come first and win over shipped
    /// ones with the same id.
    pub fixed: Vec<Arc<FixedProtocol>>,
    /// By the index of the feed; `None` where it is no FAST feed.
    pub fast: Vec<Option<FastFeed>>,
    /// Declared framings; your own come first and win likewise.
    pub framings: Vec<Arc<Framing>>,
    /// Tags of FIX sessions: those of every session, then one for each session
    /// of the configuration.
    fix_tags: Vec<UserTags>,
    /// By the index of the feed: the bytes before FIX messages.
    pub preambles: Vec<Option<Preamble>>,
    on_framings: Vec<u128>,
    on_mold: u128,
    on_soup: u128,
    from_client: u128,
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
        check_framings(fixed.get(..own).unwrap_or_default(), &framings, &mut errors);
        let mut fast = Vec::new();
        for feed in &config.feeds {
            fast.push(load_fast(feed, config, base, &mut errors));
        }
        let mut library = Self::assemble(fixed, fast, framings);
        library.fix_tags = load_fix_tags(config, &mut errors);
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
        loaded.unwrap_or_else(|_| Self::assemble(Vec::new(), Vec::new(), Vec::new()))
    }

    /// Puts together what was loaded.
    pub(crate) fn assemble(
        fixed: Vec<Arc<FixedProtocol>>,
        fast: Vec<Option<FastFeed>>,
        framings: Vec<Arc<Framing>>,
    ) -> Self {
        let those = |is: &dyn Fn(&FixedProtocol) -> bool| -> u128 {
            fixed.iter().enumerate().filter(|(_, p)| is(p)).fold(0, |m, (i, _)| m | 1 << i)
        };
        let carried = |framing: &str| those(&|p| p.framings().iter().any(|id| id == framing));
        Self {
            on_framings: framings.iter().map(|framing| carried(&framing.id)).collect(),
            on_mold: carried(moldudp64::ID),
            on_soup: carried(soupbintcp::ID),
            from_client: those(&has_requests),
            fixed,
            fast,
            framings,
            fix_tags: Vec::new(),
            preambles: Vec::new(),
        }
    }

    /// The user tags at an index: 0 are those of sessions that the
    /// configuration does not name, n + 1 those of its session n.
    pub fn fix_tags(&self, at: u16) -> &UserTags {
        static NONE: UserTags = UserTags::none();
        self.fix_tags.get(usize::from(at)).or(self.fix_tags.first()).unwrap_or(&NONE)
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
        if let Some(at) = self.fixed.iter().position(|protocol| protocol.id() == id) {
            return Some(ProtocolRef::Fixed(at as u16));
        }
        if let Some(at) = self.framings.iter().position(|framing| framing.id == id) {
            return Some(ProtocolRef::Framing(at as u16));
        }
        let is_fast = |feed: &FeedConfig| feed.templates.is_some() && feed.protocol == id;
        match id {
            moldudp64::ID => Some(ProtocolRef::Mold),
            soupbintcp::ID => Some(ProtocolRef::Soup),
            _ if is_fix(id) => Some(ProtocolRef::Fix),
            _ => config.feeds.iter().position(is_fast).map(|at| ProtocolRef::Fast(at as u16)),
        }
    }

    /// The fixed protocols that a declared framing carries, a bit each.
    pub fn on_framing(&self, framing: u16) -> u128 {
        self.on_framings.get(usize::from(framing)).copied().unwrap_or(0)
    }

    /// The fixed protocols that MoldUDP64 carries, a bit each.
    pub fn on_mold(&self) -> u128 {
        self.on_mold
    }

    /// The fixed protocols with messages that only a client sends, a bit each.
    pub fn from_client(&self) -> u128 {
        self.from_client
    }

    /// The fixed protocols that SoupBinTCP carries, a bit each.
    pub fn on_soup(&self) -> u128 {
        self.on_soup
    }
}

/// Whether a protocol has messages that only a client sends.
fn has_requests(protocol: &FixedProtocol) -> bool {
    protocol.layouts.iter().any(|layout| layout.sender == Some(Sender::Client))
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
fn check_framings(
    protocols: &[Arc<FixedProtocol>],
    framings: &[Arc<Framing>],
    errors: &mut Vec<LibraryError>,
) {
    let known = || {
        let declared = framings.iter().map(|framing| framing.id.as_str());
        [moldudp64::ID, soupbintcp::ID].into_iter().chain(declared)
    };
    for protocol in protocols {
        let unknown = protocol.framings().iter().filter(|id| known().all(|known| known != *id));
        errors.extend(unknown.map(|framing| LibraryError::Framing {
            id: protocol.id().to_owned(),
            framing: framing.clone(),
            known: known().collect::<Vec<_>>().join(", "),
        }));
    }
}

/// The protocols of your folder, then the shipped ones; and how many are yours.
fn load_fixed(
    config: &DecoderConfig,
    base: &Path,
    errors: &mut Vec<LibraryError>,
) -> (Vec<Arc<FixedProtocol>>, usize) {
    let mut fixed = Vec::new();
    if let Some(folder) = &config.decode.protocols {
        match catalog::load_dir(&base.join(folder)) {
            Ok(own) => fixed = own,
            Err(faults) => errors.extend(faults.into_iter().map(LibraryError::Protocol)),
        }
    }
    let own = fixed.len();
    for shipped in catalog::embedded() {
        if fixed.iter().all(|own| own.id() != shipped.id()) {
            fixed.push(shipped.clone());
        }
    }
    if fixed.len() > FIXED_MAX {
        let folder = config.decode.protocols.clone().unwrap_or_default();
        errors.push(LibraryError::TooMany { folder, had: fixed.len() });
        fixed.truncate(FIXED_MAX);
    }
    (fixed, own)
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
        assert!(library.on_mold() != 0 && library.on_soup() != 0);
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
        assert_eq!((library.framings[0].id.as_str(), library.on_framing(0)), ("own", 1));
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
        check_framings(&library.fixed, &library.framings, &mut errors);
        assert!(errors.is_empty(), "{errors:#?}");
    }
}
