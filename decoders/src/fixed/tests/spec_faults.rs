//! What is wrong in a protocol file is told with its line and reason.

use crate::fixed::protocol::FixedProtocol;

const HEAD: &str = r#"[protocol]
id = "test.feed.1"
title = "Test"
source = "none"
venues = []
framings = ["moldudp64"]
endian = "little"
code = { at = 0, type = "u16" }
[types]
price = { wire = "i32", scale = 2, null = [-1] }
[clock.epoch]
unit = "s"
since = "epoch"
[enum.side]
1 = "buy"
2 = "sell"
[tlv.option]
length = "u16"
tag = "u8"
elements = """
 1 firm a4 -> participant
"""
"#;

/// A file with one message: 22 lines before `[msg.7]`.
fn with(message: &str) -> String {
    format!("{HEAD}[msg.7]\nname = \"m\"\n{message}\n")
}

fn fault(text: &str) -> (usize, String) {
    let fault = FixedProtocol::parse("test.toml", text).expect_err(text);
    assert!(fault.to_string().starts_with(&format!("test.toml:{}: ", fault.line)));
    (fault.line, fault.reason)
}

#[test]
fn a_sound_file_compiles() {
    let message = r#"kind = "order.add"
size = 15
layout = """
 0 code  u16
 2 price price -> price
 6 side  u16be -> side : enum.side
 8 time  u32   -> ts_exch : clock.epoch
 12 flag  u8   -> level
 13 len   u16
 15 options tlv.option(len)
""""#;
    let protocol = FixedProtocol::parse("test.toml", &with(message)).unwrap();
    let body =
        [7, 0, 0x9C, 0xFF, 0xFF, 0xFF, 0, 2, 10, 0, 0, 0, 9, 7, 0, 5, 0, 1, b'A', b'B', b' ', b' '];
    assert!(protocol.knows(&body, None));
    let mut rows = super::rows::Rows::new(protocol.into());
    rows.decode(&[(body.to_vec(), 0)], None, 1);
    let time = 10_000_000_000 - super::rows::MIDNIGHT_NS;
    let want =
        format!("order.add 7 ts_exch={time} level=9 price=-1 msg_name=m participant=AB side=sell");
    assert_eq!(rows.cells(0), want);
}

#[test]
fn layouts_are_checked() {
    let cases = [
        ("0 code u16\n3 a u8", 4, 29, "ends at 2"),
        ("0 code u16\n2 a u9", 4, 29, "neither a wire type"),
        ("0 code u16\n2 a u8 -> prize", 3, 29, "no column `prize`"),
        ("0 code u16\n2 a u8 -> seq", 3, 29, "no column `seq`"),
        ("0 code u16\n2 a u8 -> side : enum.cide", 3, 29, "no enum"),
        ("0 code u16\n2 a u8 -> action : enum.side", 3, 29, "no word of `action`"),
        ("0 code u16\n2 a u8 -> ts_exch : clock.x", 3, 29, "no clock"),
        ("0 code u16\n2 a u8\n3 a u8", 4, 30, "second field"),
        ("0 code u16\n2 a u8 -> qty\n3 b u8 -> qty", 4, 30, "filled already"),
        ("0 code u16\n2 a c1 -> qty", 3, 29, "no number"),
        ("0 code u16\n2 a u8 -> symbol", 3, 29, "needs `: text`"),
        ("0 code u16\n2 a tlv.x(code)", 2, 29, "no [tlv.x]"),
        ("0 code u16\n2 a tlv.option(b)", 2, 29, "no field `b` before"),
        ("0 code u16\n2 a tlv.option(code)\n3 b u8", 3, 30, "write `+`"),
        ("0 code u16", 3, 23, "size is said to be 3"),
        ("0 Code u16", 2, 28, "expected `offset name type"),
    ];
    for (layout, size, line, reason) in cases {
        let message = format!("kind = \"trade\"\nsize = {size}\nlayout = \"\"\"\n{layout}\n\"\"\"");
        let found = fault(&with(&message));
        assert!(found.1.contains(reason), "{layout}: {found:?}");
        assert_eq!(found.0, line, "{layout}: {found:?}");
    }
}

