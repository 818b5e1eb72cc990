//! Serves a made-up network, to work on the dashboard:
//!
//! ```text
//! cargo run -p taptrail-web --example preview -- 127.0.0.1:8321 600
//! ```

#[allow(dead_code)]
#[path = "../tests/support/mod.rs"]
mod support;

use taptrail_web::server::{LISTEN, ServeOptions, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().map_or(Ok(LISTEN), |text| text.parse())?;
    let orders = arguments.next().map_or(Ok(600), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let store = support::store(directory.path(), orders);
    let options = ServeOptions { listen, ..ServeOptions::default() };
    let server = Server::bind(store, &options).await?;
    println!("http://{}/", server.address());
    server.run(std::future::pending()).await?;
    Ok(())
}
