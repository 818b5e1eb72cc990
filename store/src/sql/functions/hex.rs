//! `hex(bytes)`: bytes as lower-case hex digits; a number (a capture id, a
//! lineage id) as 16 of them.

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::{DataType, UInt64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use std::fmt::Write;
use std::sync::Arc;

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Hex {
    signature: Signature,
}

impl Hex {
    /// The function.
    #[expect(clippy::new_without_default)]
    pub fn new() -> Self {
        let one_of = [DataType::Binary, DataType::UInt64];
        let one_of = one_of.into_iter().map(|kind| TypeSignature::Exact(vec![kind]));
        Self { signature: Signature::one_of(one_of.collect(), Volatility::Immutable) }
    }
}

/// Bytes as hex digits.
pub fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl ScalarUDFImpl for Hex {
    fn name(&self) -> &str {
        "hex"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut builder = StringBuilder::new();
        for array in ColumnarValue::values_to_arrays(&args.args)? {
            if *array.data_type() == DataType::UInt64 {
                for number in array.as_primitive::<UInt64Type>() {
                    builder.append_option(number.map(|number| format!("{number:016x}")));
                }
            } else {
                for bytes in array.as_binary::<i32>() {
                    builder.append_option(bytes.map(digits));
                }
            }
        }
        Ok(ColumnarValue::Array(Arc::new(builder.finish()) as ArrayRef))
    }
}
