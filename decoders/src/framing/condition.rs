//! Conditions on the fields of a header: `flag in 13,15`, `first.code = "CT"`.

/// Bytes of a text that a condition can compare.
pub const TEXT_MAX: usize = 8;

/// How a field is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    OneOf(Vec<u64>),
    Not(u64),
    Below(u64),
    Above(u64),
    AnyBit(u64),
    Multiple(u64),
}

/// A condition: a field, of the header or of a message, and a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Index of the field among its layout's.
    pub field: usize,
    /// Whether it is a field of the (first) message, not of the header.
    pub of_message: bool,
    test: Test,
}

/// Finds a field by its name: index, whether of the message, and its size in
/// bytes where it is a text.
pub type Find<'a> = &'a dyn Fn(&str) -> Option<(usize, bool, Option<usize>)>;

impl Condition {
    /// Reads a condition.
    pub fn parse(text: &str, find: Find<'_>) -> Result<Self, String> {
        let (name, rest) = text.trim().split_once(' ').ok_or_else(|| wrong(text))?;
        let (field, of_message, width) =
            find(name).ok_or_else(|| format!("condition {text:?}: there is no field {name:?}"))?;
        let (operator, values) = rest.trim().split_once(' ').ok_or_else(|| wrong(text))?;
        let values: Option<Vec<u64>> = values.split(',').map(|v| value(v.trim(), width)).collect();
        let values = values.ok_or_else(|| {
            let want = if width.is_some() { "texts in quotes" } else { "numbers" };
            format!("condition {text:?}: {name} is compared with {want}")
        })?;
        let test = match (operator, values.as_slice()) {
            ("=", [_]) | ("in", _) => Test::OneOf(values),
            ("!=", [value]) => Test::Not(*value),
            ("<", [value]) => Test::Below(*value),
            (">", [value]) => Test::Above(*value),
            ("&", [value]) => Test::AnyBit(*value),
            ("%", [value]) if *value > 0 => Test::Multiple(*value),
            _ => return Err(wrong(text)),
        };
        Ok(Self { field, of_message, test })
    }

    /// Whether the field's value passes; `None`, a field that is not there,
    /// does not.
    #[inline]
    pub fn holds(&self, value: Option<u64>) -> bool {
        let Some(value) = value else { return false };
        match &self.test {
            Test::OneOf(values) => values.contains(&value),
            Test::Not(other) => value != *other,
            Test::Below(limit) => value < *limit,
            Test::Above(limit) => value > *limit,
            Test::AnyBit(bits) => value & bits != 0,
            Test::Multiple(of) => value.is_multiple_of(*of),
        }
    }
}

fn wrong(text: &str) -> String {
    format!(
        "condition {text:?}: write `field = 1`, `field in 1,2`, `field != 1`, `field < 1`, `field > 1`, `field & 0x0C`, `field % 8`"
    )
}

/// A literal as 64 bits; texts are padded with spaces to the field's `width`.
fn value(text: &str, width: Option<usize>) -> Option<u64> {
    let Some(width) = width else { return crate::fixed::source::number(text) };
    let text = text.strip_prefix('"')?.strip_suffix('"')?.as_bytes();
    if text.len() > width || width > TEXT_MAX {
        return None;
    }
    let padded = text.iter().chain(std::iter::repeat(&b' ')).take(width);
    Some(padded.fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Condition, String> {
        Condition::parse(text, &|name| match name {
            "flag" => Some((3, false, None)),
            "first.code" => Some((1, true, Some(2))),
            _ => None,
        })
    }

    #[test]
    fn tests_hold_or_not() {
        let holds = |text: &str, value| parse(text).unwrap().holds(Some(value));
        assert!(holds("flag = 0x0D", 13) && !holds("flag = 13", 12));
        assert!(holds("flag in 13,15", 15) && holds("flag != 1", 2));
        assert!(holds("flag & 0x0C", 4) && !holds("flag & 0x0C", 3));
        assert!(holds("flag % 8", 16) && !holds("flag % 8", 17));
        assert!(holds("flag < 5", 4) && holds("flag > 5", 6));
        assert!(holds("first.code in \"CT\",\"V\"", 0x5620));
        assert!(!parse("flag = 1").unwrap().holds(None));
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert!(parse("colour = 1").unwrap_err().contains("no field \"colour\""));
        assert!(parse("first.code = 7").unwrap_err().contains("texts in quotes"));
        assert!(parse("flag ~ 7").unwrap_err().contains("write"));
        assert!(parse("flag").unwrap_err().contains("write"));
    }
}
