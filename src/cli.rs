//! The command line: one table of commands and flags, each with its help and
//! an example.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use taptrail_capture::point::PointName;
use taptrail_samples::trouble::Trouble;
use taptrail_store::ship::NodeName;

/// Follow a trade from tap to tap, to the nanosecond, with evidence.
#[derive(Debug, Parser)]
#[command(name = "taptrail", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Simulate a trading network, import its captures, correlate, report, and serve the dashboard
    #[command(after_help = "Examples:\n  taptrail demo\n  taptrail demo --once")]
    Demo(DemoArgs),
    /// Write the captures of a simulated trading network, its config and its truth
    #[command(
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true,
        after_help = "Examples:\n  taptrail sim --out ./net --seed 7 --orders 5000 --faults light\n  \
                      taptrail sim score --sim ./net --store ./trail"
    )]
    Sim(SimArgs),
    /// Bring capture files into the store: packets and messages
    #[command(
        after_help = "Examples:\n  taptrail import --store ./trail edge=a.pcap core=b.pcapng.gz\n  \
                      tcpdump -w - | taptrail import --store ./trail edge=-"
    )]
    Import(ImportArgs),
    /// Capture live on this node until SIGINT or SIGTERM
    #[command(after_help = "Example:\n  taptrail capture --config node.toml --store ./trail")]
    Capture(CaptureArgs),
    /// Ship this store's imports to a hub or a directory, as `[ship]` says
    #[command(after_help = "Example:\n  taptrail ship --config node.toml --store ./trail")]
    Ship(ShipArgs),
    /// Take the imports of nodes over TLS, and serve the dashboard over all of them
    #[command(after_help = "Example:\n  taptrail hub --config hub.toml --store ./trail")]
    Hub(HubArgs),
    /// Make certificates for a hub and its nodes
    #[command(
        after_help = "Example:\n  taptrail certs --out ./certs --hub hub.example,10.0.0.5 --node a --node b"
    )]
    Certs(CertsArgs),
    /// Print every message of a capture file and every field, all bytes accounted for
    #[command(after_help = "Example:\n  taptrail decode feed.pcap --format json | head")]
    Decode(DecodeArgs),
    /// Link the messages of all points: latencies, losses, orders
    #[command(after_help = "Example:\n  taptrail correlate --store ./trail --config site.toml")]
    Correlate(CorrelateArgs),
    /// Print the clock offset or the smallest latency that one signal seen at two points shows
    #[command(
        after_help = "Example:\n  taptrail calibrate --store ./trail --from P1 --to P2 --delay-ns 15 >> site.toml"
    )]
    Calibrate(CalibrateArgs),
    /// Decode stored packets anew, with today's protocol files and configuration
    #[command(
        after_help = "Examples:\n  taptrail redecode --store ./trail\n  taptrail redecode --store ./trail --stale"
    )]
    Redecode(RedecodeArgs),
    /// Join the small files of each hour, as capture nodes leave them; rows and ids stay
    #[command(after_help = "Example:\n  taptrail compact --store ./trail")]
    Compact(CompactArgs),
    /// Print the latency report
    #[command(
        after_help = "Example:\n  taptrail report --store ./trail --format html > report.html"
    )]
    Report(ReportArgs),
    /// Ask the store in SQL
    #[command(
        after_help = "Example:\n  taptrail sql --store ./trail \"SELECT * FROM hops WHERE message_kind = 'all'\""
    )]
    Sql(SqlArgs),
    /// Serve the dashboard and its API
    #[command(after_help = "Example:\n  taptrail serve --store ./trail --listen 127.0.0.1:8321")]
    Serve(ServeArgs),
    /// Write stored packets back as pcapng, byte for byte
    #[command(
        after_help = "Example:\n  taptrail export --store ./trail --where \"point = 'P1'\" -o p1.pcapng"
    )]
    Export(ExportArgs),
    /// Send the packets of a capture file out of an interface, with their gaps
    #[command(after_help = "Example:\n  taptrail replay feed.pcap --interface eth1 --speed 2")]
    Replay(ReplayArgs),
    /// List what is decoded, or check protocol files
    #[command(
        after_help = "Examples:\n  taptrail protocols\n  taptrail protocols check my.feed.1.0.toml"
    )]
    Protocols(ProtocolsArgs),
    /// Say what is wrong in a configuration, every error at once
    #[command(after_help = "Example:\n  taptrail check --config site.toml")]
    Check(CheckArgs),
}

