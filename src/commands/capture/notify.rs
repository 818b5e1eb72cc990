//! The service manager's protocol (sd_notify): plain datagrams to the socket
//! that `NOTIFY_SOCKET` names.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Where to tell, if anywhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Notify {
    address: Option<SocketAddr>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// As the service manager said.
    pub fn from_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let ours = variable("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = variable("WATCHDOG_USEC").filter(|_| ours).and_then(|us| us.parse().ok());
        Self {
            address: variable("NOTIFY_SOCKET").and_then(|path| address(&path)),
            watchdog: watchdog.map(Duration::from_micros),
        }
    }

    /// Sends a state; nobody may listen.
    pub fn send(&self, state: &str) {
        let Some(address) = &self.address else { return };
        if let Ok(socket) = UnixDatagram::unbound() {
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }

    /// How often to send a sign of life: twice in the time that is allowed.
    pub fn watchdog_every(&self) -> Option<Duration> {
        self.address.as_ref()?;
        self.watchdog.map(|allowed| allowed / 2).filter(|every| !every.is_zero())
    }
}

/// A path, or behind an `@` an abstract name.
fn address(path: &str) -> Option<SocketAddr> {
    match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).ok(),
        None => SocketAddr::from_pathname(path).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_arrive_and_without_a_socket_nothing_happens() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let watchdog = Some(Duration::from_secs(10));
        let notify = Notify { address: address(path.to_str().unwrap()), watchdog };
        notify.send("READY=1");
        let mut buffer = [0; 16];
        let len = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], b"READY=1");
        assert_eq!(notify.watchdog_every(), Some(Duration::from_secs(5)));
        Notify::default().send("READY=1");
        assert_eq!(Notify { address: None, watchdog }.watchdog_every(), None);
        assert!(address("@taptrail").is_some());
    }
}
