//! The instruments of the simulated exchange.

/// An instrument.
#[derive(Clone, Copy, Debug)]
pub struct Symbol {
    /// Name, up to eight letters.
    pub name: &'static str,
    /// Price around which its book starts, four implied decimals.
    pub start_e4: u32,
    /// Whether the strategies watch it.
    pub watched: bool,
}

const fn symbol(name: &'static str, start_e4: u32, watched: bool) -> Symbol {
    Symbol { name, start_e4, watched }
}

/// Every instrument; its stock locate is its index here plus one.
pub const SYMBOLS: [Symbol; 20] = [
    symbol("ALFA", 1_012_500, true),
    symbol("BRVO", 254_300, true),
    symbol("CHRL", 3_870_000, true),
    symbol("DLTA", 498_800, true),
    symbol("ECHO", 75_200, true),
    symbol("FXTR", 1_500_000, false),
    symbol("GOLF", 220_900, false),
    symbol("HTEL", 930_000, false),
    symbol("INDX", 4_410_000, false),
    symbol("JULT", 187_600, false),
    symbol("KILO", 662_000, false),
    symbol("LIMA", 305_500, false),
    symbol("MIKE", 1_205_000, false),
    symbol("NOVB", 50_100, false),
    symbol("OSCR", 818_300, false),
    symbol("PAPA", 142_700, false),
    symbol("QBEC", 2_060_000, false),
    symbol("ROMO", 377_700, false),
    symbol("SIER", 590_000, false),
    symbol("TNGO", 1_111_100, false),
];

/// Smallest step of a price, four implied decimals: a cent.
pub const TICK_E4: u32 = 100;

/// The stock locate of an instrument.
pub fn locate(symbol: usize) -> u16 {
    symbol as u16 + 1
}
