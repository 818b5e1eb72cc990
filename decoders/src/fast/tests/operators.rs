//! Every operator with every presence and every state of the previous value,
//! by FAST 1.1, section 6.3: messages written by hand.

use super::*;

/// A message: presence map bits after the template id's, bytes, and the values
/// or the error.
type Step<'s> = (&'s [u8], &'s str, Result<Vec<Value>, Code>);

/// Runs messages through one decoder; the first carries template id 1.
#[track_caller]
fn script(instructions: &str, steps: &[Step]) {
    let templates = template(instructions);
    let mut pair = Pair::new(&templates, ResetPolicy::Never);
    for (at, (bits, bytes, expected)) in steps.iter().enumerate() {
        let first = at == 0;
        let mut message = vec![0x80 | u8::from(first) << 6];
        for (bit, set) in bits.iter().enumerate() {
            message[0] |= set << (5 - bit);
        }
        if first {
            message.push(0x81);
        }
        message.extend(hex(bytes));
        let got = pair.decode(&message);
        let got = got.map(|(fields, len)| (values(&fields), len));
        match (got, expected) {
            (Ok((got, len)), Ok(expected)) => {
                assert_eq!(&got, expected, "step {at} of {instructions}");
                assert_eq!(len, message.len(), "step {at} of {instructions}");
            }
            (Err(error), Err(code)) => {
                assert_eq!(error.code(), Some(*code), "step {at} of {instructions}: {error}");
            }
            (got, expected) => {
                panic!("step {at} of {instructions}: {got:?}, expected {expected:?}")
            }
        }
    }
}

fn one(value: Value) -> Result<Vec<Value>, Code> {
    Ok(vec![value])
}

const NULL: Value = Value::Null;

#[test]
fn no_operator() {
    script("<uInt32 name=\"a\"/>", &[(&[], "83", one(int(3))), (&[], "", Err(Code::End))]);
    script(
        "<uInt32 name=\"a\" presence=\"optional\"/>",
        &[(&[], "84", one(int(3))), (&[], "80", one(NULL))],
    );
    script("<int32 name=\"a\"/>", &[(&[], "ff", one(int(-1)))]);
    script(
        "<int64 name=\"a\" presence=\"optional\"/>",
        &[(&[], "ff", one(int(-1))), (&[], "82", one(int(1))), (&[], "80", one(NULL))],
    );
    script("<string name=\"a\"/>", &[(&[], "41c2", one(text("AB"))), (&[], "80", one(text("")))]);
    script(
        "<string name=\"a\" presence=\"optional\"/>",
        &[(&[], "80", one(NULL)), (&[], "0080", one(text(""))), (&[], "000080", one(text("\0")))],
    );
    script(
        "<string name=\"a\" charset=\"unicode\"/>",
        &[(&[], "82c3a9", one(text("é"))), (&[], "80", one(text("")))],
    );
    script(
        "<byteVector name=\"a\" presence=\"optional\"/>",
        &[(&[], "83c3a9", one(Value::Bytes(vec![0xc3, 0xa9]))), (&[], "80", one(NULL))],
    );
    script("<decimal name=\"a\"/>", &[(&[], "fe81", one(decimal(1, -2)))]);
    script(
        "<decimal name=\"a\" presence=\"optional\"/>",
        &[
            (&[], "fe81", one(decimal(1, -2))),
            (&[], "8181", one(decimal(1, 0))),
            (&[], "80", one(NULL)),
        ],
    );
}

#[test]
fn constant() {
    script("<uInt32 name=\"a\"><constant value=\"7\"/></uInt32>", &[(&[], "", one(int(7)))]);
    script(
        "<uInt32 name=\"a\" presence=\"optional\"><constant value=\"7\"/></uInt32>",
        &[(&[1], "", one(int(7))), (&[0], "", one(NULL))],
    );
    script(
        "<string name=\"a\" presence=\"optional\"><constant value=\"XY\"/></string>",
        &[(&[1], "", one(text("XY"))), (&[0], "", one(NULL))],
    );
    script(
        "<decimal name=\"a\"><constant value=\"-12.50\"/></decimal>",
        &[(&[], "", one(decimal(-125, -1)))],
    );
    script(
        "<byteVector name=\"a\"><constant value=\"C1 b3\"/></byteVector>",
        &[(&[], "", one(Value::Bytes(vec![0xc1, 0xb3])))],
    );
}

