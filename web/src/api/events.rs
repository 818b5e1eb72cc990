//! Tells a page when the store has changed, so that nobody has to ask again and again.
//!
//! ```text
//! GET /api/events
//! event: state
//! data: {"version":"17.3.3","captures":3,..}      now, and whenever it changes
//! ```

use crate::api::health::state_now;
use crate::state::App;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// Between two looks at whether something changed.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Between two looks at what directories do not tell: the nodes of a hub, and changes
/// within one tick of the file system's clock.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Between two things told: a page asks for all it shows each time.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// What one page was told.
struct Told {
    app: App,
    version: Option<String>,
    at: Instant,
    read: Instant,
    changed: [Option<std::time::SystemTime>; 2],
}

/// `GET /api/events`
pub(crate) async fn events(
    State(app): State<App>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let now = Instant::now();
    let told = Told { app, version: None, at: now, read: now, changed: [None; 2] };
    Sse::new(futures::stream::unfold(told, next)).keep_alive(KeepAlive::default())
}

/// The next change; the end where the server stops.
async fn next(mut told: Told) -> Option<(Result<Event, Infallible>, Told)> {
    loop {
        if told.version.is_some() {
            let wait = TOLD_EVERY.saturating_sub(told.at.elapsed()).max(LOOK_EVERY);
            let mut stopping = told.app.stopping.clone();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
        let changed = told.app.store.changed();
        if told.version.is_some() && changed == told.changed && told.read.elapsed() < READ_EVERY {
            continue;
        }
        (told.changed, told.read) = (changed, Instant::now());
        // What cannot be read now may be readable in a moment.
        let Ok(state) = state_now(&told.app).await else {
            tokio::time::sleep(TOLD_EVERY).await;
            continue;
        };
        let version = state.get("version").and_then(|v| v.as_str()).map(str::to_owned);
        if version == told.version {
            continue;
        }
        (told.version, told.at) = (version, Instant::now());
        let event = Event::default().event("state").data(state.to_string());
        return Some((Ok(event), told));
    }
}
