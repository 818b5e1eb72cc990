//! What the actors tell each other over the sessions, beside the bytes.

/// What a session carries for its actors; the bytes say the same.
#[derive(Clone, Debug)]
pub enum App {
    /// Nothing: heartbeats, copies, signs of the framing.
    Nothing,
    /// The client logs on.
    Logon,
    /// The client logs out.
    Logout,
    /// Strategy to gateway.
    FixRequest(FixRequest),
    /// Gateway to strategy.
    FixReport(FixReport),
    /// Gateway to exchange.
    OuchRequest(OuchRequest),
    /// Exchange to gateway.
    OuchReport(OuchReport),
}

/// What an order is.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Index of the instrument.
    pub symbol: usize,
    /// `B` or `S`.
    pub side: u8,
    /// Shares, of the whole chain of replaces.
    pub qty: u32,
    /// Four implied decimals.
    pub price_e4: u32,
    /// Immediate or cancel.
    pub ioc: bool,
    /// Not displayed.
    pub hidden: bool,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A new order.
    New,
    /// Cancel it.
    Cancel,
    /// Replace it.
    Replace,
}

/// A FIX D, F or G.
#[derive(Clone, Debug)]
pub struct FixRequest {
    /// Logical id.
    pub id: u64,
    /// What is asked.
    pub ask: Ask,
    /// The order's number in the simulation.
    pub order: u64,
    /// Which strategy.
    pub strategy: usize,
    /// 11.
    pub cl_ord_id: String,
    /// 41.
    pub orig_cl_ord_id: Option<String>,
    /// The order as it shall be.
    pub terms: Terms,
}

/// An OUCH request.
#[derive(Clone, Debug)]
pub struct OuchRequest {
    /// Logical id.
    pub id: u64,
    /// What is asked.
    pub ask: Ask,
    /// The order's number in the simulation.
    pub order: u64,
    /// UserRefNum; of a cancel: the order's.
    pub user_ref: u32,
    /// Original UserRefNum of a replace.
    pub original: Option<u32>,
    /// ClOrdID that the gateway made up.
    pub token: String,
    /// The order as it shall be.
    pub terms: Terms,
}

/// What the exchange says.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Accepted under this reference.
    Accepted {
        /// Order reference number.
        reference: u64,
    },
    /// Replaced; now under this reference with so many shares open.
    Replaced {
        /// UserRefNum before.
        original: u32,
        /// Order reference number.
        reference: u64,
        /// Shares open.
        open: u32,
    },
    /// So many shares canceled, for a reason.
    Canceled {
        /// Shares.
        qty: u32,
        /// Code of OUCH 5.0 appendix C.
        reason: u8,
    },
    /// Executed.
    Executed {
        /// Shares.
        qty: u32,
        /// Four implied decimals.
        price_e4: u32,
        /// Added or removed.
        liquidity: u8,
        /// Match number.
        match_number: u64,
    },
    /// Order or replace rejected, for a reason.
    Rejected {
        /// Code of OUCH 5.0 appendix D.
        reason: u16,
    },
    /// Cancel rejected.
    CancelRejected,
}

/// An OUCH report.
#[derive(Clone, Debug)]
pub struct OuchReport {
    /// Logical id.
    pub id: u64,
    /// The order's number in the simulation.
    pub order: u64,
    /// UserRefNum it is about.
    pub user_ref: u32,
    /// The order's ClOrdID.
    pub token: String,
    /// What.
    pub answer: Answer,
    /// The order now.
    pub terms: Terms,
    /// When the engine made it.
    pub engine_ns: i64,
}

/// What a FIX report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// 150=0.
    New,
    /// 150=F.
    Trade,
    /// 150=4.
    Canceled,
    /// 150=5.
    Replaced,
    /// 150=8.
    Rejected,
    /// 150=C.
    Expired,
    /// 35=9 to a cancel.
    CancelRejected,
    /// 35=9 to a replace.
    ReplaceRejected,
}

/// A FIX 8 or 9.
#[derive(Clone, Debug)]
pub struct FixReport {
    /// Logical id.
    pub id: u64,
    /// The order's number in the simulation.
    pub order: u64,
    /// Which strategy.
    pub strategy: usize,
    /// What it says.
    pub said: Said,
    /// 11.
    pub cl_ord_id: String,
    /// 41.
    pub orig_cl_ord_id: Option<String>,
    /// 17.
    pub exec_id: String,
    /// 37, where the exchange gave one.
    pub reference: Option<u64>,
    /// The order now.
    pub terms: Terms,
    /// 14.
    pub cum: u32,
    /// 151.
    pub leaves: u32,
    /// Sum of shares times price of all fills, four implied decimals.
    pub notional_e4: u64,
    /// 32, 31 and 880 of a fill.
    pub last: Option<(u32, u32, u64)>,
    /// 58.
    pub text: Option<&'static str>,
}
