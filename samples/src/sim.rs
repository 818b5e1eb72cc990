//! The simulation: joins exchange, wires and trading firm, and gives out
//! packets and truth as the day goes by.
//!
//! ```text
//! next event ─► actor ─► bytes on a wire ─► taps ─► packets, point by point
//!                 └────► more events         └────► truth
//! ```

use crate::calendar;
use crate::clock::step_at_ns;
use crate::config::{SECONDS_MIN, SimConfig};
use crate::context::Context;
use crate::desk::bus::Bus;
use crate::desk::fix_session::{self, FixSession, session_names};
use crate::desk::gateway::Gateway;
use crate::desk::handler::Handler;
use crate::desk::messages::{App, FixReport, Said};
use crate::desk::reports;
use crate::desk::soup_session::{self, SoupSession};
use crate::desk::strategy::{Desk, Outgoing, STRATEGIES};
use crate::event::{Event, Phase};
use crate::net::addresses as address;
use crate::net::delay::Delay;
use crate::net::stream::{Arrived, Connection, Side, Way};
use crate::net::tap::SimPacket;
use crate::points::{P1, P5, P6, P7};
use crate::trouble::Trouble;
use crate::truth::{CountTable, Truth};
use crate::venue::dialect::Dialect;
use crate::venue::engine::Venue;

/// Number of the OUCH connection; FIX connections follow, the drop copy last.
const OUCH: usize = 0;
/// CompID of the gateway.
const GATEWAY: &str = "RISKGW";
/// CompID of who takes the drop copy.
const BACK_OFFICE: &str = "BACKOFF";
/// How often silent sessions are looked for.
const IDLE_CHECK_NS: i64 = 250_000_000;
/// From the end of the sessions to the end of their connections.
const HANG_UP_NS: i64 = 1_000_000;
/// How often held packets are looked through.
const RELEASE_NS: i64 = 1_000_000;
const NS_PER_S: i64 = 1_000_000_000;

/// What a simulation gives out.
#[derive(Clone, Debug)]
pub enum Output {
    /// A packet of a point's capture; those of one point are in order.
    Packet(SimPacket),
    /// A final piece of the truth.
    Truth(Box<Truth>),
}

/// A day under way: an iterator over what comes out of it.
#[derive(Debug)]
pub struct Simulation {
    pub(crate) config: SimConfig,
    pub(crate) ctx: Context,
    connections: Vec<Connection>,
    venue: Venue,
    handler: Handler,
    bus: Bus,
    desk: Desk,
    gateway: Gateway,
    soup: SoupSession,
    fix: Vec<FixSession>,
    day: Day,
    intents_left: u64,
    last_drop_ns: i64,
    last_release_ns: i64,
    closed: bool,
    ended: bool,
    finished: bool,
}

/// When the phases of the day begin.
#[derive(Clone, Copy, Debug)]
struct Day {
    open_ns: i64,
    first_order_ns: i64,
    last_order_ns: i64,
    close_ns: i64,
    logout_ns: i64,
    end_ns: i64,
}

impl Day {
    fn new(config: &SimConfig) -> Self {
        let seconds = i64::try_from(config.seconds.max(SECONDS_MIN)).unwrap_or(i64::MAX);
        let length_ns = seconds.saturating_mul(NS_PER_S);
        let end_ns = config.start_ns.saturating_add(length_ns);
        let margin_ns = (length_ns / 20).min(NS_PER_S / 2);
        Self {
            open_ns: config.start_ns + margin_ns,
            first_order_ns: config.start_ns + 2 * margin_ns,
            last_order_ns: end_ns - 4 * margin_ns,
            close_ns: end_ns - 3 * margin_ns,
            logout_ns: end_ns - 2 * margin_ns,
            end_ns: end_ns - margin_ns,
        }
    }
}

/// Starts a simulation.
pub fn simulate(config: &SimConfig) -> Simulation {
    Simulation::new(config)
}

impl Simulation {
    /// A day that has not begun.
    pub fn new(config: &SimConfig) -> Self {
        let mut ctx = Context::new(config);
        let date = calendar::utc_date(config.start_ns);
        let soup_session = format!("OU{date}");
        let day = Day::new(config);
        let dialect = Dialect::of(&config.troubles);
        let mut sim = Self {
            connections: connections(config, &soup_session, &mut ctx),
            venue: Venue::new(dialect, &format!("NQ{date}"), config.rate_msgs_per_s),
            handler: Handler::new(),
            bus: Bus::new(),
            desk: Desk::default(),
            gateway: Gateway::default(),
            soup: SoupSession::new(OUCH, &soup_session),
            fix: fix_sessions(),
            day,
            intents_left: config.orders,
            last_drop_ns: 0,
            last_release_ns: config.start_ns,
            closed: false,
            ended: false,
            finished: false,
            config: config.clone(),
            ctx,
        };
        sim.schedule_day();
        sim
    }