/// Where the data lives.
#[derive(Debug, Args)]
pub struct StoreArg {
    /// The store's directory
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
}

/// Which configuration holds.
#[derive(Debug, Args)]
pub struct ConfigArg {
    /// Configuration file (TOML); defaults serve without one
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RowFormat {
    /// Aligned columns, for people
    Table,
    /// One JSON object a line
    Json,
    /// Comma-separated values with a header line
    Csv,
}

/// `taptrail demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep the store here instead of in a temporary directory
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Address of the dashboard
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8321")]
    pub listen: SocketAddr,
    /// Not live: simulate a day that is over, import it, print its report and end
    #[arg(long)]
    pub once: bool,
    /// Seed of the simulated network
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Messages a second on its feed
    #[arg(long, default_value_t = 500)]
    pub rate: u32,
    /// Orders a second
    #[arg(long, default_value_t = 20)]
    pub orders_per_s: u32,
    /// Let packets go straight into the readers, as where no network namespace may be made
    #[arg(long)]
    pub no_wires: bool,
    /// Captures are kept up to this size; older ones go
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    pub keep_mib: u64,
    /// Orders of the day of --once
    #[arg(long, default_value_t = 2000)]
    pub orders: u32,
    /// Of the process inside the namespace
    #[arg(long, hide = true, value_name = "DIR")]
    pub inside: Option<PathBuf>,
}

/// How much goes wrong in the simulated network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FaultLevel {
    /// Nothing
    None,
    /// What a good network has on a normal day
    Light,
    /// A bad day
    Heavy,
}

/// `taptrail sim`.
#[derive(Debug, Args)]
pub struct SimArgs {
    /// Something else than simulating
    #[command(subcommand)]
    pub action: Option<SimAction>,
    /// What to simulate
    #[command(flatten)]
    pub network: SimNetwork,
}

/// What else `taptrail sim` does.
#[derive(Debug, Subcommand)]
pub enum SimAction {
    /// Say how close a correlation came to a simulation's truth
    #[command(after_help = "Example:\n  taptrail sim score --sim ./net --store ./trail")]
    Score(ScoreArgs),
}

/// What to simulate.
#[derive(Debug, Args)]
pub struct SimNetwork {
    /// Directory to write to
    #[arg(long, value_name = "DIR", required = true)]
    pub out: Option<PathBuf>,
    /// Same seed, same bytes
    #[arg(long, required = true)]
    pub seed: Option<u64>,
    /// Orders the strategies send
    #[arg(long, default_value_t = 2000)]
    pub orders: u32,
    /// Messages a second on the public feed
    #[arg(long, value_name = "MSG_S", default_value_t = 20_000)]
    pub rate: u32,
    /// What goes wrong
    #[arg(long, value_enum, default_value_t = FaultLevel::Light)]
    pub faults: FaultLevel,
    /// What else happens: clock-step, tai-clock, session-reset, sequence-wrap,
    /// snaplen, batching, throttling, baskets, drop-counts, other-venue
    #[arg(long, value_name = "TROUBLE", value_delimiter = ',')]
    pub with: Vec<Trouble>,
    /// Seconds of trading
    #[arg(long, default_value_t = 10)]
    pub seconds: u32,
}

/// `taptrail sim score`.
#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// Directory that `taptrail sim` wrote
    #[arg(long, value_name = "DIR")]
    pub sim: PathBuf,
    /// Store with its captures, correlated
    #[command(flatten)]
    pub store: StoreArg,
    /// Output format
    #[arg(long, value_enum, default_value_t = ScoreFormat::Text)]
    pub format: ScoreFormat,
}

