//! `flag_names(flags)`: the bits of `messages.flags` by name, with `|` between.

use arrow::array::{ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::{DataType, UInt32Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;
use taptrail_decoders::kind::flags::NAMES;

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct FlagNames {
    signature: Signature,
}

impl FlagNames {
    /// The function.
    #[expect(clippy::new_without_default)]
    pub fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::UInt32], Volatility::Immutable) }
    }
}

/// The names of the bits that are set; a bit without one is named by its
/// number.
pub fn names(flags: u32) -> String {
    let mut names = Vec::new();
    for bit in (0..u32::BITS).filter(|bit| flags & (1 << bit) != 0) {
        let known = NAMES.iter().find(|(flag, _)| *flag == 1 << bit);
        names.push(known.map_or_else(|| format!("bit{bit}"), |(_, name)| (*name).to_owned()));
    }
    names.join("|")
}

impl ScalarUDFImpl for FlagNames {
    fn name(&self) -> &str {
        "flag_names"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let mut builder = StringBuilder::new();
        for array in &arrays {
            for flags in array.as_primitive::<UInt32Type>() {
                builder.append_option(flags.map(names));
            }
        }
        Ok(ColumnarValue::Array(Arc::new(builder.finish()) as ArrayRef))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taptrail_decoders::kind::flags;

    #[test]
    fn bits_have_names() {
        assert_eq!(names(0), "");
        assert_eq!(names(flags::SNAPSHOT | flags::DUPLICATE), "snapshot|duplicate");
        assert_eq!(names(1 << 31), "bit31");
    }
}
