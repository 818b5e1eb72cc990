//! Shipping over HTTPS: a hub that takes what nodes send, and a node's side of it.
//!
//! ```text
//! node ──TLS 1.3, certificates on both sides──▶ listener ─name of the certificate─▶ routes ─▶ store::ship
//!   PUT /ship/v1/imports                  a manifest with hashes: taken, known, or what is missing
//!   PUT /ship/v1/files/HASH?total=&offset=    up to 1 MiB of a file: how much is there now
//!   PUT /ship/v1/report                   how the node is
//! ```
//!
//! Who a node is says its certificate, nothing else. Whoever signs certificates
//! decides who may ship; the hub may narrow it to a list.

pub mod certs;
pub mod client;
mod counters;
mod listener;
mod routes;
#[cfg(test)]
mod tests;
pub mod tls;

use crate::error::ServeError;
use crate::hub::counters::Counters;
use crate::hub::listener::{Peer, TlsListener};
use crate::monitor::Probe;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use taptrail_store::catalog::Store;
use taptrail_store::ship::NodeName;
use taptrail_store::ship::accept::Hub;
use taptrail_store::ship::inbox::Limits;

/// How a hub listens.
#[derive(Clone, Debug)]
pub struct HubOptions {
    /// Address and port.
    pub listen: SocketAddr,
    /// Its certificate and those it trusts.
    pub files: tls::Files,
    /// The nodes that may ship; `None`: whoever has a certificate.
    pub nodes: Option<Vec<NodeName>>,
    /// What may lie there unfinished.
    pub limits: Limits,
}

/// A hub that listens already and answers once it runs.
pub struct HubServer {
    listener: TlsListener,
    address: SocketAddr,
    router: axum::Router,
    counters: Arc<Counters>,
}

impl HubServer {
    /// Reads the certificates and listens.
    ///
    /// # Errors
    /// Where a certificate cannot be used or the address is taken.
    pub async fn bind(store: &Store, options: &HubOptions) -> Result<Self, ServeError> {
        let config = tls::Loaded::read(&options.files)?.server()?;
        let counters = Arc::new(Counters::default());
        let listen = options.listen;
        let failed = |error| ServeError::Listen { listen, error };
        let listener = tokio::net::TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let listener = TlsListener::new(listener, address, config, Arc::clone(&counters));
        let hub = Arc::new(Hub::new(store, options.limits));
        let router = routes::router(hub, options.nodes.clone(), Arc::clone(&counters));
        Ok(Self { listener, address, router, counters })
    }

    /// The address, with the port that was chosen where port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it counts, for `/metrics`.
    pub fn probe(&self) -> Arc<dyn Probe> {
        self.counters.clone()
    }

    /// Answers until `stop` ends. Nothing is waited for: what is under way then is
    /// sent again.
    ///
    /// # Errors
    /// Where the listener breaks.
    pub async fn run(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let service = self.router.into_make_service_with_connect_info::<Peer>();
        tokio::select! {
            ended = axum::serve(self.listener, service).into_future() => {
                ended.map_err(ServeError::Stopped)
            }
            () = stop => Ok(()),
        }
    }
}
