//! Several processes at one ring, some of which are killed.

use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU8, AtomicU64};
use std::time::{Duration, Instant};

use sysring_events::attr::{Answers, Checksum, Timing};
use sysring_events::{Config, Event, Ring};
use sysring_sys::{Errno, Fd};

/// Memory that the children share, too, apart from the ring.
fn shared<T>(count: usize) -> &'static [T] {
    let len = count * size_of::<T>();
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: new memory, of zeros, which is never unmapped.
    unsafe {
        let start = libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0);
        assert_ne!(start, libc::MAP_FAILED);
        std::slice::from_raw_parts(start.cast(), count)
    }
}

/// A child that does nothing but `work`, for ever.
fn child(work: impl Fn()) -> libc::pid_t {
    // SAFETY: the child allocates nothing, takes no locks of libc's, and leaves by a signal.
    match unsafe { libc::fork() } {
        0 => loop {
            work();
        },
        pid => {
            assert!(pid > 0);
            pid
        }
    }
}

fn kill(pid: libc::pid_t) {
    // SAFETY: a child of ours, which has not been reaped.
    unsafe {
        assert_eq!(libc::kill(pid, libc::SIGKILL), 0);
        let mut status = 0;
        assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL);
    }
}

fn config(overflow: usize) -> Config {
    Config { size: 1 << 16, overflow, shared: true }
}

const PRODUCERS: usize = 4;

/// Event `n` of producer `p`, of a length that follows from `n`.
fn push(ring: &Ring, p: u64, n: u64) -> Result<(), Errno> {
    let mut answers = Answers::none();
    if n.is_multiple_of(3) {
        answers.set(&Timing { queued: n, issued: p, completed: n ^ p });
    }
    if n.is_multiple_of(5) {
        answers.set(&Checksum { crc32c: n as u32, bytes: p });
    }
    ring.push(&Event::new(p << 32 | n, (n * 7) as i64).with(&answers))
}

/// Producers are killed again and again, at any instant, and replaced. What a push has said to be
/// in the ring arrives, once, in each producer's order; what arrives is whole.
#[test]
fn killed_producers_leave_the_ring_usable() {
    let ring = Ring::new(&config(1 << 16)).unwrap();
    // What each producer has begun to push, and how many pushes have returned.
    let begun: &[AtomicU64] = shared(PRODUCERS);
    let done: &[AtomicU64] = shared(PRODUCERS);
    let start = |p: usize| {
        child(|| {
            let n = begun[p].fetch_add(1, SeqCst);
            while let Err(error) = push(&ring, p as u64, n) {
                assert_eq!(error, Errno::ENOBUFS);
                std::thread::yield_now();
            }
            done[p].fetch_add(1, SeqCst);
        })
    };
    let mut children: Vec<_> = (0..PRODUCERS).map(start).collect();
    let mut seen: Vec<Vec<u64>> = vec![Vec::new(); PRODUCERS];
    let mut memory = [0; 512];
    let mut random = 1u64;
    let end = Instant::now() + Duration::from_secs(3);
    let mut kills = 0;
    while Instant::now() < end {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let victim = (random >> 33) as usize % PRODUCERS;
        let until = Instant::now() + Duration::from_micros((random >> 40) % 400);
        while Instant::now() < until {
            drain(&ring, &mut memory, &mut seen);
        }
        kill(children[victim]);
        kills += 1;
        children[victim] = start(victim);
    }
    for pid in children {
        kill(pid);
    }
    // Whoever held the lock is dead.
    ring.push(&Event::new(u64::MAX, 0)).unwrap_or_else(|e| assert_eq!(e, Errno::ENOBUFS));
    while !drain(&ring, &mut memory, &mut seen) {}
    assert!(kills > 100, "{kills} kills");
    for (p, seen) in seen.iter().enumerate() {
        assert!(seen.is_sorted_by(|a, b| a < b), "twice, or out of order");
        let arrived = seen.len() as u64;
        // Everything that push has confirmed; and of each that was killed, one event at most that
        // had entered the ring without the producer having heard of it.
        let confirmed = done[p].load(SeqCst);
        assert!((confirmed..=confirmed + kills + 1).contains(&arrived), "{arrived}, {confirmed}");
        assert!(arrived > 100, "producer {p} came to push {arrived}");
    }
    assert!(ring.is_empty());
    assert_eq!(ring.push(&Event::new(1, 1)), Ok(()));
}

/// Pops once; whether there was nothing.
fn drain(ring: &Ring, memory: &mut [u64], seen: &mut [Vec<u64>]) -> bool {
    let events = ring.pop(memory).unwrap();
    let nothing = events.is_empty();
    for event in events {
        if event.id() == u64::MAX {
            continue;
        }
        let (p, n) = (event.id() >> 32, event.id() & 0xffff_ffff);
        assert_eq!(event.result(), (n * 7) as i64);
        let timing = Timing { queued: n, issued: p, completed: n ^ p };
        assert_eq!(event.attr::<Timing>(), n.is_multiple_of(3).then_some(timing));
        let checksum = Checksum { crc32c: n as u32, bytes: p };
        assert_eq!(event.attr::<Checksum>(), n.is_multiple_of(5).then_some(checksum));
        seen[p as usize].push(n);
    }
    nothing
}

