//! System calls by number: how each may be tried without blocking, and what must outlive its
//! submitter.
//!
//! What has no row is made by a worker. A call that is usually answered from a cache and has no form
//! that does not wait for a disk ([`How::Cached`]) is made at once: handing one such call to another
//! thread costs three times as much as making it. Where it may have to wait, ask for a worker, or
//! issue many together.

mod everywhere;
mod fill;
mod numbers;
mod row;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use row::{How, Keep, Moves, NONE, Row};

use numbers as g;

/// Numbers the table has room for.
pub const NUMBERS: usize = 512;

/// By number.
pub static ROWS: [Option<Row>; NUMBERS] = {
    let rows = everywhere::fill([const { None }; NUMBERS]);
    #[cfg(target_arch = "x86_64")]
    let rows = x86_64::fill(rows);
    rows
};

/// How a call may be tried.
#[inline(always)]
#[must_use]
pub fn how(nr: u32) -> How {
    row(nr).map_or(How::Unknown, |row| row.how)
}

/// What is known of a number.
#[inline(always)]
#[must_use]
pub fn row(nr: u32) -> Option<&'static Row> {
    ROWS.get(nr as usize)?.as_ref()
}

/// Whether a call answers with a descriptor that it has opened.
#[must_use]
pub fn opens(nr: u32) -> bool {
    const OPENERS: [u32; 7] = [
        g::__NR_openat,
        g::__NR_openat2,
        g::__NR_accept4,
        g::__NR_socket,
        g::__NR_pidfd_open,
        g::__NR_memfd_create,
        g::__NR_eventfd2,
    ];
    OPENERS.contains(&nr)
}

#[cfg(test)]
mod tests {
    use core::ops::RangeInclusive;

    use super::*;

    /// The numbers that the kernel has given to calls.
    #[cfg(target_arch = "x86_64")]
    const GIVEN: [RangeInclusive<u32>; 2] = [0..=336, 424..=471];
    #[cfg(target_arch = "aarch64")]
    const GIVEN: [RangeInclusive<u32>; 3] = [0..=243, 260..=294, 424..=471];

    #[test]
    fn every_number_of_the_kernels_has_a_row() {
        let without: Vec<u32> =
            GIVEN.into_iter().flatten().filter(|nr| row(*nr).is_none()).collect();
        assert_eq!(without, Vec::<u32>::new());
    }
}
