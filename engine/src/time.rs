//! Times that the application gives, as the kernel counts them.

use sysring_sys::abi::{NSEC_PER_SEC, Timespec};

/// A time in nanoseconds. Of more seconds than can be counted it is the last there is; else what does
/// not fit goes round.
#[must_use]
pub fn nanoseconds(time: &Timespec) -> i64 {
    if time.tv_sec >= i64::MAX / NSEC_PER_SEC {
        return i64::MAX;
    }
    time.tv_sec.wrapping_mul(NSEC_PER_SEC).wrapping_add(time.tv_nsec)
}

/// When a wait that begins now is to be given up, by the same clock. Never where that lies before the
/// clock's beginning, as what goes round may.
#[must_use]
pub fn end_of_wait(now: i64, time: i64) -> Option<i64> {
    comes(now.wrapping_add(time))
}

/// The same of a time that a clock is to show.
#[must_use]
pub fn comes(at: i64) -> Option<i64> {
    (0..i64::MAX).contains(&at).then_some(at)
}

/// When a timer goes off that is begun now.
#[must_use]
pub fn end_of_timer(now: i64, time: i64) -> i64 {
    if time < 0 { i64::MAX } else { now.saturating_add(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000_000_000;

    fn time(tv_sec: i64, tv_nsec: i64) -> i64 {
        nanoseconds(&Timespec { tv_sec, tv_nsec })
    }

    #[test]
    fn what_cannot_be_counted_goes_round_or_is_the_last() {
        assert_eq!(time(1, 2), 1_000_000_002);
        assert_eq!(time(-1, 2), -999_999_998);
        assert_eq!(time(i64::MIN, 0), 0);
        assert_eq!(time(i64::MAX, 5), i64::MAX);
        assert_eq!(time(9_223_372_036, 0), i64::MAX);
        assert!(time(9_223_372_035, i64::MAX) < 0);
    }

    #[test]
    fn a_time_that_goes_round_is_never() {
        assert_eq!(end_of_wait(NOW, time(i64::MIN, 0)), Some(NOW));
        assert_eq!(end_of_wait(NOW, -1), Some(NOW - 1));
        assert_eq!(end_of_wait(NOW, i64::MAX), None);
        assert_eq!(end_of_wait(NOW, i64::MIN), None);
        assert_eq!([comes(0), comes(-1), comes(i64::MAX)], [Some(0), None, None]);
        assert_eq!(end_of_timer(NOW, i64::MAX), i64::MAX);
        assert_eq!(end_of_timer(NOW, -1), i64::MAX);
        assert_eq!(end_of_timer(NOW, 5), NOW + 5);
    }
}
