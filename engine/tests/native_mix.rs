//! Native calls in random mixes: what blocks and what does not, on pipes, sockets and files, cancelled or
//! not, in batches, by forked processes. Each is answered once, and with what the call answers.
//!
//! Besides the same mixes in every run there are a few that are new; `SYSRING_MIX_SEED=N` makes the one
//! whose seed a failed test has printed.

#[path = "native_mix/sockets.rs"]
mod sockets;

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use sockets::Socket;

use sysring_engine::native::{Call, Context, Issued, Options, Order, Placement, Step};
use sysring_events::attr::Trace;
use sysring_sys::Errno;
use sysring_sys::raw::general as g;

const ECANCELED: i64 = Errno::ECANCELED.to_res() as i64;

/// Numbers that look random, and are the same in every run of a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }
}

fn call<const N: usize>(nr: u32, given: [usize; N]) -> Call {
    let mut args = [0; 6];
    args[..N].copy_from_slice(&given);
    Call { nr, args }
}

fn fd(file: &impl AsRawFd) -> usize {
    file.as_raw_fd() as usize
}

fn pipe() -> (File, File) {
    let mut ends = [0i32; 2];
    // SAFETY: room for two descriptors, which are nobody else's.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1]))
    }
}

/// What a call works on and is woken by, and what it must answer.
enum Kind {
    /// Reads a byte that is written later, or was before.
    Pipe { writer: File, _reader: File, buffer: Box<[u8; 8]> },
    /// Sends, receives or is connected to.
    Socket(Socket),
    /// Sleeps until it is woken.
    Futex(Box<AtomicU32>),
    /// Sleeps for a millisecond.
    Sleep { _time: Box<[i64; 2]> },
    /// Reads a file at a place where there is so much.
    File { _file: File, _buffer: Box<[u8; 4096]>, len: i64 },
    /// Asks for a name that is there, or not.
    Name { _name: std::ffi::CString, _status: Box<[u64; 32]>, answer: i64 },
    /// Knows its answer.
    Parent,
}

struct Live {
    kind: Kind,
    id: u64,
    cancelled: bool,
}

impl Kind {
    fn random(random: &mut Random, file: &File) -> (Kind, Call) {
        match random.below(8) {
            0 => {
                let (reader, mut writer) = pipe();
                if random.below(2) == 0 {
                    writer.write_all(b"x").unwrap();
                }
                let mut buffer = Box::new([0u8; 8]);
                let call = call(g::__NR_read, [fd(&reader), buffer.as_mut_ptr() as usize, 1]);
                (Kind::Pipe { writer, _reader: reader, buffer }, call)
            }
            1 => {
                let word = Box::new(AtomicU32::new(0));
                let wait = [word.as_ptr() as usize, g::FUTEX_WAIT as usize, 0, 0];
                (Kind::Futex(word), call(g::__NR_futex, wait))
            }
            2 => {
                let time = Box::new([0i64, 1_000_000]);
                let at = time.as_ptr() as usize;
                (Kind::Sleep { _time: time }, call(g::__NR_nanosleep, [at, 0]))
            }
            3 => {
                let file = file.try_clone().unwrap();
                let at = random.below(12_000);
                let len = (10_000 - at as i64).clamp(0, 4096);
                let mut buffer = Box::new([0u8; 4096]);
                let given = [fd(&file), buffer.as_mut_ptr() as usize, 4096, at];
                (Kind::File { _file: file, _buffer: buffer, len }, call(g::__NR_pread64, given))
            }
            4 => {
                let (name, answer) = match random.below(2) {
                    0 => (c"/proc/self/exe", 0),
                    _ => (c"/proc/self/no-such-file", i64::from(Errno::ENOENT.to_res())),
                };
                let name = name.to_owned();
                let mut status = Box::new([0u64; 32]);
                let (path, to) = (name.as_ptr() as usize, status.as_mut_ptr() as usize);
                let given = [libc::AT_FDCWD as usize, path, 0, 0x7ff, to];
                (Kind::Name { _name: name, _status: status, answer }, call(g::__NR_statx, given))
            }
            5 => (Kind::Parent, call(g::__NR_getppid, [])),
            _ => {
                let (socket, call) = Socket::random(random);
                (Kind::Socket(socket), call)
            }
        }
    }

    /// Lets a call end that waits for us.
    fn release(&mut self) {
        match self {
            Kind::Pipe { writer, .. } => writer.write_all(b"y").unwrap(),
            Kind::Socket(socket) => socket.release(),
            Kind::Futex(word) => {
                word.store(1, std::sync::atomic::Ordering::SeqCst);
                sysring_sys::call::futex_wake(word, 1);
            }
            _ => {}
        }
    }

