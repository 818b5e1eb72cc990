//! The exchanges' schemas, where the machine has them.

use super::super::catalog;
use super::super::encode::Recipe;
use super::properties::{any, messages};
use super::*;
use std::path::{Path, PathBuf};

/// The folder of schemas beside the project.
fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("TAPTRAIL_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let beside = beside.map(|folder| folder.join("../shared/data")).find(|f| f.is_dir());
    let found = named.or(beside).map(|data| data.join("schemas/sbe")).filter(|f| f.is_dir());
    if found.is_none() {
        eprintln!("skipped: no folder shared/data beside the project");
    }
    found
}

fn schemas() -> Option<Vec<Schema>> {
    let loaded = catalog::load_schemas(&folder()?);
    Some(loaded.unwrap_or_else(|faults| panic!("{faults:#?}")))
}

/// Every schema is read; what the overlays map has a column that takes it; and
/// no message of theirs is without a meaning.
#[test]
fn overlays_fit_their_schemas() {
    let Some(schemas) = schemas() else { return };
    assert!(schemas.len() > 50);
    let mut wrong = Vec::new();
    for overlay in catalog::embedded() {
        let protocol = SbeProtocol::new(overlay.clone(), &schemas);
        for compiled in &protocol.schemas {
            for (message, program) in compiled.schema.messages.iter().zip(&compiled.programs) {
                let place = || format!("{} {} {}", overlay.id, compiled.schema.file, message.name);
                wrong.extend(program.misfits.iter().map(|fault| format!("{}: {fault}", place())));
                if !program.known && message.id != 0 {
                    wrong.push(format!("{}: template {}", place(), message.id));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} faults\n{}", wrong.len(), wrong.join("\n"));
}

/// Messages of every template of every schema: whole, cut, and with bits
/// flipped.
#[test]
fn messages_of_every_schema() {
    let Some(schemas) = schemas() else { return };
    let mut count = 0;
    for overlay in catalog::embedded() {
        for schema in schemas.iter().filter(|s| overlay.fits(s)) {
            let alone = std::slice::from_ref(schema);
            let protocol = Arc::new(SbeProtocol::new(overlay.clone(), alone));
            let mut bench = Bench::new(&protocol);
            for entries in [0, 2] {
                let recipe = Recipe { entries, data: 3, seed: 1 };
                for body in messages(&protocol, schema, recipe) {
                    let template = protocol.header.read(&body);
                    assert!(protocol.knows(&body, None), "{} {template:?}", schema.file);
                    any(&protocol, &mut bench, &body);
                    for step in 0..24 {
                        any(&protocol, &mut bench, &body[..step * body.len() / 24]);
                        let bit = (step * 8 * body.len() / 24 + step % 8) % (8 * body.len());
                        let mut flipped = body.clone();
                        flipped[bit / 8] ^= 1 << (bit % 8);
                        any(&protocol, &mut bench, &flipped);
                    }
                    count += 1;
                }
            }
        }
    }
    assert!(count > 1_500, "{count} messages");
}
