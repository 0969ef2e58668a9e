//! What comes first.

use std::cmp::Ordering;

use super::options::Ls;

/// What names are sorted by.
pub struct Key<'n> {
    pub name: &'n [u8],
    pub size: u64,
    /// When it was written: seconds since 1970, and nanoseconds.
    pub time: (i64, i64),
}

impl Ls {
    /// Which of two names comes first.
    pub fn compare(&self, one: &Key, other: &Key) -> Ordering {
        let by_name = one.name.cmp(other.name);
        let order = match self {
            Ls { by_time: true, .. } => other.time.cmp(&one.time).then(by_name),
            Ls { by_size: true, .. } => other.size.cmp(&one.size).then(by_name),
            _ => by_name,
        };
        if self.reverse { order.reverse() } else { order }
    }
}
