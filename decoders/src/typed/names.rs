//! Names of protocols, messages and fields as SQL identifiers.
//!
//! ```text
//! nasdaq.totalview-itch.5.0 ─► nasdaq_totalview_itch_5_0
//! ```

/// What every typed table has before its own columns.
pub const KEY_COLUMNS: [&str; 6] = ["capture_id", "packet_ix", "msg_ix", "entry", "ts", "point"];

/// A protocol's id as the name of its schema: lower case, everything but
/// letters and digits as `_`, and a `p` before a digit.
pub fn identifier(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let text: String = id.chars().map(plain).collect();
    match text.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("p{text}"),
        _ => text,
    }
}

/// The schemas of some protocols, which must be sorted and not twice: those
/// that would have the same name get `_2`, `_3` behind it.
pub fn schemas<'a>(ids: impl IntoIterator<Item = &'a str>) -> Vec<(String, &'a str)> {
    let taken = ["public", "information_schema", super::FIX_SCHEMA];
    let mut schemas: Vec<(String, &str)> = Vec::new();
    for id in ids {
        let name = identifier(id);
        let is_free =
            |name: &str| !taken.contains(&name) && schemas.iter().all(|(known, _)| known != name);
        let numbered = (2..).map(|n| format!("{name}_{n}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| is_free(name));
        schemas.push((free.unwrap_or(name), id));
    }
    schemas
}