/// How a score is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScoreFormat {
    /// Plain text
    Text,
    /// JSON
    Json,
}

/// A capture file and the point where it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The point.
    pub point: PointName,
    /// The file; `-` is standard input.
    pub path: PathBuf,
}

impl Capture {
    /// Reads `POINT=FILE`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((point, path)) = text.split_once('=') else {
            return Err("needs POINT=FILE, for example edge=a.pcap".to_string());
        };
        Ok(Self { point: PointName::try_from(point.to_string())?, path: path.into() })
    }
}

/// `taptrail import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Store
    #[command(flatten)]
    pub store: StoreArg,
    /// Config
    #[command(flatten)]
    pub config: ConfigArg,
    /// Do not correlate afterwards
    #[arg(long)]
    pub no_correlate: bool,
    /// Captures as POINT=FILE; `-` reads standard input
    #[arg(required = true, value_name = "POINT=FILE", value_parser = Capture::parse)]
    pub captures: Vec<Capture>,
}

/// `taptrail redecode`.
#[derive(Debug, Args)]
pub struct RedecodeArgs {
    /// Store
    #[command(flatten)]
    pub store: StoreArg,
    /// Config
    #[command(flatten)]
    pub config: ConfigArg,
    /// Only this capture, by the number that the table `captures` has; may be repeated
    #[arg(long = "capture", value_name = "ID")]
    pub captures: Vec<u64>,
    /// Only captures that began without what an earlier capture, imported later, teaches
    #[arg(long)]
    pub stale: bool,
    /// Do not correlate afterwards
    #[arg(long)]
    pub no_correlate: bool,
}

/// `taptrail compact`.
#[derive(Debug, Args)]
pub struct CompactArgs {
    /// Store
    #[command(flatten)]
    pub store: StoreArg,
    /// Also hours that are not over yet
    #[arg(long)]
    pub all: bool,
}

/// `taptrail capture`.
#[derive(Debug, Args)]
pub struct CaptureArgs {
    /// Configuration file with the points and their interfaces
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Store
    #[command(flatten)]
    pub store: StoreArg,
    /// Only this point
    #[arg(long, value_name = "NAME")]
    pub point: Option<String>,
}

/// `taptrail ship`.
#[derive(Debug, Args)]
pub struct ShipArgs {
    /// Configuration file with `[ship]`
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Store
    #[command(flatten)]
    pub store: StoreArg,
    /// End once everything that is there now has arrived, or at the first failure
    #[arg(long)]
    pub once: bool,
}

/// `taptrail hub`.
#[derive(Debug, Args)]
pub struct HubArgs {
    /// Configuration file with `[hub]`
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Store
    #[command(flatten)]
    pub store: StoreArg,
}

/// `taptrail certs`.
#[derive(Debug, Args)]
pub struct CertsArgs {
    /// Directory to write to; an authority that is there is used again
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Names and addresses by which nodes reach the hub
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub hub: Vec<String>,
    /// A node's name; may be repeated
    #[arg(long = "node", value_name = "NODE", value_parser = node_name)]
    pub nodes: Vec<NodeName>,
    /// How long the certificates are good
    #[arg(long, default_value_t = 825)]
    pub days: u32,
}

fn node_name(text: &str) -> Result<NodeName, String> {
    NodeName::try_from(text.to_owned())
}

/// How decoded messages are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DecodeFormat {
    /// One JSON object a message
    Json,
    /// For people
    Table,
}

/// `taptrail decode`.
#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// Capture file; `-` reads standard input
    pub file: PathBuf,
    /// Protocol of every flow, instead of recognising it
    #[arg(long, value_name = "ID")]
    pub protocol: Option<String>,
    /// Config
    #[command(flatten)]
    pub config: ConfigArg,
    /// Output format
    #[arg(long, value_enum, default_value_t = DecodeFormat::Table)]
    pub format: DecodeFormat,
}

