//! taptrail
fn main() {}