#[test]
fn default() {
    script(
        "<uInt32 name=\"a\"><default value=\"7\"/></uInt32>",
        &[(&[0], "", one(int(7))), (&[1], "81", one(int(1))), (&[0], "", one(int(7)))],
    );
    script(
        "<uInt32 name=\"a\" presence=\"optional\"><default value=\"7\"/></uInt32>",
        &[
            (&[0], "", one(int(7))),
            (&[1], "80", one(NULL)),
            (&[1], "83", one(int(2))),
            (&[0], "", one(int(7))),
        ],
    );
    script(
        "<string name=\"a\" presence=\"optional\"><default/></string>",
        &[(&[0], "", one(NULL)), (&[1], "c1", one(text("A"))), (&[0], "", one(NULL))],
    );
    script(
        "<decimal name=\"a\" presence=\"optional\"><default value=\"100\"/></decimal>",
        &[
            (&[0], "", one(decimal(1, 2))),
            (&[1], "80", one(NULL)),
            (&[1], "ff85", one(decimal(5, -1))),
        ],
    );
}

#[test]
fn copy() {
    let mandatory = "<uInt32 name=\"a\"><copy/></uInt32>";
    script(mandatory, &[(&[0], "", Err(Code::D5))]);
    script(
        mandatory,
        &[(&[1], "85", one(int(5))), (&[0], "", one(int(5))), (&[1], "86", one(int(6)))],
    );
    script(
        "<uInt32 name=\"a\"><copy value=\"3\"/></uInt32>",
        &[(&[0], "", one(int(3))), (&[1], "86", one(int(6))), (&[0], "", one(int(6)))],
    );
    let optional = "<uInt32 name=\"a\" presence=\"optional\"><copy/></uInt32>";
    script(
        optional,
        &[
            (&[0], "", one(NULL)),
            (&[1], "86", one(int(5))),
            (&[0], "", one(int(5))),
            (&[1], "80", one(NULL)),
            (&[0], "", one(NULL)),
        ],
    );
    // An empty previous value stays empty: the initial value is only for
    // undefined.
    script(
        "<uInt32 name=\"a\" presence=\"optional\"><copy value=\"3\"/></uInt32>",
        &[(&[0], "", one(int(3))), (&[1], "80", one(NULL)), (&[0], "", one(NULL))],
    );
    script(
        "<string name=\"a\" presence=\"optional\"><copy value=\"Q\"/></string>",
        &[
            (&[0], "", one(text("Q"))),
            (&[1], "41c2", one(text("AB"))),
            (&[0], "", one(text("AB"))),
            (&[1], "80", one(NULL)),
            (&[0], "", one(NULL)),
            (&[1], "0080", one(text(""))),
            (&[0], "", one(text(""))),
        ],
    );
    script("<string name=\"a\"><copy/></string>", &[(&[0], "", Err(Code::D5))]);
    script(
        "<decimal name=\"a\" presence=\"optional\"><copy/></decimal>",
        &[
            (&[0], "", one(NULL)),
            (&[1], "fe85", one(decimal(5, -2))),
            (&[0], "", one(decimal(5, -2))),
            (&[1], "80", one(NULL)),
            (&[0], "", one(NULL)),
        ],
    );
    script("<decimal name=\"a\"><copy/></decimal>", &[(&[0], "", Err(Code::D5))]);
    script(
        "<byteVector name=\"a\"><copy value=\"00ff\"/></byteVector>",
        &[
            (&[0], "", one(Value::Bytes(vec![0, 255]))),
            (&[1], "8107", one(Value::Bytes(vec![7]))),
            (&[0], "", one(Value::Bytes(vec![7]))),
        ],
    );
}

