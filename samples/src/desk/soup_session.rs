//! The SoupBinTCP session that carries OUCH between gateway and exchange.

use crate::calendar;
use crate::context::Context;
use crate::desk::messages::{Answer, App, Ask, OuchReport, OuchRequest, Terms};
use crate::encode::ouch::{OrderTerms, Ouch};
use crate::encode::soup;
use crate::net::stream::{Connection, Side};
use crate::truth::MessageTag;
use crate::venue::symbols::SYMBOLS;
use std::sync::Arc;

/// Protocol id of the orders.
pub const PROTOCOL: &str = "nasdaq.ouch.5.0";
/// Either side shows itself after this long of silence.
const HEARTBEAT_NS: i64 = 1_000_000_000;

/// See the module. The exchange is the server.
#[derive(Debug)]
pub struct SoupSession {
    /// Number of its connection.
    pub connection: usize,
    session: Arc<str>,
    next_seq: u64,
    logged_in: bool,
}

impl SoupSession {
    /// A session nobody has logged in to.
    pub fn new(connection: usize, session: &str) -> Self {
        Self { connection, session: session.into(), next_seq: 1, logged_in: false }
    }

    /// The gateway asks to log in.
    pub fn log_in(&mut self, ctx: &mut Context, connections: &mut [Connection]) {
        let bytes = soup::login_request("GWAY1", "secret", "", self.next_seq);
        let id = ctx.new_id();
        // Which session it gets, the client learns only from the answer.
        let tag = MessageTag { session: "".into(), ..self.tag(id, "soupbintcp", None, 'L') };
        connections[self.connection].write(ctx, Side::Client, &bytes, tag, App::Logon);
    }

    /// The exchange lets it in, and says that it is open.
    pub fn accept(&mut self, ctx: &mut Context, connections: &mut [Connection]) {
        self.logged_in = true;
        let bytes = soup::login_accepted(&self.session, self.next_seq);
        self.framing(ctx, connections, Side::Server, 'A', &bytes);
        self.system_event(ctx, connections, b'S');
    }

    /// The exchange says that the day begins or ends.
    pub fn system_event(&mut self, ctx: &mut Context, connections: &mut [Connection], event: u8) {
        let time = calendar::since_midnight_ns(ctx.now_ns);
        let id = ctx.new_id();
        let ouch = Ouch::SystemEvent { time, event };
        self.sequenced(ctx, connections, &ouch, id, App::Nothing);
    }

    /// The gateway logs out.
    pub fn log_out(&mut self, ctx: &mut Context, connections: &mut [Connection]) {
        self.logged_in = false;
        self.framing(ctx, connections, Side::Client, 'O', &soup::logout_request());
    }

    /// The exchange ends the session.
    pub fn end(&mut self, ctx: &mut Context, connections: &mut [Connection]) {
        self.framing(ctx, connections, Side::Server, 'Z', &soup::end_of_session());
    }

    /// Sends signs of life from the sides that were silent.
    pub fn idle(&mut self, ctx: &mut Context, connections: &mut [Connection]) {
        if !self.logged_in {
            return;
        }
        if connections[self.connection].silent_ns(Side::Client, ctx.now_ns) >= HEARTBEAT_NS {
            self.framing(ctx, connections, Side::Client, 'R', &soup::client_heartbeat());
        }
        if connections[self.connection].silent_ns(Side::Server, ctx.now_ns) >= HEARTBEAT_NS {
            self.framing(ctx, connections, Side::Server, 'H', &soup::server_heartbeat());
        }
    }

    /// The gateway sends a request.
    pub fn request(
        &mut self,
        ctx: &mut Context,
        connections: &mut [Connection],
        request: OuchRequest,
    ) {
        let OuchRequest { user_ref, terms, .. } = request;
        let order = order_terms(&terms, terms.qty, &request.token);
        let ouch = match request.ask {
            Ask::New => Ouch::EnterOrder { user_ref, terms: order, options: &[] },
            Ask::Cancel => Ouch::CancelRequest { user_ref, quantity: 0 },
            Ask::Replace => {
                let original = request.original.unwrap_or(0);
                Ouch::ReplaceRequest { original, user_ref, terms: order }
            }
        };
        let bytes = soup::unsequenced(&ouch.encode());
        let tag = self.tag(request.id, PROTOCOL, None, char::from(ouch.code()));
        let app = App::OuchRequest(request);
        connections[self.connection].write(ctx, Side::Client, &bytes, tag, app);
    }

    /// The exchange sends a report.
    pub fn report(
        &mut self,
        ctx: &mut Context,
        connections: &mut [Connection],
        report: OuchReport,
    ) {
        let time = calendar::since_midnight_ns(report.engine_ns);
        let user_ref = report.user_ref;
        let token = report.token.clone();
        let terms = |qty| order_terms(&report.terms, qty, &token);
        let ouch = match report.answer {
            Answer::Accepted { reference } => Ouch::Accepted {
                time,
                user_ref,
                terms: terms(report.terms.qty),
                reference,
                state: b'L',
                options: &[],
            },
            Answer::Replaced { original, reference, open } => {
                Ouch::Replaced { time, original, user_ref, terms: terms(open), reference }
            }
            Answer::Canceled { qty, reason } => {
                Ouch::Canceled { time, user_ref, quantity: qty, reason }
            }
            Answer::Executed { qty, price_e4, liquidity, match_number } => Ouch::Executed {
                time,
                user_ref,
                quantity: qty,
                price_e4: u64::from(price_e4),
                liquidity,
                match_number,
            },
            Answer::Rejected { reason } => {
                Ouch::Rejected { time, user_ref, reason, cl_ord_id: &token }
            }
            Answer::CancelRejected => Ouch::CancelReject { time, user_ref },
        };
        let id = report.id;
        self.sequenced(ctx, connections, &ouch, id, App::OuchReport(report.clone()));
    }

    fn sequenced(
        &mut self,
        ctx: &mut Context,
        connections: &mut [Connection],
        ouch: &Ouch<'_>,
        id: u64,
        app: App,
    ) {
        let bytes = soup::sequenced(&ouch.encode());
        let tag = self.tag(id, PROTOCOL, Some(self.next_seq), char::from(ouch.code()));
        self.next_seq += 1;
        connections[self.connection].write(ctx, Side::Server, &bytes, tag, app);
    }

    /// A message of the framing itself.
    fn framing(
        &mut self,
        ctx: &mut Context,
        connections: &mut [Connection],
        side: Side,
        code: char,
        bytes: &[u8],
    ) {
        let id = ctx.new_id();
        let tag = self.tag(id, "soupbintcp", None, code);
        connections[self.connection].write(ctx, side, bytes, tag, App::Nothing);
    }

    fn tag(&self, id: u64, protocol: &'static str, seq: Option<u64>, code: char) -> MessageTag {
        MessageTag { id, protocol, session: self.session.clone(), seq, code }
    }
}

fn order_terms<'a>(terms: &Terms, quantity: u32, cl_ord_id: &'a str) -> OrderTerms<'a> {
    OrderTerms {
        side: terms.side,
        quantity,
        symbol: SYMBOLS[terms.symbol].name,
        price_e4: u64::from(terms.price_e4),
        time_in_force: if terms.ioc { b'3' } else { b'0' },
        display: if terms.hidden { b'N' } else { b'Y' },
        cl_ord_id,
    }
}
