//! Groups, sequences, references, dictionaries, resets, and template files
//! that are wrong.

use super::*;

fn error(xml: &str) -> String {
    Templates::parse("t.xml", xml).unwrap_err().to_string()
}

fn paths(fields: &[Field]) -> Vec<&str> {
    fields.iter().map(|field| field.path.as_str()).collect()
}

#[test]
fn groups_have_a_presence_map_only_where_something_inside_needs_one() {
    let templates = template(
        "<group name=\"G\" presence=\"optional\"><uInt32 name=\"a\"><copy/></uInt32></group>
         <group name=\"H\" presence=\"optional\"><uInt32 name=\"b\"/></group>
         <group name=\"I\"><group name=\"J\" presence=\"optional\"><uInt32 name=\"c\"/></group></group>
         <group name=\"K\"><decimal name=\"d\"><exponent><copy/></exponent></decimal></group>",
    );
    let mut pair = Pair::new(&templates, ResetPolicy::Never);
    let (fields, _) = pair.decode(&hex("f081 c085 86 c087 c0fe81")).unwrap();
    assert_eq!(
        paths(&fields),
        ["pmap", "template_id", "G.pmap", "G.a", "H.b", "I.pmap", "I.J.c", "K.pmap", "K.d"]
    );
    let (fields, _) = pair.decode(&hex("8080 8081")).unwrap();
    assert_eq!(paths(&fields), ["pmap", "template_id", "I.pmap", "K.pmap", "K.d"]);
    assert_eq!(fields[4].value, decimal(1, -2));
}

#[test]
fn a_static_reference_inside_a_group_counts_for_its_presence_map() {
    let templates = templates(
        "<template name=\"T\" id=\"1\"><group name=\"G\"><templateRef name=\"R\"/></group></template>
         <template name=\"R\"><uInt32 name=\"a\"><increment value=\"4\"/></uInt32></template>",
    );
    let mut pair = Pair::new(&templates, ResetPolicy::Never);
    let (fields, _) = pair.decode(&hex("c081 80")).unwrap();
    assert_eq!(paths(&fields), ["pmap", "template_id", "G.pmap", "G.a"]);
    assert_eq!(fields[3].value, int(4));
}

#[test]
fn sequence_lengths_with_operators() {
    // A constant length is not on the wire.
    let constant = template(
        "<sequence name=\"S\"><length><constant value=\"2\"/></length><uInt32 name=\"a\"/></sequence>",
    );
    let mut pair = Pair::new(&constant, ResetPolicy::Never);
    let (fields, _) = pair.decode(&hex("c081 85 86")).unwrap();
    assert_eq!(values(&fields), [int(2), int(5), int(6)]);
    assert_eq!(fields[2].size, 0);

    let copied = template(
        "<sequence name=\"S\" presence=\"optional\"><length name=\"N\"><copy/></length>
           <uInt32 name=\"a\"><increment/></uInt32></sequence>",
    );
    let mut pair = Pair::new(&copied, ResetPolicy::Never);
    let (fields, _) = pair.decode(&hex("e081 83 c085 80")).unwrap();
    assert_eq!(values(&fields), [int(2), int(5), int(6)]);
    let (fields, _) = pair.decode(&hex("80 80 80")).unwrap();
    assert_eq!(values(&fields), [int(2), int(7), int(8)]);
    let (fields, _) = pair.decode(&hex("a0 80")).unwrap();
    assert_eq!(values(&fields), [Value::Null]);
    let (fields, _) = pair.decode(&hex("80")).unwrap();
    assert_eq!(values(&fields), [Value::Null]);
}