#[test]
fn a_mandatory_field_with_an_empty_previous_value_is_d6() {
    for (kind, null, operator) in [
        ("uInt32", "80", "copy"),
        ("uInt32", "80", "increment"),
        ("string", "80", "copy"),
        ("string", "80", "tail"),
        ("byteVector", "80", "tail"),
        ("decimal", "80", "copy"),
    ] {
        let instructions = format!(
            "<{kind} name=\"o\" presence=\"optional\"><copy key=\"k\"/></{kind}>
             <{kind} name=\"m\"><{operator} key=\"k\"/></{kind}>"
        );
        script(&instructions, &[(&[1, 0], null, Err(Code::D6))]);
    }
    for (kind, bytes) in [("uInt32", "8081"), ("string", "808080"), ("decimal", "808080")] {
        let instructions = format!(
            "<{kind} name=\"o\" presence=\"optional\"><copy key=\"k\"/></{kind}>
             <{kind} name=\"m\"><delta key=\"k\"/></{kind}>"
        );
        script(&instructions, &[(&[1], bytes, Err(Code::D6))]);
    }
}

#[test]
fn increment() {
    let mandatory = "<uInt32 name=\"a\"><increment/></uInt32>";
    script(mandatory, &[(&[0], "", Err(Code::D5))]);
    script(
        mandatory,
        &[(&[1], "85", one(int(5))), (&[0], "", one(int(6))), (&[0], "", one(int(7)))],
    );
    script(
        "<uInt32 name=\"a\"><increment value=\"1\"/></uInt32>",
        &[(&[0], "", one(int(1))), (&[0], "", one(int(2)))],
    );
    script(
        "<int64 name=\"a\" presence=\"optional\"><increment/></int64>",
        &[
            (&[0], "", one(NULL)),
            (&[1], "fe", one(int(-2))),
            (&[0], "", one(int(-1))),
            (&[0], "", one(int(0))),
            (&[1], "80", one(NULL)),
            (&[0], "", one(NULL)),
        ],
    );
    // The largest value has no next one.
    script(
        mandatory,
        &[(&[1], "0f7f7f7fff", one(int(u32::MAX.into()))), (&[0], "", Err(Code::R4))],
    );
    script(
        "<uInt64 name=\"a\"><increment value=\"18446744073709551614\"/></uInt64>",
        &[
            (&[0], "", one(int(u64::MAX as i128 - 1))),
            (&[0], "", one(int(u64::MAX.into()))),
            (&[0], "", Err(Code::R4)),
        ],
    );
}

#[test]
fn delta_of_integers() {
    script(
        "<uInt32 name=\"a\"><delta/></uInt32>",
        &[(&[], "85", one(int(5))), (&[], "fe", one(int(3))), (&[], "fc", Err(Code::R4))],
    );
    script(
        "<int32 name=\"a\"><delta value=\"-10\"/></int32>",
        &[(&[], "81", one(int(-9))), (&[], "ff", one(int(-10)))],
    );
    // Absent leaves the previous value as it is.
    script(
        "<int32 name=\"a\" presence=\"optional\"><delta/></int32>",
        &[(&[], "86", one(int(5))), (&[], "80", one(NULL)), (&[], "82", one(int(6)))],
    );
    // From the smallest to the largest 64-bit value: a difference of 65 bits.
    script(
        "<uInt64 name=\"a\"><delta value=\"18446744073709551615\"/></uInt64>",
        &[
            (&[], "80", one(int(u64::MAX.into()))),
            (&[], "7e 00 00 00 00 00 00 00 00 81", one(int(0))),
        ],
    );
    script(
        "<int64 name=\"a\"><delta value=\"-9223372036854775808\"/></int64>",
        &[(&[], "01 7f 7f 7f 7f 7f 7f 7f 7f ff", one(int(i64::MAX.into())))],
    );
}