    /// Messages by protocol, type and point, so far (with truth on).
    pub fn counts(&self) -> &CountTable {
        self.ctx.truth.counts()
    }

    /// True time reached, in nanoseconds since the epoch.
    pub fn now_ns(&self) -> i64 {
        self.ctx.now_ns
    }

    fn schedule_day(&mut self) {
        let day = self.day;
        let connect_ns = self.config.start_ns + 1_000_000;
        for (at_ns, phase) in [
            (connect_ns, Phase::Connect),
            (day.open_ns, Phase::Open),
            (day.close_ns, Phase::Close),
            (day.logout_ns, Phase::Logout),
            (day.end_ns, Phase::End),
            (day.end_ns + HANG_UP_NS, Phase::HangUp),
        ] {
            self.ctx.at(at_ns, Event::Phase(phase));
        }
        if self.intents_left > 0 {
            self.ctx.at(day.first_order_ns, Event::Intent);
        }
        self.ctx.after(0, Event::NoteClocks);
        if self.ctx.has(Trouble::ClockStep) {
            self.ctx.at(step_at_ns(&self.config) - 1, Event::NoteClocksOnce);
        }
        if self.ctx.has(Trouble::SessionReset) {
            let (from, to) = (day.first_order_ns, day.last_order_ns);
            self.ctx.at(from + (to - from) * 2 / 3, Event::SessionReset);
        }
        for event in [Event::FeedIdle, Event::BusIdle, Event::SoupIdle] {
            self.ctx.at(connect_ns + IDLE_CHECK_NS, event);
        }
        for session in 0..self.fix.len() {
            self.ctx.at(connect_ns + IDLE_CHECK_NS, Event::FixIdle(session));
        }
    }

    /// Lets the next event happen.
    fn step(&mut self) {
        let Some(event) = self.ctx.next_event() else {
            self.ctx.taps.finish(&mut self.ctx.truth);
            self.ctx.truth.finish();
            self.finished = true;
            return;
        };
        self.dispatch(event);
        if self.ctx.now_ns - self.last_release_ns >= RELEASE_NS {
            self.last_release_ns = self.ctx.now_ns;
            self.ctx.taps.advance(self.ctx.now_ns, &mut self.ctx.truth);
            self.ctx.truth.advance(self.ctx.now_ns);
        }
    }

    fn dispatch(&mut self, event: Event) {
        let ctx = &mut self.ctx;
        match event {
            Event::Phase(phase) => self.phase(phase),
            Event::OtherFlow => self.venue.other_flow(ctx),
            Event::EngineRequest(request) => self.venue.request(ctx, &request),
            Event::HitResting(user_ref) => self.venue.hit(ctx, user_ref),
            Event::PrivateReport(report) => self.soup.report(ctx, &mut self.connections, report),
            Event::Publish(message) => self.venue.publisher.publish(ctx, message),
            Event::FeedFlush => self.venue.publisher.flush(ctx),
            Event::FeedArrival(packet) => self.handler.arrive(ctx, packet),
            Event::FeedGapTimeout(session, seq) => {
                self.handler.give_up_before(ctx, &session, seq);
            }
            Event::BusSend(updates) => {
                self.bus.send(ctx, &updates);
                self.desk.updates(ctx, &updates);
            }
            Event::Intent => self.intent(),
            Event::SendNew(index) => {
                let outgoing = self.desk.send_new(ctx, index);
                self.send_request(outgoing);
            }
            Event::FollowUp(due) if !self.closed => {
                let outgoing = self.desk.follow_up(ctx, due);
                self.send_request(outgoing);
            }
            Event::FollowUp(_) => {}
            Event::GatewayForward(request) => {
                self.soup.request(ctx, &mut self.connections, request);
            }
            Event::GatewayReport(report) => self.gateway_report(report),
            Event::DropCopy(report) => self.drop_copy(&report),
            Event::TcpFlush(..)
            | Event::TcpArrival(..)
            | Event::TcpRepeat(..)
            | Event::TcpAck(..) => self.tcp(event),
            Event::NoteClocksOnce => ctx.taps.note_clocks(ctx.now_ns, &mut ctx.truth),
            Event::SessionReset => {
                self.venue.publisher.begin_again(ctx);
                self.fix[0].log_on(ctx, &mut self.connections, Side::Client);
            }
            Event::FeedIdle
            | Event::BusIdle
            | Event::SoupIdle
            | Event::FixIdle(_)
            | Event::NoteClocks => self.periodic(event),
        }
    }

