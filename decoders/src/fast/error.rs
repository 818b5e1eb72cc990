//! What can be wrong with a FAST message: the specification's error codes and
//! this decoder's limits.

/// Why decoding stopped. Codes `D…` and `R…` are those of FAST 1.1, appendix 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The message ends inside a field.
    End,
    /// D2: an integer on the wire is outside its type.
    D2,
    /// D4: the previous value under this key has another type.
    D4,
    /// D5: mandatory, not on the wire, no previous and no initial value.
    D5,
    /// D6: mandatory, not on the wire, and the previous value is empty.
    D6,
    /// D7: a string delta takes away more than there is.
    D7,
    /// D9: no template has this id, or no id was ever sent.
    D9,
    /// R1: a decimal's exponent is outside -63..63.
    R1,
    /// R2: a decimal's mantissa does not fit 64 bits.
    R2,
    /// R4: an operator leads out of the integer's type.
    R4,
    /// R6: an integer takes more bytes than any of its values needs.
    R6,
    /// A sequence has more entries than the message has bytes for.
    Entries,
    /// Templates refer to each other deeper than the limit.
    Depth,
    /// A text or byte vector grew over the limit.
    Length,
    /// The previous value is that of a message which was not seen.
    Unknown,
}

impl Code {
    /// The code's short name, as the specification has it where it has one.
    pub const fn name(self) -> &'static str {
        match self {
            Self::End => "end of message",
            Self::D2 => "D2",
            Self::D4 => "D4",
            Self::D5 => "D5",
            Self::D6 => "D6",
            Self::D7 => "D7",
            Self::D9 => "D9",
            Self::R1 => "R1",
            Self::R2 => "R2",
            Self::R4 => "R4",
            Self::R6 => "R6",
            Self::Entries => "too many entries",
            Self::Depth => "nested too deep",
            Self::Length => "value too long",
            Self::Unknown => "unknown value",
        }
    }

    /// What the code means, for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::End => "the message ends inside a field",
            Self::D2 => "integer outside its type",
            Self::D4 => "previous value has another type",
            Self::D5 => "mandatory field without previous or initial value",
            Self::D6 => "mandatory field with empty previous value",
            Self::D7 => "string delta takes away more than there is",
            Self::D9 => "no template with this id",
            Self::R1 => "decimal exponent outside -63..63",
            Self::R2 => "decimal mantissa outside 64 bits",
            Self::R4 => "operator leads out of the integer's type",
            Self::R6 => "integer takes too many bytes",
            Self::Entries => "sequence longer than the message can hold",
            Self::Depth => "template references nested too deep",
            Self::Length => "value longer than the limit",
            Self::Unknown => "previous value of a message that was not seen",
        }
    }
}

/// Where and why a message could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FastError {
    /// No room in the batch for the rows this message may have; nothing was
    /// read. Hand the batch out and repeat.
    #[error("the batch is full")]
    Full,
    /// The bytes are wrong, or the state is.
    #[error(
        "FAST {name}: {text}, at byte {offset} of the message (template {template}, field {field}): needed {needed}, had {had}",
        name = code.name(), text = code.text()
    )]
    Message {
        /// Why.
        code: Code,
        /// Byte of the message, from 0, where the failing value begins.
        offset: usize,
        /// Bytes needed (entries for [`Code::Entries`]).
        needed: u64,
        /// Bytes there were.
        had: u64,
        /// Name or id of the template, `?` before it is known.
        template: Box<str>,
        /// Name of the field, `?` outside fields.
        field: Box<str>,
    },
}

impl FastError {
    /// The code, where the message is at fault.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Full => None,
            Self::Message { code, .. } => Some(*code),
        }
    }
}