#[test]
fn delta_of_decimals() {
    script(
        "<decimal name=\"a\"><delta/></decimal>",
        &[
            (&[], "fe3945a3", one(decimal(942_755, -2))),
            (&[], "80fc", one(decimal(942_751, -2))),
            (&[], "c080", Err(Code::R1)),
        ],
    );
    script(
        "<decimal name=\"a\" presence=\"optional\"><delta value=\"12000\"/></decimal>",
        &[
            (&[], "8180", one(decimal(12, 3))),
            (&[], "80", one(NULL)),
            (&[], "ff00ed", one(decimal(121, 2))),
        ],
    );
    script(
        "<decimal name=\"a\"><delta value=\"9223372036854775807\"/></decimal>",
        &[(&[], "8081", Err(Code::R2))],
    );
}

#[test]
fn delta_of_strings() {
    script(
        "<string name=\"a\"><delta/></string>",
        &[
            (&[], "80 474548b6", one(text("GEH6"))),
            (&[], "82 4db6", one(text("GEM6"))),
            (&[], "fd 45d3", one(text("ESM6"))),
            (&[], "ff 52d3", one(text("RSESM6"))),
            (&[], "80 80", one(text("RSESM6"))),
            (&[], "87 80", Err(Code::D7)),
        ],
    );
    script(
        "<string name=\"a\" presence=\"optional\"><delta value=\"AB\"/></string>",
        &[
            (&[], "82 c3", one(text("AC"))),
            (&[], "80", one(NULL)),
            (&[], "81 c4", one(text("ACD"))),
            (&[], "fc80", one(text(""))),
            (&[], "fe 80", Err(Code::D7)),
        ],
    );
    script(
        "<string name=\"a\" charset=\"unicode\"><delta value=\"aé\"/></string>",
        &[(&[], "82 82c3bc", one(text("aü")))],
    );
    script(
        "<byteVector name=\"a\"><delta value=\"010203\"/></byteVector>",
        &[
            (&[], "fe 8109", one(Value::Bytes(vec![9, 2, 3]))),
            (&[], "83 80", one(Value::Bytes(vec![]))),
        ],
    );
    // A subtraction of more than 31 bits.
    script("<string name=\"a\"><delta/></string>", &[(&[], "08 00 00 00 80 80", Err(Code::D7))]);
}

#[test]
fn tail() {
    script("<string name=\"a\"><tail/></string>", &[(&[0], "", Err(Code::D5))]);
    script(
        "<string name=\"a\"><tail/></string>",
        &[
            (&[1], "4142c3", one(text("ABC"))),
            (&[1], "da", one(text("ABZ"))),
            (&[1], "41425ad9", one(text("ABZY"))),
            (&[0], "", one(text("ABZY"))),
            (&[1], "80", one(text("ABZY"))),
        ],
    );
    let optional = "<string name=\"a\" presence=\"optional\"><tail value=\"ABC\"/></string>";
    script(
        optional,
        &[
            (&[0], "", one(text("ABC"))),
            (&[1], "c4", one(text("ABD"))),
            (&[1], "0080", one(text("ABD"))),
        ],
    );
    // Empty is not undefined: absent stays absent, but a tail has the initial
    // value as its base.
    script(
        optional,
        &[(&[1], "80", one(NULL)), (&[0], "", one(NULL)), (&[1], "59d9", one(text("AYY")))],
    );
    script(
        "<string name=\"a\" presence=\"optional\"><tail/></string>",
        &[
            (&[0], "", one(NULL)),
            (&[1], "4142c3", one(text("ABC"))),
            (&[1], "80", one(NULL)),
            (&[1], "da", one(text("Z"))),
        ],
    );
    script(
        "<byteVector name=\"a\"><tail value=\"0102\"/></byteVector>",
        &[(&[0], "", one(Value::Bytes(vec![1, 2]))), (&[1], "8109", one(Value::Bytes(vec![1, 9])))],
    );
}