#[test]
fn nested_sequences_with_decimals() {
    let templates = template(
        "<sequence name=\"S\"><length name=\"N\"/>
           <sequence name=\"I\"><length name=\"M\"/>
             <decimal name=\"p\"><exponent><default value=\"0\"/></exponent><mantissa><delta/></mantissa></decimal>
           </sequence>
         </sequence>",
    );
    let mut pair = Pair::new(&templates, ResetPolicy::Never);
    let (fields, _) = pair.decode(&hex("c081 82 82 8085 c0fe81 81 8082")).unwrap();
    let expected = ["N", "M", "S[0].I[0].p", "S[0].I[1].p", "M", "S[1].I[0].p"];
    let got: Vec<&Field> =
        fields.iter().filter(|f| f.name != "pmap" && f.name != "template_id").collect();
    assert_eq!(got.len(), expected.len());
    assert!(got.iter().zip(expected).all(|(field, path)| field.path.ends_with(path)), "{got:?}");
    assert_eq!(got[3].value, decimal(6, -2));
    assert_eq!(got[5].value, decimal(8, 0));
}

#[test]
fn a_length_beyond_the_message_is_refused_at_once() {
    let paid = template("<sequence name=\"S\"><uInt32 name=\"a\"/></sequence>");
    assert_eq!(code(&paid, &hex("c081 0f7f7f7fff 81")), Some(Code::Entries));
    let free = template(
        "<sequence name=\"S\"><string name=\"a\"><constant value=\"x\"/></string></sequence>",
    );
    assert_eq!(code(&free, &hex("c081 0f7f7f7fff")), Some(Code::Entries));
    assert_eq!(code(&free, &hex("c081 85")), None);
    let nested = template(
        "<sequence name=\"S\"><length><constant value=\"4000000000\"/></length>
           <sequence name=\"I\"><length><constant value=\"4000000000\"/></length>
             <string name=\"a\"><constant value=\"x\"/></string></sequence></sequence>",
    );
    assert_eq!(code(&nested, &hex("c081")), Some(Code::Entries));
}

#[test]
fn a_byte_vector_of_a_terabyte_is_an_error_with_its_place() {
    let templates = template("<uInt32 name=\"a\"/><byteVector name=\"data\"/>");
    let mut pair = Pair::new(&templates, ResetPolicy::Never);
    let error = pair.decode(&hex("c081 81 0f7f7f7fff 0102")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "FAST end of message: the message ends inside a field, at byte 8 of the message \
         (template T, field data): needed 4294967295, had 2"
    );
    assert_eq!(code(&templates, &hex("c081 81 2000000000 80")), Some(Code::D2));
}

#[test]
fn dynamic_references_bring_their_own_presence_map_and_end() {
    let templates = templates(
        "<template name=\"T\" id=\"1\"><uInt32 name=\"a\"/><templateRef/><uInt32 name=\"z\"/></template>
         <template name=\"R\" id=\"2\"><uInt32 name=\"b\"><copy/></uInt32></template>",
    );
    let mut pair = Pair::new(&templates, ResetPolicy::Never);
    let (fields, _) = pair.decode(&hex("c081 85 e08286 87")).unwrap();
    assert_eq!(paths(&fields), ["pmap", "template_id", "a", "pmap", "template_id", "R.b", "z"]);
    // It refers to itself without end.
    let endless = super::templates("<template name=\"T\" id=\"1\"><templateRef/></template>");
    assert_eq!(code(&endless, &[0xc0, 0x81].repeat(200)), Some(Code::Depth));
}