    /// Whether this can be what the call answered, if it was not cancelled.
    fn fits(&self, answer: i64) -> bool {
        match self {
            Kind::Pipe { buffer, .. } => answer == 1 && buffer[0] != 0,
            Kind::Socket(socket) => socket.fits(answer),
            // The word may have changed before the call came to look at it.
            Kind::Futex(_) => answer == 0 || answer == i64::from(Errno::EAGAIN.to_res()),
            Kind::Sleep { .. } => answer == 0,
            Kind::File { len, .. } => answer == *len,
            Kind::Name { answer: expected, .. } => answer == *expected,
            Kind::Parent => answer == i64::from(std::os::unix::process::parent_id()),
        }
    }
}

fn ten_thousand_bytes() -> File {
    let path = std::env::temp_dir().join(format!("sysring-mix-{}", std::process::id()));
    std::fs::write(&path, vec![1u8; 10_000]).unwrap();
    let file = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}

fn placement(random: &mut Random) -> Placement {
    if random.below(3) == 0 { Placement::Worker } else { Placement::Inline }
}

/// Takes what is there, and crosses it off.
fn take(context: &Context, live: &mut HashMap<u64, Live>) {
    let mut memory = [0; 64];
    while let Some(event) = context.next(&mut memory).unwrap() {
        let data = event.attr::<Trace>().unwrap().0;
        let one = live.remove(&data).expect("answered twice, or never issued");
        assert_eq!(one.id, event.id());
        let answer = event.result();
        let cancelled = one.cancelled && answer == ECANCELED;
        assert!(cancelled || one.kind.fits(answer), "{data}: {answer}");
    }
}

fn mix(seed: u64, calls: u64) {
    println!("SYSRING_MIX_SEED={seed}");
    let random = &mut Random(seed);
    let file = ten_thousand_bytes();
    let context = Context::new(&Options::default()).unwrap();
    let mut live: HashMap<u64, Live> = HashMap::new();
    let mut data = 0;
    while data < calls {
        // Alone, or several together.
        let count = if random.below(4) == 0 { 1 + random.below(8) } else { 1 };
        let (mut kinds, mut steps) = (Vec::new(), Vec::new());
        for _ in 0..count {
            data += 1;
            let (kind, call) = Kind::random(random, &file);
            let order = Order { placement: placement(random), user_data: data, ..Order::default() };
            kinds.push((data, kind));
            steps.push(Step::new(call, order));
        }
        // SAFETY: what the calls name lives in `live` until they are answered.
        unsafe { context.issue_all(&mut steps) };
        for ((data, kind), step) in kinds.into_iter().zip(steps) {
            match step.issued().unwrap().unwrap() {
                Issued::Done(answer) => assert!(kind.fits(answer as i64), "{data}: {answer}"),
                Issued::Pending(id) => {
                    live.insert(data, Live { kind, id, cancelled: false });
                }
            }
        }
        for one in live.values_mut() {
            match random.below(8) {
                0 => one.kind.release(),
                1 => {
                    one.cancelled |= context.cancel(one.id) != Err(Errno::ENOENT);
                }
                _ => {}
            }
        }
        take(&context, &mut live);
        while live.len() > 60 {
            live.values_mut().for_each(|one| one.kind.release());
            context.wait(1, Some(10_000_000_000), None).unwrap();
            take(&context, &mut live);
        }
    }
    while !live.is_empty() {
        live.values_mut().for_each(|one| one.kind.release());
        context.wait(1, Some(10_000_000_000), None).unwrap();
        take(&context, &mut live);
    }
    assert_eq!(context.pending(), 0);
    assert!(context.events().is_empty());
}

/// Of one mix.
const CALLS: u64 = 400;

#[test]
fn every_call_of_a_mix_is_answered_once() {
    if let Ok(seed) = std::env::var("SYSRING_MIX_SEED") {
        return mix(seed.parse().expect("a number"), CALLS);
    }
    let new = RandomState::new();
    (0..40).chain((0..10).map(|i: u64| new.hash_one(i))).for_each(|seed| mix(seed, CALLS));
}