    fn tcp(&mut self, event: Event) {
        let ctx = &mut self.ctx;
        match event {
            Event::TcpFlush(ix, side) => self.connections[ix].flush(ctx, side),
            Event::TcpAck(ix, side) => self.connections[ix].acknowledge(ctx, side),
            Event::TcpRepeat(ix, segment) => self.connections[ix].transmit(ctx, segment),
            Event::TcpArrival(ix, segment) => match self.connections[ix].arrive(ctx, &segment) {
                Arrived::Nothing => {}
                Arrived::Established => self.established(ix),
                Arrived::Messages(side, apps) => {
                    apps.into_iter().for_each(|app| self.received(ix, side, app));
                }
            },
            _ => {}
        }
    }

    /// What is looked at again and again until the day ends.
    fn periodic(&mut self, event: Event) {
        if self.ended {
            return;
        }
        let (ctx, connections) = (&mut self.ctx, &mut self.connections);
        match event {
            Event::FeedIdle => self.venue.publisher.idle(ctx),
            Event::BusIdle => self.bus.idle(ctx),
            Event::SoupIdle => self.soup.idle(ctx, connections),
            Event::FixIdle(session) => self.fix[session].idle(ctx, connections),
            _ => {
                ctx.taps.note_clocks(ctx.now_ns, &mut ctx.truth);
                return ctx.after(NS_PER_S, event);
            }
        }
        self.ctx.after(IDLE_CHECK_NS, event);
    }

    fn phase(&mut self, phase: Phase) {
        let ctx = &mut self.ctx;
        match phase {
            Phase::Connect => {
                self.connections.iter_mut().for_each(|connection| connection.connect(ctx));
                self.venue.open_feed(ctx);
                self.bus.status(ctx, "handler up");
            }
            Phase::Open => {
                ctx.taps.faults_on = true;
                self.venue.open_market(ctx);
            }
            Phase::Close => {
                ctx.taps.faults_on = false;
                self.closed = true;
                self.venue.close_market(ctx);
            }
            Phase::Logout => self.log_out(),
            Phase::End => self.end(),
            Phase::HangUp => {
                self.connections.iter_mut().for_each(|line| line.finish(ctx, Side::Client));
            }
        }
    }

    fn log_out(&mut self) {
        let (ctx, connections) = (&mut self.ctx, &mut self.connections);
        self.venue.close_feed(ctx);
        self.soup.system_event(ctx, connections, b'E');
        self.soup.log_out(ctx, connections);
        for session in &mut self.fix {
            session.log_out(ctx, connections, Side::Client);
        }
    }

    fn end(&mut self) {
        let (ctx, connections) = (&mut self.ctx, &mut self.connections);
        self.ended = true;
        self.venue.publisher.end(ctx);
        self.bus.status(ctx, "handler down");
        self.soup.end(ctx, connections);
        ctx.taps.note_clocks(ctx.now_ns, &mut ctx.truth);
    }

    fn established(&mut self, ix: usize) {
        let (ctx, connections) = (&mut self.ctx, &mut self.connections);
        match ix {
            OUCH => self.soup.log_in(ctx, connections),
            _ => self.fix[ix - 1].log_on(ctx, connections, Side::Client),
        }
    }

    /// A message arrives at the other end of a connection.
    fn received(&mut self, ix: usize, side: Side, app: App) {
        let (ctx, connections) = (&mut self.ctx, &mut self.connections);
        match app {
            App::Nothing => {}
            App::Logon if ix == OUCH => self.soup.accept(ctx, connections),
            App::Logon => self.fix[ix - 1].log_on(ctx, connections, Side::Server),
            App::Logout if ix == OUCH || side == Side::Server => {}
            App::Logout => self.fix[ix - 1].log_out(ctx, connections, Side::Server),
            App::FixRequest(request) => self.gateway.request(ctx, request),
            App::OuchRequest(request) => self.venue.receive(ctx, request),
            App::OuchReport(report) => self.gateway.answer(ctx, &report),
            App::FixReport(report) => {
                if self.desk.report(ctx, &report) {
                    self.gateway.forget(report.order);
                }
            }
        }
    }

    /// One of the day's ideas; they are spread evenly, with jitter.
    fn intent(&mut self) {
        if self.closed || self.intents_left == 0 {
            return;
        }
        self.desk.intent(&mut self.ctx);
        self.intents_left -= 1;
        let left_ns = (self.day.last_order_ns - self.ctx.now_ns).max(0);
        let mean_ns = left_ns / self.intents_left.max(1) as i64;
        let wait_ns = self.ctx.rng.waiting(mean_ns).min(left_ns);
        self.ctx.after(wait_ns, Event::Intent);
    }

