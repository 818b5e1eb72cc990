//! The schema reader: places, and what is wrong.

use super::super::shape::{Constant, Exponent, Meaning};
use super::super::wire::Prim;
use super::*;

#[test]
fn places_are_as_the_standard_lays_them_out() {
    let schema = schema();
    assert_eq!((schema.id, schema.version, schema.messages.len()), (77, 3, 4));
    let book = &schema.messages[0].block;
    assert_eq!(book.length, 9);
    assert_eq!(book.leaves[0].name, "Time", "alone on the wire: the field's own name");
    assert_eq!(book.leaves[0].meaning, Meaning::Time(1));
    let levels = &book.groups[0];
    assert_eq!((levels.size, levels.block_length.at, levels.count.at), (3, 0, 2));
    let at = |name: &str| {
        let leaf = levels.block.leaves.iter().find(|leaf| leaf.name == name).unwrap();
        (leaf.at, leaf.size)
    };
    assert_eq!(at("Px"), (0, 8));
    assert_eq!(at("Px.exponent"), (8, 0), "a constant takes no bytes");
    assert_eq!(at("Size"), (8, 4));
    assert_eq!(at("Side"), (22, 1));
    assert_eq!(at("Shown"), (24, 4), "the offset leaves a hole");
    let constant = levels.block.leaves.iter().find(|leaf| leaf.name == "Type").unwrap();
    assert_eq!(constant.constant, Some(Constant::Bits(u64::from(b'B'))));
    let orders = &book.groups[1];
    assert_eq!((orders.size, orders.count.at, orders.block.length), (8, 7, 14));
    let reference = orders.block.leaves.iter().find(|leaf| leaf.name == "Ref").unwrap();
    assert_eq!(reference.null, Some(255));
    let directory = &schema.messages[1].block;
    let names: Vec<(&str, usize)> =
        directory.leaves.iter().map(|leaf| (leaf.name.as_str(), leaf.at)).collect();
    assert!(names.contains(&("Nest.inner.side", 20)), "{names:?}");
    assert!(names.contains(&("Nest.inner.rank", 22)), "{names:?}");
    let tick = directory.leaves.iter().find(|leaf| leaf.name == "Tick.mantissa").unwrap();
    let exponent = Exponent::Field { at: tick.at + 8, prim: Prim::Int(1) };
    assert_eq!(tick.meaning, Meaning::Mantissa(exponent));
}

#[test]
fn faults_are_told_with_their_line() {
    let told = |from: &str, to: &str, what: &str| {
        assert!(SCHEMA.contains(from), "{from}");
        let text = SCHEMA.replacen(from, to, 1);
        let fault = Schema::parse("x.xml", &text).unwrap_err();
        let at = text.find(to).unwrap();
        let line = 1 + text[..at].matches('\n').count();
        assert!(fault.reason.contains(what), "{fault}");
        assert!(fault.line.abs_diff(line) <= 1, "{fault}, expected line {line}");
    };
    told("type=\"Nanos\"", "type=\"Nanoz\"", "no type \"Nanoz\"");
    told("blockLength=\"28\"", "blockLength=\"27\"", "its fields take 28");
    told("offset=\"24\"", "offset=\"3\"", "lies in the fields before");
    told("valueRef=\"Side.Bid\"", "valueRef=\"Side.Best\"", "leads nowhere");
    told("dimensionType=\"groupBig\"", "dimensionType=\"groupBit\"", "no dimension");
    told("<choice name=\"End\">7<", "<choice name=\"End\">8<", "no bit");
    told("<validValue name=\"Delete\">2<", "<validValue name=\"Delete\">x<", "no uint8");
    told("name=\"Quiet\" id=\"4\"", "name=\"Quiet\" id=\"x\"", "id=\"x\"");
    told("type=\"blob\"", "type=\"globs\"", "no type");
    told("nullValue=\"2147483647\"", "nullValue=\"none\"", "no value of its type");
    told("</group>", "</grouq>", "tag");
    let own = SCHEMA.replacen(
        "<ref name=\"inner\" type=\"Inner\"",
        "<ref name=\"inner\" type=\"Outer\"",
        1,
    );
    let fault = Schema::parse("x.xml", &own).unwrap_err();
    assert!(fault.reason.contains("deep"), "{fault}");
    let twice = SCHEMA.replacen("id=\"4\"/>", "id=\"1\"/>", 1);
    assert!(Schema::parse("x.xml", &twice).unwrap_err().reason.contains("two messages"));
}