#[test]
fn dictionaries_and_keys() {
    let templates = templates(
        "<template name=\"A\" id=\"1\"><uInt32 name=\"x\"><copy/></uInt32></template>
         <template name=\"B\" id=\"2\"><uInt32 name=\"x\"><copy/></uInt32></template>
         <template name=\"C\" id=\"3\" dictionary=\"template\"><uInt32 name=\"x\" presence=\"optional\"><copy/></uInt32></template>
         <template name=\"D\" id=\"4\"><uInt32 name=\"y\"><copy key=\"x\"/></uInt32></template>
         <template name=\"E\" id=\"5\"><uInt32 name=\"x\" presence=\"optional\"><copy dictionary=\"mine\"/></uInt32></template>
         <template name=\"F\" id=\"6\"><typeRef name=\"Px\"/><uInt32 name=\"x\" presence=\"optional\"><copy dictionary=\"type\"/></uInt32></template>
         <template name=\"G\" id=\"7\"><typeRef name=\"Px\"/><uInt32 name=\"x\" presence=\"optional\"><copy dictionary=\"type\"/></uInt32></template>
         <template name=\"H\" id=\"8\"><int32 name=\"x\"><copy/></int32></template>",
    );
    let mut pair = Pair::new(&templates, ResetPolicy::Never);
    let mut value = |bytes: &str| pair.decode(&hex(bytes)).map(|(fields, _)| values(&fields));
    assert_eq!(value("e08185").unwrap(), [int(5)]);
    assert_eq!(value("c082").unwrap(), [int(5)], "global is shared");
    assert_eq!(value("c083").unwrap(), [Value::Null], "template's own");
    assert_eq!(value("c084").unwrap(), [int(5)], "same key");
    assert_eq!(value("c085").unwrap(), [Value::Null], "a dictionary by name");
    assert_eq!(value("e08687").unwrap(), [int(6)]);
    assert_eq!(value("c087").unwrap(), [int(6)], "same application type");
    assert_eq!(value("c088").unwrap_err().code(), Some(Code::D4));
}

#[test]
fn reset_policies() {
    let plain = template("<uInt32 name=\"x\" presence=\"optional\"><copy/></uInt32>");
    let (set, ask) = (hex("e08186"), hex("c081"));
    let asked = |policy, datagram: bool| {
        let mut decoder = FastDecoder::new(Arc::clone(&plain), policy);
        decoder.start_datagram();
        decoder.explain(&set).unwrap();
        if datagram {
            decoder.start_datagram();
        }
        values(&decoder.explain(&ask).unwrap().0.fields).remove(0)
    };
    assert_eq!(asked(ResetPolicy::Never, true), int(5));
    assert_eq!(asked(ResetPolicy::Message, false), Value::Null);
    assert_eq!(asked(ResetPolicy::Datagram, false), int(5));
    assert_eq!(asked(ResetPolicy::Datagram, true), Value::Null);
    assert_eq!(asked(ResetPolicy::Template, true), int(5));
}

#[test]
fn templates_that_reset_and_the_one_that_stands_in_no_file() {
    let xml = "<templates xmlns=\"urn:td\" xmlns:scp=\"urn:scp\">
        <template name=\"A\" id=\"1\"><uInt32 name=\"x\" presence=\"optional\"><copy/></uInt32></template>
        <template name=\"R\" id=\"2\" scp:reset=\"yes\"/>
        <template name=\"Q\" id=\"3\" reset=\"Y\"/></templates>";
    let templates = Arc::new(Templates::parse("t.xml", xml).unwrap());
    for reset in ["c082", "c083", "c0f8"] {
        let mut decoder = FastDecoder::new(Arc::clone(&templates), ResetPolicy::Never)
            .with_implicit_reset(Some(120));
        decoder.explain(&hex("e08186")).unwrap();
        let (explained, len) = decoder.explain(&hex(reset)).unwrap();
        assert_eq!((explained.fields.len(), len), (2, 2));
        let (explained, _) = decoder.explain(&hex("c081")).unwrap();
        assert_eq!(values(&explained.fields), [Value::Null], "{reset}");
    }
    assert_eq!(code(&templates, &hex("c0f8")), Some(Code::D9));
}

#[test]
fn a_template_id_may_be_left_out_once_one_was_seen() {
    let templates = template("<uInt32 name=\"a\"/>");
    assert_eq!(code(&templates, &hex("8085")), Some(Code::D9));
    let mut pair = Pair::new(&templates, ResetPolicy::Never);
    pair.decode(&hex("c08185")).unwrap();
    assert_eq!(values(&pair.decode(&hex("8086")).unwrap().0), [int(6)]);
    assert_eq!(code(&templates, &hex("c082")), Some(Code::D9));
}