/// `taptrail correlate`.
#[derive(Debug, Args)]
pub struct CorrelateArgs {
    /// Store
    #[command(flatten)]
    pub store: StoreArg,
    /// Config
    #[command(flatten)]
    pub config: ConfigArg,
    /// Go on with what comes, until SIGINT or SIGTERM
    #[arg(long)]
    pub follow: bool,
}

/// `taptrail calibrate`.
#[derive(Debug, Args)]
pub struct CalibrateArgs {
    /// Store, correlated
    #[command(flatten)]
    pub store: StoreArg,
    /// Config
    #[command(flatten)]
    pub config: ConfigArg,
    /// Point that sees the signal first
    #[arg(long, value_name = "POINT")]
    pub from: String,
    /// Point that sees it next
    #[arg(long, value_name = "POINT")]
    pub to: String,
    /// How much later the signal reaches the second point, as its cables are
    #[arg(long, value_name = "NS", default_value_t = 0, allow_negative_numbers = true)]
    pub delay_ns: i64,
}

/// How the report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Plain text
    Text,
    /// JSON
    Json,
    /// One self-contained page
    Html,
}

/// `taptrail report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Store
    #[command(flatten)]
    pub store: StoreArg,
    /// Configuration with the targets to measure by
    #[command(flatten)]
    pub config: ConfigArg,
    /// An earlier report in JSON to compare with; may be given several times
    #[arg(long, value_name = "FILE")]
    pub against: Vec<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
}

/// `taptrail sql`.
#[derive(Debug, Args)]
pub struct SqlArgs {
    /// Store
    #[command(flatten)]
    pub store: StoreArg,
    /// Output format
    #[arg(long, value_enum, default_value_t = RowFormat::Table)]
    pub format: RowFormat,
    /// The statement
    pub statement: String,
}

/// `taptrail serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Store
    #[command(flatten)]
    pub store: StoreArg,
    /// Config
    #[command(flatten)]
    pub config: ConfigArg,
    /// Address and port [default: 127.0.0.1:8321]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Do not correlate first where messages are newer than the links
    #[arg(long)]
    pub no_correlate: bool,
}

/// `taptrail export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Store
    #[command(flatten)]
    pub store: StoreArg,
    /// SQL condition on the columns of `packets`, or a lineage id
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: String,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Write at most so many MiB a second, so that a capture on the same disk goes first
    #[arg(long, value_name = "MIB")]
    pub max_mib_s: Option<u32>,
    /// Run only where nobody else wants the processor or the disk
    #[arg(long)]
    pub idle: bool,
}

/// How packets are spaced when they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Gap {
    /// As they were captured
    Original,
    /// As fast as the interface takes them
    None,
}

/// `taptrail replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Capture file; `-` reads standard input
    pub file: PathBuf,
    /// Interface to send on
    #[arg(long, value_name = "IF")]
    pub interface: String,
    /// Spacing of the packets
    #[arg(long, value_enum, default_value_t = Gap::Original)]
    pub gap: Gap,
    /// So many times the original speed
    #[arg(long, value_name = "X", default_value = "1", conflicts_with = "gap")]
    pub speed: String,
}

/// `taptrail protocols`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ProtocolsArgs {
    /// What to do besides listing
    #[command(subcommand)]
    pub action: Option<ProtocolsAction>,
    /// Config: also lists the protocols of your own that it names
    #[command(flatten)]
    pub config: ConfigArg,
    /// Output format
    #[arg(long, value_enum, default_value_t = RowFormat::Table)]
    pub format: RowFormat,
}

/// `taptrail protocols ACTION`.
#[derive(Debug, Subcommand)]
pub enum ProtocolsAction {
    /// Say what is wrong in protocol files, and what their messages are
    Check {
        /// Protocol files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// `taptrail check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_is_consistent_and_every_command_has_an_example() {
        let command = Cli::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("taptrail"), "{} shows no example", sub.get_name());
        }
    }
}
