//! Writes the files of `samples/captures` anew.

fn main() -> std::io::Result<()> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    taptrail_samples::captures::regenerate(&dir)?;
    println!("wrote {}", dir.display());
    Ok(())
}