#[test]
fn decimals_of_two_operators() {
    let both = |presence: &str, exponent: &str, mantissa: &str| {
        format!(
            "<decimal name=\"a\" {presence}>{exponent}{mantissa}</decimal><uInt32 name=\"z\"><default value=\"9\"/></uInt32>"
        )
    };
    let optional = "presence=\"optional\"";
    let then = |value, z| Ok(vec![value, int(z)]);
    let copies = ("<exponent><copy/></exponent>", "<mantissa><copy/></mantissa>");
    // The mantissa's bit is there only where the exponent is.
    script(
        &both(optional, copies.0, copies.1),
        &[
            (&[1, 1, 1], "fe85 81", then(decimal(5, -2), 1)),
            (&[0, 1, 0], "86", then(decimal(6, -2), 9)),
            (&[1, 1], "80 83", then(NULL, 3)),
            (&[0, 1], "84", then(NULL, 4)),
            (&[1, 0, 0], "fd", then(decimal(6, -3), 9)),
        ],
    );
    // An exponent by default that is absent.
    script(
        &both(optional, "<exponent><default/></exponent>", "<mantissa><delta/></mantissa>"),
        &[
            (&[0, 0], "", then(NULL, 9)),
            (&[1, 0], "fe 85", then(decimal(5, -2), 9)),
            (&[0, 1], "82", then(NULL, 2)),
            (&[1, 0], "fe 81", then(decimal(6, -2), 9)),
        ],
    );
    script(
        &both("", "<exponent><default value=\"-2\"/></exponent>", "<mantissa><delta/></mantissa>"),
        &[(&[0, 0], "85", then(decimal(5, -2), 9)), (&[1, 0], "81 81", then(decimal(6, 1), 9))],
    );
    // Only one of the two elements: the other has no operator.
    script(
        &both("", "<exponent><constant value=\"-2\"/></exponent>", ""),
        &[(&[0], "85", then(decimal(5, -2), 9))],
    );
    script(
        &both(optional, "<exponent><default value=\"-3\"/></exponent>", ""),
        &[(&[0, 0], "85", then(decimal(5, -3), 9)), (&[1, 0], "80", then(NULL, 9))],
    );
    script(
        &both(optional, "", "<mantissa><increment value=\"1\"/></mantissa>"),
        &[
            (&[0, 0], "ff", then(decimal(1, -1), 9)),
            (&[0], "80", then(NULL, 9)),
            (&[0, 0], "ff", then(decimal(2, -1), 9)),
        ],
    );
    script(&both("", "<exponent><copy/></exponent>", ""), &[(&[1], "0040 81", Err(Code::R1))]);
}

#[test]
fn numbers_out_of_their_type() {
    let field = |kind: &str| template(&format!("<{kind} name=\"a\"/>"));
    assert_eq!(code(&field("uInt32"), &hex("c081 1000000080")), Some(Code::D2));
    assert_eq!(code(&field("int32"), &hex("c081 0800000080")), Some(Code::D2));
    assert_eq!(code(&field("uInt64"), &hex("c081 02000000000000000080")), Some(Code::D2));
    assert_eq!(code(&field("uInt64"), &hex("c081 0000000000000000000080")), Some(Code::R6));
    assert_eq!(code(&field("decimal"), &hex("c081 004080")), Some(Code::R1));
    assert_eq!(code(&field("decimal"), &hex("c081 80 01000000000000000080")), Some(Code::R2));
    // More leading zeros than needed are no harm.
    assert_eq!(code(&field("uInt32"), &hex("c081 000085")), None);
}

#[test]
fn the_largest_numbers_and_the_null_beside_them() {
    let optional = |kind: &str| format!("<{kind} name=\"a\" presence=\"optional\"/>");
    // One more than 64 bits hold is on the wire: 2^64 for 2^64 - 1.
    script(
        &optional("uInt64"),
        &[(&[], "02000000000000000080", one(int(u64::MAX.into()))), (&[], "80", one(NULL))],
    );
    script(
        &optional("int64"),
        &[
            (&[], "01000000000000000080", one(int(i64::MAX.into()))),
            (&[], "7f000000000000000080", one(int(i64::MIN.into()))),
        ],
    );
}