#[test]
fn messages_are_checked() {
    let layout = "layout = \"0 code u16\"";
    let cases = [
        (format!("size = 2\n{layout}"), "no kind"),
        (format!("kind = \"sale\"\nsize = 2\n{layout}"), "no kind of message"),
        (format!("kind = \"trade\"\nsize = 2\nmay_end_at = [1]\n{layout}"), "no field starts at 1"),
        (format!("kind = \"trade\"\nsize = 2\nextends = \"8\"\n{layout}"), "does not send"),
        (format!("kind = \"trade\"\nsize = 2\nmixin = \"x\"\n{layout}"), "no [mixin.x]"),
        (format!("kind = \"trade\"\nsize = 2\nset = {{ side = \"bought\" }}\n{layout}"), "no word"),
        (format!("kind = \"trade\"\nsize = 2\ncolour = 1\n{layout}"), "colour"),
        (format!("kind = \"trade\"\nsize = 2\nextends = \"7\"\n{layout}"), "extend each other"),
        (
            format!(
                "kind = \"trade\"\nsize = 2\n{layout}\n[msg.0x7]\nname = \"n\"\nkind = \"trade\"\nsize = 2\n{layout}"
            ),
            "is that of `n` too",
        ),
        (
            format!(
                "kind = \"trade\"\nsize = 2\n{layout}\n[msg.x]\nname = \"n\"\nkind = \"trade\"\nsize = 2\n{layout}"
            ),
            "no code",
        ),
        (
            format!(
                "kind = \"trade\"\nsize = 2\n{layout}\nlookup = [{{ table = \"t\", key = \"code\", get = {{ symbol = \"s\" }} }}]"
            ),
            "never taught",
        ),
        (
            format!(
                "kind = \"trade\"\nsize = 2\n{layout}\nlearn = [{{ table = \"t\", key = \"nn\", set = {{ s = \"code\" }} }}]"
            ),
            "no field `nn`",
        ),
    ];
    for (message, reason) in cases {
        let found = fault(&with(&message));
        assert!(found.1.contains(reason), "{message}: {found:?}");
    }
}

#[test]
fn files_are_checked() {
    let cases = [
        ("id = \"test.feed.1\"", "id = \"Test\"", 2, "venue.product.version"),
        ("endian = \"little\"", "endian = \"middle\"", 7, "big or little"),
        ("type = \"u16\"", "type = \"u64\"", 8, "u8 to u32"),
        ("scale = 2", "scale = 12", 10, "scale is -9 to 9"),
        ("null = [-1]", "null = [0x1_0000_0000]", 10, "does not fit"),
        ("unit = \"s\"", "unit = \"h\"", 11, "ns, us, ms or s"),
        ("since = \"epoch\"", "since = \"midnight\"", 11, "needs a tz"),
        ("since = \"epoch\"", "since = \"midnight\"\ntz = \"Mars/Base\"", 11, "no IANA"),
        ("length = \"u16\"", "length = \"u32\"", 17, "u8 or u16"),
        (" 1 firm a4 -> participant", " 1 a u8\n 1 b u8", 17, "tag 1 stands twice"),
    ];
    let text = with("kind = \"trade\"\nsize = 2\nlayout = \"0 code u16\"");
    assert!(FixedProtocol::parse("test.toml", &text).is_ok());
    for (sound, wrong, line, reason) in cases {
        let found = fault(&text.replace(sound, wrong));
        assert!(found.1.contains(reason), "{wrong}: {found:?}");
        assert_eq!(found.0, line, "{wrong}: {found:?}");
    }
    assert_eq!(fault(HEAD).1, "no message: write at least one [msg.CODE]");
}

/// A message of a code and a side of one byte.
fn one_side(codes: &str) -> String {
    let head = HEAD.replace("[enum.side]\n1 = \"buy\"\n2 = \"sell\"\n", codes);
    let message = "[msg.7]\nname = \"m\"\nkind = \"order.add\"\nsize = 4\n";
    let layout = "0 code u16\n2 side u8 -> side : enum.side\n3 state u8 -> status : enum.side";
    format!("{head}{message}layout = \"\"\"\n{layout}\n\"\"\"\n")
}

#[test]
fn only_what_a_complete_list_leaves_out_speaks_against_a_protocol() {
    let agrees = |codes: &str, bytes: [u8; 2]| {
        let protocol = FixedProtocol::parse("test.toml", &one_side(codes)).unwrap();
        let body = [7, 0, bytes[0], bytes[1]];
        assert!(protocol.knows(&body, None));
        protocol.agrees(&body, None)
    };
    let open = "[enum.side]\n1 = \"buy\"\n2 = \"sell\"\n";
    let complete = "[enum.side]\n1 = \"buy\"\n2 = \"sell\"\nother = \"never\"\n";
    for (bytes, only_open) in [([1, 2], false), ([3, 2], true), ([1, 3], true), ([b' ', 2], false)]
    {
        assert!(agrees(open, bytes), "{bytes:?}");
        assert_eq!(agrees(complete, bytes), !only_open, "{bytes:?}");
    }
}

#[test]
fn an_enum_says_nothing_else_of_other_codes() {
    let (line, reason) = fault(&one_side("[enum.side]\n1 = \"buy\"\nother = \"sell\"\n"));
    assert_eq!((line, reason.contains("only be `never`")), (29, true), "{reason}");
}