#[test]
fn legal_templates_that_others_refuse() {
    template("<uInt32 name=\"no id\"/><decimal name=\"d\"><exponent/></decimal>");
    template(
        "<decimal name=\"d\" presence=\"optional\"><exponent><default/></exponent></decimal>
         <x:note xmlns:x=\"urn:other\"/><uInt32 name=\"b\" x:a=\"1\" xmlns:x=\"urn:other\"/>",
    );
    let bare = "<template name=\"T\" id=\"1\"><string name=\"s\"/></template>";
    assert!(Templates::parse("t.xml", bare).is_ok());
}

#[test]
fn wrong_files_say_where() {
    assert_eq!(
        error(
            "<templates>\n <template name=\"T\" id=\"1\">\n  <uInt33 name=\"a\"/>\n </template></templates>"
        ),
        "t.xml:3:3: <uInt33>: S1: no instruction has this name"
    );
    let inner = |inner: &str| error(&format!("<template name=\"T\" id=\"1\">{inner}</template>"));
    let cases = [
        ("<uInt32/>", "no attribute \"name\""),
        ("<uInt32 name=\"a\"><tail/></uInt32>", "S2"),
        ("<decimal name=\"a\"><increment/></decimal>", "S2"),
        ("<string name=\"a\"><increment/></string>", "S2"),
        ("<uInt32 name=\"a\"><copy value=\"-1\"/></uInt32>", "S3"),
        ("<uInt32 name=\"a\"><copy value=\"4294967296\"/></uInt32>", "S3"),
        ("<decimal name=\"a\"><copy value=\"1.2.3\"/></decimal>", "S3"),
        ("<byteVector name=\"a\"><copy value=\"0\"/></byteVector>", "S3"),
        ("<uInt32 name=\"a\"><constant/></uInt32>", "S4"),
        ("<uInt32 name=\"a\"><default/></uInt32>", "S5"),
        ("<uInt32 name=\"a\"><copy/><copy/></uInt32>", "second operator"),
        ("<uInt32 name=\"a\" presence=\"maybe\"/>", "presence"),
        ("<string name=\"a\" charset=\"ebcdic\"/>", "charset"),
        ("<templateRef name=\"U\"/>", "D8"),
        ("<templateRef name=\"T\"/>", "refers to itself"),
    ];
    for (xml, part) in cases {
        assert!(inner(xml).contains(part), "{xml}: {}", inner(xml));
    }
    assert!(error("<templates/>").contains("no <template>"));
    assert!(error("<templates><template").contains("S1"));
    let twice =
        "<templates><template name=\"A\" id=\"1\"/><template name=\"B\" id=\"1\"/></templates>";
    assert!(error(twice).contains("second template with id 1"));
    let deep = "<group name=\"g\">".repeat(40) + &"</group>".repeat(40);
    assert!(inner(&deep).contains("nested deeper"));
}

#[test]
fn references_that_double_at_each_level_end_at_the_limit() {
    let mut xml = String::from("<templates><template name=\"t0\"><uInt32 name=\"a\"/></template>");
    for level in 1..=14 {
        let reference = format!("<templateRef name=\"t{}\"/>", level - 1).repeat(8);
        xml += &format!("<template name=\"t{level}\">{reference}</template>");
    }
    assert!(error(&(xml + "</templates>")).contains("more than"));
}

#[test]
fn a_delta_cannot_grow_a_text_without_end() {
    let templates = template("<string name=\"a\"><delta/></string>");
    let mut pair = Pair::new(&templates, ResetPolicy::Never);
    let mut message = hex("c081 80");
    message.extend([0x41; 999]);
    message.push(0xc1);
    let failed = (0..100).find_map(|_| pair.decode(&message).err());
    assert_eq!(failed.and_then(|error| error.code()), Some(Code::Length));
}
