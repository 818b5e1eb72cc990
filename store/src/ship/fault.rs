//! Before each change of a hub's disk: where a test has the process killed, this
//! and all that follows fails.

use crate::ship::TargetError;

/// Whether the next step still happens.
pub(crate) fn step() -> Result<(), TargetError> {
    #[cfg(test)]
    if !kill::lives() {
        return Err(TargetError::Unavailable("killed".to_owned()));
    }
    Ok(())
}

/// Kills this thread's writing after so many steps.
#[cfg(test)]
pub(crate) mod kill {
    use std::cell::Cell;

    thread_local! {
        static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// From here on `steps` more happen; `None`: all.
    pub fn after(steps: Option<usize>) {
        LEFT.set(steps);
    }

    /// Whether the next step still happens.
    pub fn lives() -> bool {
        let left = LEFT.get();
        LEFT.set(left.map(|left| left.saturating_sub(1)));
        left != Some(0)
    }
}
