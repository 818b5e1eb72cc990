use super::*;

const SMALL: &str = r#"
[framing]
id     = "small"
title  = "t"
source = "s"
endian = "big"
unit   = "message"
header = """
  0  seq    u32  -> seq
  4  count  u8   -> count
"""
[framing.message]
header = 1
layout = """
  0  length  u8  -> length : 1
"""
[[framing.packet]]
when = "count & 0x80"
seq  = "none"
"#;

#[test]
fn faults_are_told_with_their_line() {
    assert_eq!(Framing::parse("x", SMALL).unwrap().size, 5);
    let fault = |from: &str, to: &str| {
        let fault = Framing::parse("x", &SMALL.replacen(from, to, 1)).unwrap_err();
        (fault.line, fault.reason)
    };
    let told = |from: &str, to: &str, line: usize, what: &str| {
        let (at, reason) = fault(from, to);
        assert!(at == line && reason.contains(what), "{at}: {reason}");
    };
    told("4  count", "5  count", 2, "count is at 5, expected at 4");
    told("count  u8", "count  u9", 10, "type \"u9\"");
    told("-> count", "-> colour", 10, "-> colour: here one of seq, count");
    told("-> count", "-> seq", 10, "-> seq twice");
    told("-> length : 1", "", 12, "needs `-> length`");
    told("count & 0x80", "colour & 1", 17, "no field \"colour\"");
    told("\"none\"", "\"never\"", 17, "seq = \"never\"");
    told("\"big\"", "\"middle\"", 6, "endian");
    told("unit ", "unti ", 7, "unknown field `unti`");
}

#[test]
fn headers_may_end_early_and_numbers_stand_in_the_first_message() {
    let text = SMALL
        .replacen("header = \"\"\"", "short = { size = 4, when = \"seq = 9\" }\nheader = \"\"\"", 1)
        .replacen("seq  = \"none\"", "number = \"first.length\"", 1);
    let framing = Framing::parse("x", &text).unwrap();
    let early = [0, 0, 0, 9];
    let packet = framing.packet(&early).unwrap();
    assert!(framing.is_header(&early, 4) && framing.is_alone(&packet, 4));
    assert_eq!((packet.seq, packet.count), (Some(9), None));
    assert!(framing.packet(&[0, 0, 0, 8]).is_none(), "the whole header");
    let other = framing.packet(&[0, 0, 0, 8, 0x81, 5, 1, 2]).unwrap();
    assert_eq!(other.seq, Some(5));
    let told = |from: &str, to: &str, what: &str| {
        let fault = Framing::parse("x", &text.replacen(from, to, 1)).unwrap_err();
        assert!(fault.reason.contains(what), "{fault}");
    };
    told("size = 4", "size = 3", "no field of the header ends at 3");
    told("first.length", "count", "first.NAME");
    told("when = \"seq = 9\"", "when = \"first.length = 9\"", "field of the header");
}

#[test]
fn one_file_may_hold_a_framing_and_a_protocol() {
    let protocol = "[protocol]\nid = \"a.b.1\"\n[common]\nlayout = \"\"\"\n[x]\n\"\"\"\n";
    let both = format!("# a remark\n{protocol}{SMALL}");
    let (framing, rest) = split(&both);
    let framing = framing.unwrap();
    assert!(Framing::parse("x", &framing).is_ok());
    assert!(!framing.contains("[protocol]") && framing.lines().count() == both.lines().count());
    let rest = rest.unwrap();
    assert!(rest.contains("[x]") && !rest.contains("framing"));
    assert_eq!(split(SMALL).1, None);
    assert_eq!(split(protocol).0, None);
    assert!(split("nonsense").1.is_some());
}
