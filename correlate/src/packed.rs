//! How what a run holds is written in few bytes, to be read again by the same run.
//!
//! ```text
//! Arc, SmallVec    ──> as their contents
//! name of a rule   ──> its text ──> a name that lasts
//! ```

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// A name that lasts as long as the program.
pub type Lasting = &'static str;

/// The lasting name with this text: rules are named by the configuration, which is read
/// once, and links point to their rule's name.
pub fn for_good(name: &str) -> Lasting {
    static NAMES: Mutex<BTreeSet<Lasting>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let lasting: Lasting = Box::leak(name.to_owned().into_boxed_str());
    names.insert(lasting);
    lasting
}

/// Names that last, by their text.
pub mod lasting {
    use super::{Lasting, for_good};
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the text.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn serialize<S: Serializer>(name: &Lasting, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(name)
    }

    /// Reads the text.
    ///
    /// # Errors
    /// Where there is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Lasting, D::Error> {
        <&str>::deserialize(from).map(for_good)
    }
}

/// Lists with room in themselves, as lists.
pub mod small {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use smallvec::{Array, SmallVec};

    /// Writes the list.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn serialize<A, S>(list: &SmallVec<A>, to: S) -> Result<S::Ok, S::Error>
    where
        A: Array<Item: Serialize>,
        S: Serializer,
    {
        to.collect_seq(list)
    }

    /// Reads the list.
    ///
    /// # Errors
    /// Where there is none.
    pub fn deserialize<'de, A, D>(from: D) -> Result<SmallVec<A>, D::Error>
    where
        A: Array<Item: Deserialize<'de>>,
        D: Deserializer<'de>,
    {
        Ok(Vec::deserialize(from)?.into_iter().collect())
    }
}

/// What is shared, as each for itself.
pub mod shared {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    /// Writes what is shared.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn serialize<T: Serialize, S: Serializer>(
        list: &[Arc<T>],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(Arc::as_ref))
    }

    /// Reads it; it is shared with nobody then.
    ///
    /// # Errors
    /// Where there is none.
    pub fn deserialize<'de, T, D>(from: D) -> Result<Vec<Arc<T>>, D::Error>
    where
        T: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::deserialize(from)?.into_iter().map(Arc::new).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once() {
        let name = String::from("own rule");
        assert!(std::ptr::eq(for_good(&name), for_good("own rule")));
    }
}
