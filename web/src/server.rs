//! The server: one address, until told to stop.

use crate::error::ServeError;
use crate::guard::{Hosts, guard};
use crate::listener::{CONNECTIONS_MAX, Limited};
use crate::monitor::Probe;
use crate::routes::router;
use crate::state::App;
use axum::Router;
use axum::middleware::from_fn_with_state;
use datafusion::prelude::SessionContext;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use taptrail_store::catalog::Store;
use taptrail_store::sql::session;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

/// Where the dashboard is unless told: this machine only.
pub const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8321);

/// Requests that run when the server is told to stop have so long to end.
pub const GRACE: Duration = Duration::from_secs(3);

/// How to serve.
#[derive(Clone)]
pub struct ServeOptions {
    /// The address. Whoever can reach it can read the store: nobody signs in.
    pub listen: SocketAddr,
    /// Host names, besides addresses and `localhost`, that requests may name.
    pub hosts: Vec<String>,
    /// What else the process does, for `/metrics`.
    pub probe: Option<Arc<dyn Probe>>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self { listen: LISTEN, hosts: Vec::new(), probe: None }
    }
}

/// A server that listens already and answers once it runs.
#[derive(Debug)]
pub struct Server {
    listener: Limited,
    address: SocketAddr,
    router: Router,
    stopping: watch::Sender<bool>,
}

impl Server {
    /// Opens a session over the store and listens. The store may grow later:
    /// answers show it as it is when asked.
    ///
    /// # Errors
    /// Where the store cannot be read or the address is taken.
    pub async fn bind(store: Store, options: &ServeOptions) -> Result<Self, ServeError> {
        let context = session(&store)?;
        Self::bind_session(store, context, options).await
    }

    /// As [`bind`](Self::bind), with a session that the caller made.
    ///
    /// # Errors
    /// Where the address is taken.
    pub async fn bind_session(
        store: Store,
        context: SessionContext,
        options: &ServeOptions,
    ) -> Result<Self, ServeError> {
        let listen = options.listen;
        let failed = |error| ServeError::Listen { listen, error };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let listener = Limited::new(listener, CONNECTIONS_MAX);
        let hosts: Hosts = options.hosts.clone().into();
        let (stopping, stopped) = watch::channel(false);
        let router = router(App::new(store, context, options.probe.clone(), stopped))
            .layer(from_fn_with_state(hosts, guard));
        Ok(Self { listener, address, router, stopping })
    }

    /// The address, with the port that was chosen where port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` ends; requests then under way have [`GRACE`].
    ///
    /// # Errors
    /// Where the listener breaks.
    pub async fn run(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let (stopping, stopped) = oneshot::channel();
        let streams = self.stopping;
        let told = async move {
            stop.await;
            streams.send_replace(true);
            // Nobody listens any more where the server has ended by itself.
            let _ = stopping.send(());
        };
        let serve = axum::serve(self.listener, self.router).with_graceful_shutdown(told);
        let late = async {
            match stopped.await {
                Ok(()) => tokio::time::sleep(GRACE).await,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = serve.into_future() => ended.map_err(ServeError::Stopped),
            () = late => Ok(()),
        }
    }
}

/// Serves a store until `stop` ends: [`Server::bind`], then [`Server::run`].
///
/// # Errors
/// As those two.
pub async fn serve(
    store: Store,
    options: &ServeOptions,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    Server::bind(store, options).await?.run(stop).await
}
