//! Producers that are stopped in the middle of a push: the others go on, and nothing is lost when
//! they do, too, or are killed.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};
use std::{ptr, thread};

use sysring_events::{Config, Event, Ring};
use sysring_sys::Errno;

/// Where the lock lies in the memory file, and which of its bits are the holder's process id.
const LOCK: i64 = 192;
const PID: u64 = (1 << 22) - 1;

/// How much longer than 50 ms a push may take that a stopped producer is in the way of: this machine
/// may have much to do.
const SOON: Duration = Duration::from_secs(5);

fn ring(overflow: usize) -> Ring {
    Ring::new(&Config { size: 1 << 16, overflow, shared: true }).unwrap()
}

/// A child that pushes for ever: its number in the upper half of each id, and counts what has been
/// pushed.
struct Producer {
    pid: libc::pid_t,
    number: u64,
    done: &'static AtomicU64,
}

impl Producer {
    fn start(ring: &Ring, number: u64) -> Producer {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: new memory of zeros, which is never unmapped. The child allocates nothing, takes no
        // locks of libc's, and ends by a signal.
        unsafe {
            let word = libc::mmap(ptr::null_mut(), 8, protection, flags, -1, 0);
            assert_ne!(word, libc::MAP_FAILED);
            let done = &*word.cast::<AtomicU64>();
            match libc::fork() {
                0 => loop {
                    let id = number << 32 | done.load(SeqCst);
                    match ring.push(&Event::new(id, id as i64)) {
                        Ok(()) => drop(done.fetch_add(1, SeqCst)),
                        Err(Errno::ENOBUFS) => thread::yield_now(),
                        Err(_) => libc::_exit(1),
                    }
                },
                pid => {
                    assert!(pid > 0);
                    Producer { pid, number, done }
                }
            }
        }
    }

    fn send(&self, signal: i32) {
        // SAFETY: a child of ours.
        assert_eq!(unsafe { libc::kill(self.pid, signal) }, 0);
    }

    fn await_change(&self) -> i32 {
        let mut status = 0;
        // SAFETY: as above.
        assert_eq!(unsafe { libc::waitpid(self.pid, &mut status, libc::WUNTRACED) }, self.pid);
        status
    }

    /// Stops it where it has the lock. What it pushes until then is taken.
    fn stop_inside(&self, ring: &Ring, seen: &mut Vec<u64>) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            self.send(libc::SIGSTOP);
            assert!(libc::WIFSTOPPED(self.await_change()));
            if holder(ring) == self.pid as u64 {
                return;
            }
            self.send(libc::SIGCONT);
            assert!(Instant::now() < end, "it is never inside a push");
            drain(ring, seen);
        }
    }

    fn kill(self) {
        self.send(libc::SIGKILL);
        assert!(libc::WIFSIGNALED(self.await_change()));
    }
}

fn holder(ring: &Ring) -> u64 {
    let mut word = [0; 8];
    let file = ring.file().unwrap().raw();
    // SAFETY: there is room for eight bytes.
    assert_eq!(unsafe { libc::pread(file, word.as_mut_ptr().cast(), 8, LOCK) }, 8);
    u64::from_le_bytes(word) & PID
}

fn drain(ring: &Ring, seen: &mut Vec<u64>) {
    let mut memory = [0; 512];
    loop {
        let before = seen.len();
        for event in ring.pop(&mut memory).unwrap() {
            assert_eq!(event.result(), event.id() as i64);
            seen.push(event.id());
        }
        if seen.len() == before {
            return;
        }
    }
}

/// Where the area is kept that had something in it, or there is none, and who kept it goes, there is
/// room when the others have been taken.
fn push(ring: &Ring, id: u64, seen: &mut Vec<u64>) {
    let end = Instant::now() + SOON;
    while let Err(error) = ring.push(&Event::new(id, id as i64)) {
        assert_eq!(error, Errno::ENOBUFS);
        assert!(Instant::now() < end, "never any room");
        drain(ring, seen);
    }
}

/// What each producer has pushed has arrived, once and in order; one more, of which it has not heard.
fn assert_all_there(producers: &[Producer], seen: &[u64]) {
    for producer in producers {
        let theirs: Vec<u64> = seen
            .iter()
            .filter(|&&id| id >> 32 == producer.number)
            .map(|id| id & 0xffff_ffff)
            .collect();
        let done = producer.done.load(SeqCst);
        assert!(theirs.iter().copied().eq(0..theirs.len() as u64), "lost, doubled or disordered");
        assert!((done..=done + 1).contains(&(theirs.len() as u64)), "{done}, {}", theirs.len());
    }
}

#[test]
fn who_is_stopped_inside_a_push_stops_nobody() {
    let ring = ring(1 << 20);
    let producer = Producer::start(&ring, 1);
    let mut seen = Vec::new();
    for round in 0..20 {
        producer.stop_inside(&ring, &mut seen);
        let start = Instant::now();
        // The first waits for it, the others know better.
        for n in 0..1000 {
            push(&ring, round * 1000 + n, &mut seen);
        }
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        drain(&ring, &mut seen);
        let done = producer.done.load(SeqCst);
        producer.send(libc::SIGCONT);
        let end = Instant::now() + SOON;
        while producer.done.load(SeqCst) < done + 100 {
            assert!(Instant::now() < end, "it does not go on");
            drain(&ring, &mut seen);
        }
    }
    producer.send(libc::SIGSTOP);
    assert!(libc::WIFSTOPPED(producer.await_change()));
    drain(&ring, &mut seen);
    let ours: Vec<u64> = seen.iter().copied().filter(|id| id >> 32 == 0).collect();
    assert!(ours.into_iter().eq(0..20_000), "lost, doubled or disordered");
    assert_all_there(std::slice::from_ref(&producer), &seen);
    producer.kill();
}

#[test]
fn two_who_are_stopped_leave_nobody_waiting() {
    let ring = ring(1 << 20);
    let producers = [Producer::start(&ring, 1), Producer::start(&ring, 2)];
    let mut seen = Vec::new();
    // One keeps the ring or the area, the other one the other.
    for producer in &producers {
        producer.stop_inside(&ring, &mut seen);
        let start = Instant::now();
        let pushed = ring.push(&Event::new(0, 0));
        assert!(start.elapsed() < SOON);
        assert!(matches!(pushed, Ok(()) | Err(Errno::ENOBUFS)), "{pushed:?}");
    }
    for producer in &producers {
        producer.send(libc::SIGCONT);
    }
    let end = Instant::now() + SOON;
    while producers.iter().any(|producer| producer.done.load(SeqCst) < 1000) {
        assert!(Instant::now() < end, "they do not go on");
        drain(&ring, &mut seen);
    }
    for producer in &producers {
        producer.send(libc::SIGSTOP);
        assert!(libc::WIFSTOPPED(producer.await_change()));
    }
    drain(&ring, &mut seen);
    assert_all_there(&producers, &seen);
    producers.into_iter().for_each(Producer::kill);
}

/// A ring without an overflow area has no other place: it is full as long as somebody is stopped.
#[test]
fn what_the_stopped_keep_is_free_when_they_are_killed() {
    let ring = ring(0);
    let producer = Producer::start(&ring, 1);
    let mut seen = Vec::new();
    producer.stop_inside(&ring, &mut seen);
    for _ in 0..3 {
        assert_eq!(ring.push(&Event::new(0, 0)), Err(Errno::ENOBUFS));
    }
    producer.kill();
    push(&ring, 7, &mut seen);
    drain(&ring, &mut seen);
    assert_eq!(seen.last(), Some(&7));
}