    fn send_request(&mut self, outgoing: Option<Outgoing>) {
        let Some(Outgoing { request, reference, trigger }) = outgoing else { return };
        let (ctx, connections) = (&mut self.ctx, &mut self.connections);
        let named = trigger.filter(|trigger| trigger.tagged).map(|trigger| trigger.feed_seq);
        let fix = reports::request(&request, reference, named, ctx.now_ns);
        let id = request.id;
        let session = &mut self.fix[request.strategy];
        session.send(ctx, connections, Side::Client, &fix, id, App::FixRequest(request));
    }

    fn gateway_report(&mut self, report: FixReport) {
        let (ctx, connections) = (&mut self.ctx, &mut self.connections);
        let fix = reports::report(&report, false, ctx.now_ns);
        let app = App::FixReport(report.clone());
        let session = &mut self.fix[report.strategy];
        session.send(ctx, connections, Side::Server, &fix, report.id, app);
        if !matches!(report.said, Said::CancelRejected | Said::ReplaceRejected) {
            let ready_ns = ctx.now_ns + 4_000 + ctx.rng.waiting(6_000);
            self.last_drop_ns = ready_ns.max(self.last_drop_ns + 300);
            ctx.at(self.last_drop_ns, Event::DropCopy(report));
        }
    }

    fn drop_copy(&mut self, report: &FixReport) {
        let (ctx, connections) = (&mut self.ctx, &mut self.connections);
        let id = ctx.new_id();
        ctx.truth.link_drop_copy(ctx.now_ns, report.id, id);
        let fix = reports::report(report, true, ctx.now_ns);
        self.fix[STRATEGIES].send(ctx, connections, Side::Server, &fix, id, App::Nothing);
    }
}

impl Iterator for Simulation {
    type Item = Output;

    fn next(&mut self) -> Option<Output> {
        loop {
            if let Some(packet) = self.ctx.taps.take() {
                return Some(Output::Packet(packet));
            }
            if let Some(truth) = self.ctx.truth.take() {
                return Some(Output::Truth(Box::new(truth)));
            }
            if self.finished {
                return None;
            }
            self.step();
        }
    }
}

fn strategy_name(index: usize) -> String {
    format!("STRAT{}", index + 1)
}

fn fix_sessions() -> Vec<FixSession> {
    let strategy = |index| FixSession::new(index + 1, &strategy_name(index), GATEWAY);
    let mut sessions: Vec<FixSession> = (0..STRATEGIES).map(strategy).collect();
    sessions.push(FixSession::new(STRATEGIES + 1, BACK_OFFICE, GATEWAY));
    sessions
}

fn connections(config: &SimConfig, soup_session: &str, ctx: &mut Context) -> Vec<Connection> {
    let mut all = vec![ouch_connection(config, soup_session, ctx)];
    for index in 0..STRATEGIES {
        let way = Way {
            client: address::strategy(index),
            server: address::FIX_SERVER,
            client_translated: address::strategy(index),
            points: vec![P5],
            delays: vec![Delay::new(420, 60), Delay::new(560, 80)],
        };
        let names = session_names(&strategy_name(index), GATEWAY);
        all.push(Connection::new(all.len(), way, fix_session::PROTOCOL, names, ctx));
    }
    let way = Way {
        client: address::DROP_CLIENT,
        server: address::DROP_SERVER,
        client_translated: address::DROP_CLIENT,
        points: vec![P7],
        delays: vec![Delay::new(900, 200), Delay::new(450, 60)],
    };
    let names = session_names(BACK_OFFICE, GATEWAY);
    all.push(Connection::new(all.len(), way, fix_session::PROTOCOL, names, ctx));
    all
}

/// From the gateway past P6, the firewall and P1 to the exchange.
fn ouch_connection(config: &SimConfig, soup_session: &str, ctx: &mut Context) -> Connection {
    let translates = config.faults == crate::config::Faults::Heavy;
    let way = Way {
        client: address::OUCH_CLIENT,
        server: address::OUCH_SERVER,
        client_translated: match translates {
            true => address::OUCH_CLIENT_TRANSLATED,
            false => address::OUCH_CLIENT,
        },
        points: vec![P6, P1],
        delays: vec![Delay::new(300, 40), Delay::new(900, 300), Delay::new(480, 60)],
    };
    let names = [soup_session.into(), soup_session.into()];
    Connection::new(OUCH, way, soup_session::PROTOCOL, names, ctx)
}