#[test]
fn forked_processes_have_their_own() {
    let children: Vec<_> = (100..104)
        .map(|seed| {
            // SAFETY: the child makes everything it uses itself, and ends at once.
            match unsafe { libc::fork() } {
                0 => {
                    mix(seed, 200);
                    // SAFETY: as above.
                    unsafe { libc::_exit(0) }
                }
                child => child,
            }
        })
        .collect();
    mix(104, 200);
    for child in children {
        let mut status = -1;
        // SAFETY: a child of ours.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0);
    }
}

#[test]
fn a_fork_leaves_what_is_pending_to_the_parent() {
    let context = Context::new(&Options::default()).unwrap();
    let (reader, mut writer) = pipe();
    let mut byte = 0u8;
    let read = call(g::__NR_read, [fd(&reader), &raw mut byte as usize, 1]);
    let order = |user_data| Order { user_data, ..Order::default() };
    // SAFETY: the byte stays.
    let Ok(Issued::Pending(id)) = (unsafe { context.issue(&read, &order(1)) }) else {
        panic!("nothing has been written")
    };
    // SAFETY: the child uses what it shares, and ends at once.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // Not its own, and one that is; the parent hears of it.
        let theirs = context.cancel(id) == Err(Errno::ENOENT) && context.pending() == 0;
        let order = Order { placement: Placement::Worker, ..order(2) };
        // SAFETY: takes nothing.
        let mine = unsafe { context.issue(&call(g::__NR_getppid, []), &order) };
        while context.pending() != 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        // SAFETY: as above.
        unsafe { libc::_exit(if theirs && mine.is_ok() { 0 } else { 1 }) };
    }
    let mut status = -1;
    // SAFETY: a child of ours.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(status, 0);
    writer.write_all(b"z").unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        context.wait(1, Some(10_000_000_000), None).unwrap();
        let mut memory = [0; 64];
        while let Some(event) = context.next(&mut memory).unwrap() {
            seen.push((event.attr::<Trace>().unwrap().0, event.result()));
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, [(1, 1), (2, i64::from(std::process::id()))]);
    assert_eq!(byte, b'z');
}

#[test]
fn a_process_exits_with_calls_pending() {
    // SAFETY: the child ends at once.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let context = Context::new(&Options::default()).unwrap();
        let time = [100i64, 0];
        let (reader, _writer) = pipe();
        let mut byte = 0u8;
        for call in [
            call(g::__NR_nanosleep, [time.as_ptr() as usize, 0]),
            call(g::__NR_read, [fd(&reader), &raw mut byte as usize, 1]),
        ] {
            // SAFETY: nothing goes before the process does.
            let issued = unsafe { context.issue(&call, &Order::default()) };
            assert!(matches!(issued, Ok(Issued::Pending(_))));
        }
        // SAFETY: as above.
        unsafe { libc::_exit(7) };
    }
    let mut status = -1;
    // SAFETY: a child of ours.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(libc::WEXITSTATUS(status), 7);
}

/// The files that a thread may read are those of the user it is.
#[test]
fn calls_have_the_credentials_of_who_issues_them() {
    // SAFETY: asks.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: only root can become somebody else");
        return;
    }
    // SAFETY: the child ends at once; what it changes is its own.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let context = Context::new(&Options::default()).unwrap();
        let dir = std::env::temp_dir().join(format!("sysring-ids-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let secret = dir.join("secret");
        std::fs::write(&secret, b"").unwrap();
        let path = std::ffi::CString::new(secret.as_os_str().as_encoded_bytes()).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&secret, mode).unwrap();
        let open = || {
            let given = [libc::AT_FDCWD as usize, path.as_ptr() as usize, 0, 0];
            let order = Order { placement: Placement::Worker, ..Order::default() };
            // SAFETY: the path stays.
            unsafe { context.issue(&call(g::__NR_openat, given), &order) }.unwrap();
            context.wait(1, Some(10_000_000_000), None).unwrap();
            let mut memory = [0; 64];
            context.next(&mut memory).unwrap().unwrap().result()
        };
        let before = open();
        // The C library knows nothing of our workers, which root's work has started.
        // SAFETY: the child's own ids.
        assert_eq!(unsafe { libc::setresuid(65534, 65534, 0) }, 0);
        let after = open();
        // SAFETY: back, to remove the directory.
        assert_eq!(unsafe { libc::setresuid(0, 0, 0) }, 0);
        std::fs::remove_dir_all(&dir).unwrap();
        let right = before >= 0 && after == i64::from(Errno::EACCES.to_res());
        // SAFETY: as above.
        unsafe { libc::_exit(if right { 0 } else { 1 }) };
    }
    let mut status = -1;
    // SAFETY: a child of ours.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(status, 0);
}
