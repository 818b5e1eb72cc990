//! A FIX session over a connection: numbers, logons, heartbeats.

use crate::calendar;
use crate::context::Context;
use crate::desk::messages::App;
use crate::encode::fix::{Fix, Parties};
use crate::net::stream::{Connection, Side};
use crate::truth::MessageTag;
use std::sync::Arc;

/// HeartBtInt, in seconds.
const HEARTBEAT_S: i64 = 2;
/// Protocol id of every FIX session here.
pub const PROTOCOL: &str = "fix.4.4";

/// See the module. The gateway is the server of every session.
#[derive(Debug)]
pub struct FixSession {
    /// Number of its connection.
    pub connection: usize,
    parties: [Parties; 2],
    sessions: [Arc<str>; 2],
    numbers: [u32; 2],
    logged_on: bool,
}

impl FixSession {
    /// A session nobody has logged on to.
    pub fn new(connection: usize, client: &str, server: &str) -> Self {
        let parties = |from: &str, to: &str| Parties { sender: from.into(), target: to.into() };
        Self {
            connection,
            parties: [parties(client, server), parties(server, client)],
            sessions: session_names(client, server),
            numbers: [0; 2],
            logged_on: false,
        }
    }

    /// Sends a message under a given logical id.
    pub fn send(
        &mut self,
        ctx: &mut Context,
        connections: &mut [Connection],
        side: Side,
        fix: &Fix,
        id: u64,
        app: App,
    ) {
        let number = &mut self.numbers[side as usize];
        *number += 1;
        let time = calendar::utc_timestamp(ctx.now_ns);
        let bytes = fix.encode(&self.parties[side as usize], *number, &time);
        let tag = MessageTag {
            id,
            protocol: PROTOCOL,
            session: self.sessions[side as usize].clone(),
            seq: Some(u64::from(*number)),
            code: fix.msg_type().chars().next().unwrap_or('?'),
        };
        connections[self.connection].write(ctx, side, &bytes, tag, app);
    }

    /// Sends a message of the session itself.
    pub fn send_admin(
        &mut self,
        ctx: &mut Context,
        connections: &mut [Connection],
        side: Side,
        fix: &Fix,
    ) {
        let id = ctx.new_id();
        self.send(ctx, connections, side, fix, id, App::Nothing);
    }

    /// A side logs on, and numbers its messages from 1; the server does so in
    /// answer.
    pub fn log_on(&mut self, ctx: &mut Context, connections: &mut [Connection], side: Side) {
        self.logged_on = true;
        self.numbers[side as usize] = 0;
        let fix = Fix::new("A").field(98, 0).field(108, HEARTBEAT_S).field(141, 'Y');
        self.send_first(ctx, connections, side, &fix, App::Logon);
    }

    /// A side logs out.
    pub fn log_out(&mut self, ctx: &mut Context, connections: &mut [Connection], side: Side) {
        self.logged_on = false;
        let fix = Fix::new("5").field(58, "end of day");
        self.send_first(ctx, connections, side, &fix, App::Logout);
    }

    /// Sends a message which, from the client, wants one like it in answer.
    fn send_first(
        &mut self,
        ctx: &mut Context,
        connections: &mut [Connection],
        side: Side,
        fix: &Fix,
        app: App,
    ) {
        let id = ctx.new_id();
        let app = if side == Side::Client { app } else { App::Nothing };
        self.send(ctx, connections, side, fix, id, app);
    }

    /// Sends heartbeats from the sides that were silent for the interval.
    pub fn idle(&mut self, ctx: &mut Context, connections: &mut [Connection]) {
        for side in [Side::Client, Side::Server] {
            let silent_ns = connections[self.connection].silent_ns(side, ctx.now_ns);
            if self.logged_on && silent_ns >= HEARTBEAT_S * 1_000_000_000 {
                self.send_admin(ctx, connections, side, &Fix::new("0"));
            }
        }
    }
}

/// What client and server send is called, as 49>56.
pub fn session_names(client: &str, server: &str) -> [Arc<str>; 2] {
    [format!("{client}>{server}").into(), format!("{server}>{client}").into()]
}
