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

#[cfg(test)]
pub(crate) use crate::catalog::place::kill;
