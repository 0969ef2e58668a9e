//! What the disk was asked for, and how much of it at a time.

use std::fmt;
use std::io;
use std::ops::{AddAssign, Deref, Sub};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Numbers of reads under way that are told apart: 1, 2 and 3, 4 to 7, and so on; the last has all
/// above.
const DEPTHS: usize = 7;

/// Reads, and the time they took.
#[derive(Clone, Copy, Default)]
pub struct Account {
    pub reads: u64,
    pub bytes: u64,
    /// From each read's coming to its answer, added up.
    pub waited: Duration,
    /// The time during which so many were under way.
    pub depths: [Duration; DEPTHS],
    /// The server's processor time.
    pub processor: Duration,
}

impl Account {
    /// In words, of `runs` runs that took `elapsed` together.
    pub fn sentence(&self, runs: u32, elapsed: Duration) -> String {
        let each = |n: u64| n as f64 / f64::from(runs.max(1));
        let busy: Duration = self.depths.iter().sum();
        let share = |time: Duration| Share(time, elapsed);
        let mut text = format!(
            "{:.0} reads, {:.0} MiB, answered after {:.0?}; {:.1} under way while any was; none {}",
            each(self.reads),
            each(self.bytes) / f64::from(1 << 20),
            self.waited.checked_div(self.reads as u32).unwrap_or_default(),
            self.waited.as_secs_f64() / busy.as_secs_f64(),
            share(elapsed.saturating_sub(busy)),
        );
        for (power, &time) in self.depths.iter().enumerate() {
            let most = if power + 1 < DEPTHS { (2 << power) - 1 } else { usize::MAX };
            match (1 << power, most) {
                (1, _) => text += &format!(", 1 {}", share(time)),
                (least, usize::MAX) => text += &format!(", {least} or more {}", share(time)),
                (least, most) => text += &format!(", {least} to {most} {}", share(time)),
            }
        }
        text + &format!(
            " of the time; the server computed for {:.0?}",
            self.processor / runs.max(1)
        )
    }
}

/// Hundredths of a time.
struct Share(Duration, Duration);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} %", 100.0 * self.0.as_secs_f64() / self.1.as_secs_f64())
    }
}

impl Sub for Account {
    type Output = Account;

    fn sub(self, before: Account) -> Account {
        Account {
            reads: self.reads - before.reads,
            bytes: self.bytes - before.bytes,
            waited: self.waited - before.waited,
            depths: std::array::from_fn(|i| self.depths[i] - before.depths[i]),
            processor: self.processor - before.processor,
        }
    }
}

impl AddAssign for Account {
    fn add_assign(&mut self, more: Account) {
        self.reads += more.reads;
        self.bytes += more.bytes;
        self.waited += more.waited;
        self.processor += more.processor;
        for (depth, more) in self.depths.iter_mut().zip(more.depths) {
            *depth += more;
        }
    }
}

/// The account as the server keeps it, in memory that both processes have.
#[derive(Clone, Copy)]
pub struct Shared(NonNull<Counters>);

#[derive(Default)]
pub struct Counters {
    /// What each read waits for at least, in nanoseconds, as all times here.
    pub latency: AtomicU64,
    reads: AtomicU64,
    bytes: AtomicU64,
    waited: AtomicU64,
    depths: [AtomicU64; DEPTHS],
}

impl Shared {
    pub fn new(latency: Duration) -> io::Result<Shared> {
        let (size, how) = (size_of::<Counters>(), libc::PROT_READ | libc::PROT_WRITE);
        let kind = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: new memory, where the kernel finds room.
        let memory = unsafe { libc::mmap(ptr::null_mut(), size, how, kind, -1, 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let counters = NonNull::new(memory.cast::<Counters>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let this = Shared(counters);
        this.latency.store(latency.as_nanos() as u64, Relaxed);
        Ok(this)
    }

    pub fn read(&self) -> Account {
        let time = |counter: &AtomicU64| Duration::from_nanos(counter.load(Relaxed));
        Account {
            reads: self.reads.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            waited: time(&self.waited),
            depths: std::array::from_fn(|i| time(&self.depths[i])),
            processor: Duration::ZERO,
        }
    }
}

impl Deref for Shared {
    type Target = Counters;

    fn deref(&self) -> &Counters {
        // SAFETY: the mapping stays for as long as the process, and zeros are counters.
        unsafe { self.0.as_ref() }
    }
}

impl Counters {
    /// So many reads were under way for so long.
    pub fn passed(&self, under_way: usize, nanoseconds: u64) {
        if let Some(power) = under_way.checked_ilog2() {
            let depth = &self.depths[(power as usize).min(DEPTHS - 1)];
            depth.fetch_add(nanoseconds, Relaxed);
        }
    }

    /// A read of so many bytes was answered after this time.
    pub fn answered(&self, bytes: u64, nanoseconds: u64) {
        self.reads.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        self.waited.fetch_add(nanoseconds, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depths_are_told_apart_by_powers_of_two() {
        let counters = Counters::default();
        for under_way in [0, 1, 2, 3, 4, 7, 8, 63, 64, 5000] {
            counters.passed(under_way, 1);
        }
        let depths: Vec<u64> = counters.depths.iter().map(|time| time.load(Relaxed)).collect();
        assert_eq!(depths, [1, 2, 2, 1, 0, 1, 2]);
    }

    #[test]
    fn a_sentence_has_what_one_run_did() {
        let ms = Duration::from_millis;
        let mut depths = [Duration::ZERO; DEPTHS];
        (depths[0], depths[5]) = (ms(50), ms(100));
        let (waited, processor) = (ms(600), ms(40));
        let account = Account { reads: 4000, bytes: 32 << 20, waited, depths, processor };
        assert_eq!(
            account.sentence(2, ms(200)),
            "2000 reads, 16 MiB, answered after 150µs; 4.0 under way while any was; none 25 %, 1 25 %, \
             2 to 3 0 %, 4 to 7 0 %, 8 to 15 0 %, 16 to 31 0 %, 32 to 63 50 %, 64 or more 0 % of the \
             time; the server computed for 20ms"
        );
    }
}
