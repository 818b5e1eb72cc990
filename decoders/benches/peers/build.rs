//! SBE code as another generator writes it, from the schema of the bench.

use std::path::PathBuf;
use std::{env, fs};

#[allow(dead_code)]
#[path = "../streams/sbe.rs"]
mod wire;

fn main() {
    println!("cargo::rerun-if-changed=../streams/sbe.rs");
    let out = PathBuf::from(env::var("OUT_DIR").expect("set by cargo"));
    // It wants the standard's own namespace.
    let schema =
        wire::SCHEMA.replace("xmlns:m=\"x\"", "xmlns:m=\"http://fixprotocol.io/2016/sbe\"");
    let schema = schema.replace("m:message", "sbe:message").replace("xmlns:m=", "xmlns:sbe=");
    let schema = schema
        .replace("id=\"1\" version=\"1\">", "id=\"1\" version=\"1\" byteOrder=\"littleEndian\">");
    let folder = out.join("sbe_gen");
    fs::create_dir_all(&folder).expect("writable");
    sbe_gen::generate_to(&schema, &folder, &sbe_gen::GeneratorOptions::default())
        .expect("a good schema");
    // One file, as `include!` wants it.
    let mut code = String::new();
    for name in ["types", "message_header", "book"] {
        let text = fs::read_to_string(folder.join(name).with_extension("rs")).expect("written");
        let text: String = text
            .lines()
            .filter(|line| !line.starts_with("#!["))
            .map(|line| format!("{line}\n"))
            .collect();
        code.push_str(&format!("pub mod {name} {{\n{text}}}\n"));
    }
    fs::write(out.join("sbe.rs"), code).expect("writable");
}