/// Consumers are killed again and again. Each event is taken once; a consumer that is killed takes
/// no more with it than it had taken and not yet told of.
#[test]
fn killed_consumers_leave_the_ring_usable() {
    const EVENTS: usize = 300_000;
    const AT_ONCE: usize = 8;
    let ring = Ring::new(&config(1 << 16)).unwrap();
    let taken: &[AtomicU8] = shared(EVENTS);
    let start = || {
        child(|| {
            let mut memory = [0; 4 * AT_ONCE];
            let _ = ring.wait(Some(10_000_000));
            for event in ring.pop(&mut memory).unwrap() {
                taken[event.id() as usize].fetch_add(1, SeqCst);
            }
        })
    };
    let mut children = [start(), start(), start()];
    let (mut random, mut kills) = (7u64, 0);
    let mut kill_at = Instant::now();
    for id in 0..EVENTS as u64 {
        while let Err(error) = ring.push(&Event::new(id, 0)) {
            assert_eq!(error, Errno::ENOBUFS);
            std::thread::yield_now();
        }
        if Instant::now() >= kill_at {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let victim = &mut children[(random >> 33) as usize % 3];
            kill(*victim);
            *victim = start();
            kills += 1;
            kill_at = Instant::now() + Duration::from_micros((random >> 40) % 2000);
        }
    }
    let end = Instant::now() + Duration::from_secs(30);
    while !ring.is_empty() {
        assert!(Instant::now() < end, "those who are left do not consume");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(100));
    for pid in children {
        kill(pid);
    }
    let mut lost = 0;
    for times in taken {
        let times = times.load(SeqCst);
        assert!(times <= 1, "an event was taken twice");
        lost += usize::from(times == 0);
    }
    assert!(lost <= (kills + 3) * AT_ONCE, "{lost} lost by {kills} kills");
    assert!(kills > 10, "{kills} kills");
}

/// Another process attaches by the descriptor alone, as one that was not forked would.
#[test]
fn processes_attach_by_descriptor() {
    let ring = Ring::new(&config(0)).unwrap();
    let file = ring.file().unwrap();
    let there = Ring::attach(file).unwrap();
    there.push(&Event::new(5, 6)).unwrap();
    let mut memory = [0; 64];
    assert_eq!(ring.pop(&mut memory).unwrap().map(|event| event.id()).collect::<Vec<_>>(), [5]);
    assert!(there.is_empty());
}

/// What is no ring is refused, and what claims to be one is not believed.
#[test]
fn strange_files_are_refused() {
    let attach = |fd: RawFd| Ring::attach(Fd::new(fd)).map(drop);
    assert_eq!(attach(-1), Err(Errno::EBADF));
    // SAFETY: descriptors of our own; the name is a C string.
    unsafe {
        let unsealed = libc::memfd_create(c"x".as_ptr(), libc::MFD_ALLOW_SEALING);
        assert_eq!(libc::ftruncate(unsealed, 1 << 20), 0);
        assert_eq!(attach(unsealed), Err(Errno::EINVAL), "it could be cut off below our feet");
        libc::fcntl(unsealed, libc::F_ADD_SEALS, libc::F_SEAL_SHRINK);
        assert_eq!(attach(unsealed), Err(Errno::EINVAL), "no ring");

        let ring = Ring::new(&config(0)).unwrap();
        let file = ring.file().unwrap().raw();
        let write = |at: i64, number: u32| {
            let bytes = number.to_le_bytes();
            assert_eq!(libc::pwrite(file, bytes.as_ptr().cast(), 4, at), 4);
        };
        write(8, 3);
        assert_eq!(attach(file), Err(Errno::EPROTONOSUPPORT));
        write(8, 2);
        write(12, 1 | 1 << 31);
        assert_eq!(attach(file), Err(Errno::EOPNOTSUPP));
        write(12, 1);
        write(16, 1 << 20);
        assert_eq!(attach(file), Err(Errno::EINVAL), "longer than the file");
        write(16, 1 << 16);
        assert_eq!(attach(file), Ok(()));
    }
}

/// Whoever writes nonsense into the shared part gets an error, and so do the others.
#[test]
fn nothing_shared_is_trusted() {
    let ring = Ring::new(&config(1 << 16)).unwrap();
    let file = ring.file().unwrap().raw();
    let mut random = 3u64;
    let mut memory = [0; 512];
    for round in 0..20_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let ones = [0xffu8; 256];
        let noise = random.to_le_bytes();
        let bytes: &[u8] = if round % 3 == 0 { &ones } else { &noise };
        // All that changes: counts, state, lock, signal and kept bands; and the first records.
        let places = [(64, 256), (65536, 256), (131_072, 256)];
        let (start, len) = places[(random >> 60) as usize % 3];
        let at = start + (random >> 20) as i64 % len;
        let bytes = &bytes[..bytes.len().min((start + len - at) as usize)];
        // SAFETY: the bytes are live.
        unsafe { libc::pwrite(file, bytes.as_ptr().cast(), bytes.len(), at) };
        // SAFETY: as above; the lock alone is put right, for a number that says that a living process
        // holds it is believed for a while.
        unsafe { libc::pwrite(file, [0u8; 8].as_ptr().cast(), 8, 64 + 128) };
        let known = [Errno::EBADMSG, Errno::ENOBUFS, Errno::EMSGSIZE];
        if let Err(error) = ring.push(&Event::new(1, 1)) {
            assert!(known.contains(&error), "{error}");
        }
        match ring.pop(&mut memory) {
            Ok(events) => events.for_each(|event| {
                let _ = event.extension(1);
            }),
            Err(error) => assert!(known.contains(&error), "{error}"),
        }
    }
}
