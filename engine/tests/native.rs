//! Native calls: what blocks becomes a request, what does not is answered at once.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use sysring_engine::native::{
    Call, Context, Issued, Options, Order, PENDING, Placement, upper_half,
};
use sysring_events::Config;
use sysring_events::attr::Trace;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, User};

fn call<const N: usize>(nr: u32, given: [usize; N]) -> Call {
    let mut args = [0; 6];
    args[..N].copy_from_slice(&given);
    Call { nr, args }
}

fn issue(context: &Context, call: Call) -> Issued {
    issue_as(context, call, &Order::default())
}

fn issue_as(context: &Context, call: Call, order: &Order) -> Issued {
    // SAFETY: the tests keep what their calls name until they have the answers.
    unsafe { context.issue(&call, order) }.unwrap()
}

fn pending(issued: Issued) -> u64 {
    match issued {
        Issued::Pending(id) => id,
        Issued::Done(answer) => panic!("answered at once: {answer}"),
    }
}

fn context() -> Context {
    Context::new(&Options::default()).unwrap()
}

#[derive(PartialEq, Debug)]
struct Event {
    id: u64,
    user_data: u64,
    result: i64,
}

fn look(context: &Context) -> Option<Event> {
    let mut memory = [0; 64];
    context.next(&mut memory).unwrap().map(|seen| {
        let user_data = seen.attr::<Trace>().map_or(0, |trace| trace.0);
        Event { id: seen.id(), user_data, result: seen.result() }
    })
}

fn next(context: &Context) -> Event {
    context.wait(1, Some(10_000_000_000), None).unwrap();
    look(context).unwrap()
}

fn pipe() -> (File, File) {
    let mut ends = [0i32; 2];
    // SAFETY: room for two descriptors, which are nobody else's.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1]))
    }
}

fn fd(file: &impl AsRawFd) -> usize {
    file.as_raw_fd() as usize
}

const ECANCELED: i64 = Errno::ECANCELED.to_res() as i64;

#[test]
fn what_does_not_block_is_answered_at_once() {
    let context = context();
    let pid = std::process::id() as isize;
    assert_eq!(issue(&context, call(g::__NR_getpid, [])), Issued::Done(pid));
    let mut buffer = [0u8; 100];
    let file = File::open("/proc/self/exe").unwrap();
    let read = call(g::__NR_read, [fd(&file), buffer.as_mut_ptr() as usize, buffer.len()]);
    assert_eq!(issue(&context, read), Issued::Done(100));
    assert_eq!(&buffer[1..4], b"ELF");
    assert_eq!(context.pending(), 0);
    assert_eq!(look(&context), None);
}

#[test]
fn an_empty_pipe_is_waited_for() {
    let context = context();
    let (reader, mut writer) = pipe();
    let mut buffer = [0u8; 8];
    let read = call(g::__NR_read, [fd(&reader), buffer.as_mut_ptr() as usize, buffer.len()]);
    let id = pending(issue_as(&context, read, &Order { user_data: 7, ..Order::default() }));
    // The number may be used for something else.
    drop(reader);
    assert_eq!(context.wait(1, Some(1_000_000), None), Err(Errno::ETIME));
    writer.write_all(b"late").unwrap();
    assert_eq!(next(&context), Event { id, user_data: 7, result: 4 });
    assert_eq!(&buffer[..4], b"late");
    assert_eq!(look(&context), None);
}

#[test]
fn a_write_is_whole_however_small_the_pipe() {
    let context = context();
    let (mut reader, writer) = pipe();
    let data: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
    let vector = [
        libc::iovec { iov_base: data.as_ptr() as *mut _, iov_len: 300_000 },
        libc::iovec { iov_base: data[300_000..].as_ptr() as *mut _, iov_len: 700_000 },
    ];
    let writes = [
        call(g::__NR_write, [fd(&writer), data.as_ptr() as usize, data.len()]),
        call(g::__NR_writev, [fd(&writer), vector.as_ptr() as usize, 2]),
    ];
    for write in writes {
        let id = pending(issue(&context, write));
        let mut read = vec![0; data.len()];
        let reading = std::thread::scope(|scope| {
            let reading = scope.spawn(|| reader.read_exact(&mut read));
            assert_eq!(next(&context), Event { id, user_data: 0, result: 1_000_000 });
            reading.join().unwrap()
        });
        reading.unwrap();
        assert!(read == data);
    }
}

#[test]
fn a_short_read_is_the_end_of_the_file() {
    let context = context();
    for len in [0, 1, 511, 512, 4096, 5000, 8192] {
        let path = std::env::temp_dir().join(format!("sysring-native-{}", std::process::id()));
        std::fs::write(&path, vec![1u8; len]).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut buffer = [0u8; 16384];
        let read = call(g::__NR_read, [fd(&file), buffer.as_mut_ptr() as usize, buffer.len()]);
        assert_eq!(issue(&context, read), Issued::Done(len as isize));
        let pread = call(g::__NR_pread64, [fd(&file), buffer.as_mut_ptr() as usize, 16384, 0]);
        assert_eq!(issue(&context, pread), Issued::Done(len as isize));
    }
}

#[test]
fn sockets_wait_for_each_other() {
    let context = context();
    let (mut a, b) = UnixStream::pair().unwrap();
    let mut buffer = [0u8; 10];
    let recv = |flags| {
        let at = buffer.as_ptr() as usize;
        call(g::__NR_recvfrom, [fd(&b), at, 10, flags])
    };
    let id = pending(issue(&context, recv(0)));
    a.write_all(b"12345").unwrap();
    assert_eq!(next(&context), Event { id, user_data: 0, result: 5 });
    let id = pending(issue(&context, recv(libc::MSG_WAITALL as usize)));
    a.write_all(b"12345").unwrap();
    assert_eq!(context.wait(1, Some(1_000_000), None), Err(Errno::ETIME));
    a.write_all(b"67890").unwrap();
    assert_eq!(next(&context), Event { id, user_data: 0, result: 10 });
    assert_eq!(&buffer, b"1234567890");
    buffer = [0; 10];
    let _ = buffer;
    // What is asked of a socket that does not block is answered as by the call.
    b.set_nonblocking(true).unwrap();
    let again = Issued::Done(Errno::EAGAIN.to_res() as isize);
    let recv = call(g::__NR_recvfrom, [fd(&b), buffer.as_ptr() as usize, 10, 0]);
    assert_eq!(issue(&context, recv), again);
    b.set_nonblocking(false).unwrap();
    b.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let id = pending(issue(&context, recv));
    let result = i64::from(Errno::EAGAIN.to_res());
    assert_eq!(next(&context), Event { id, user_data: 0, result });
}

/// `O_NONBLOCK` means nothing to a file on a disk: what is not cached is waited for.
#[test]
fn a_file_is_waited_for_even_if_it_is_non_blocking() {
    use std::os::unix::fs::OpenOptionsExt;
    let context = context();
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("not cached");
    std::fs::write(&path, [7; 1 << 20]).unwrap();
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    let mut buffer = vec![0u8; 1 << 20];
    for _ in 0..20 {
        file.sync_all().unwrap();
        // SAFETY: takes numbers.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        let read = call(g::__NR_pread64, [fd(&file), buffer.as_mut_ptr() as usize, 1 << 20, 0]);
        let result = match issue(&context, read) {
            Issued::Done(result) => result as i64,
            Issued::Pending(_) => next(&context).result,
        };
        assert_eq!(result, 1 << 20);
    }
    assert!(buffer.iter().all(|byte| *byte == 7));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_connection_is_accepted_when_it_comes() {
    let context = context();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let id = pending(issue(&context, call(g::__NR_accept4, [fd(&listener), 0, 0, 0])));
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let event = next(&context);
    assert_eq!(event.id, id);
    // SAFETY: just made by accept, and nobody else's.
    let server = unsafe { OwnedFd::from_raw_fd(i32::try_from(event.result).unwrap()) };
    drop((client, server));
}

#[test]
fn sleepers_sleep_and_are_called_back() {
    let context = context();
    let time = libc::timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    let began = Instant::now();
    let id = pending(issue(&context, call(g::__NR_nanosleep, [&raw const time as usize, 0])));
    assert_eq!(next(&context), Event { id, user_data: 0, result: 0 });
    assert!(began.elapsed() >= Duration::from_millis(20));
    let word = AtomicU32::new(1);
    let at = word.as_ptr() as usize;
    let wait = call(g::__NR_futex, [at, g::FUTEX_WAIT as usize, 1, 0]);
    let woken = pending(issue(&context, wait));
    let cancelled = pending(issue(&context, wait));
    assert_eq!(context.cancel(cancelled), Ok(()));
    assert_eq!(next(&context), Event { id: cancelled, user_data: 0, result: ECANCELED });
    assert_eq!(context.cancel(cancelled), Err(Errno::ENOENT));
    let wake = call(g::__NR_futex, [at, g::FUTEX_WAKE as usize, 1]);
    while issue(&context, wake) == Issued::Done(0) {}
    assert_eq!(next(&context), Event { id: woken, user_data: 0, result: 0 });
    let stale = call(g::__NR_futex, [at, g::FUTEX_WAIT as usize, 2, 0]);
    assert_eq!(issue(&context, stale), Issued::Done(Errno::EAGAIN.to_res() as isize));
}

#[test]
fn a_worker_makes_what_it_is_asked_to() {
    let context = context();
    let order = Order { placement: Placement::Worker, user_data: 3, ..Order::default() };
    let name = c"/proc/self/status".to_owned();
    let mut stat = [0u64; 32];
    let at = stat.as_mut_ptr() as usize;
    let cwd = libc::AT_FDCWD as usize;
    let path = name.as_ptr() as usize;
    let statx = call(g::__NR_statx, [cwd, path, 0, g::STATX_BASIC_STATS as usize, at]);
    let id = pending(issue_as(&context, statx, &order));
    // It was copied.
    drop(name);
    assert_eq!(next(&context), Event { id, user_data: 3, result: 0 });
    assert_ne!(stat[0], 0);
    let unknown = call(4000, []);
    let id = pending(issue(&context, unknown));
    let result = i64::from(Errno::ENOSYS.to_res());
    assert_eq!(next(&context), Event { id, user_data: 0, result });
    // SAFETY: refused.
    let own = unsafe { context.issue(&call(g::__NR_gettid, []), &order) };
    assert_eq!(own, Err(Errno::EOPNOTSUPP));
    // SAFETY: refused.
    let exit = unsafe { context.issue(&call(g::__NR_exit_group, []), &Order::default()) };
    assert_eq!(exit, Err(Errno::EOPNOTSUPP));
    let mapping = call(g::__NR_mmap, [0, 4096, 3, 0x22, usize::MAX, 0]);
    let id = pending(issue_as(&context, mapping, &order));
    let event = next(&context);
    assert_eq!(event.id, id);
    assert!(event.result > i64::from(u32::MAX), "a whole word: {:#x}", event.result);
}

#[test]
fn a_slot_hears_of_its_answer() {
    let context = context();
    let (reader, mut writer) = pipe();
    let slot = AtomicI64::new(PENDING);
    let order = Order { slot: User::of(slot.as_ptr()), ..Order::default() };
    let mut buffer = [0u8; 8];
    let read = call(g::__NR_read, [fd(&reader), buffer.as_mut_ptr() as usize, buffer.len()]);
    pending(issue_as(&context, read, &order));
    let upper = upper_half(User::of(slot.as_ptr()));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(5));
            writer.write_all(b"slot").unwrap();
        });
        while slot.load(SeqCst) == PENDING {
            let before = (PENDING >> 32) as u32;
            let _ = sysring_sys::call::futex_wait_bitset(upper, before, u32::MAX, false, None);
        }
    });
    assert_eq!(slot.load(SeqCst), 4);
    assert_eq!(issue_as(&context, call(g::__NR_getppid, []), &order), {
        Issued::Done(std::os::unix::process::parent_id() as isize)
    });
    assert_eq!(slot.load(SeqCst), i64::from(std::os::unix::process::parent_id()));
}

#[test]
fn more_than_there_is_room_for_is_not_lost() {
    // The ring and its overflow area take 4096 events of 32 bytes; these have 40.
    const CALLS: u64 = 5000;
    let events = Config { size: 64 << 10, overflow: 64 << 10, shared: false };
    let context = Context::new(&Options { events, ..Options::default() }).unwrap();
    let order = |user_data| Order { placement: Placement::Worker, user_data, ..Order::default() };
    for data in 1..=CALLS {
        pending(issue_as(&context, call(g::__NR_getppid, []), &order(data)));
    }
    let mut seen = vec![0; CALLS as usize];
    for _ in 0..CALLS {
        seen[next(&context).user_data as usize - 1] += 1;
    }
    assert_eq!(seen, vec![1; CALLS as usize]);
    assert_eq!(look(&context), None);
    assert_eq!(context.pending(), 0);
}

#[test]
fn processes_share_a_ring_of_events() {
    if std::env::var_os("QEMU_LD_PREFIX").is_some() {
        println!("skipped: in QEMU's user mode a child of a process with threads may hang");
        return;
    }
    let events = Config { shared: true, ..Config::default() };
    let context = Context::new(&Options { events, ..Options::default() }).unwrap();
    let file = context.events().file().unwrap();
    let (reader, mut writer) = pipe();
    // A byte that is there already would be answered at once: the child says when it waits.
    let (mut heard, mut said) = pipe();
    // SAFETY: the child makes a context of its own, and leaves without what the parent has.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let answered = (|| {
            let own = Context::on(sysring_events::Ring::attach(file).ok()?, 0).ok()?;
            let mut byte = [0u8; 1];
            let read = call(g::__NR_read, [fd(&reader), byte.as_mut_ptr() as usize, 1]);
            pending(issue_as(&own, read, &Order { user_data: 77, ..Order::default() }));
            said.write_all(b".").ok()?;
            while own.pending() != 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            Some(())
        })();
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(if answered.is_some() { 0 } else { 1 }) };
    }
    heard.read_exact(&mut [0]).unwrap();
    writer.write_all(b"x").unwrap();
    let event = next(&context);
    assert_eq!((event.user_data, event.result), (77, 1));
    let mut status = 0;
    // SAFETY: our child.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(status, 0);
    let nothing = context.wait(1, Some(1_000_000), None);
    assert_eq!(nothing, Err(Errno::ETIME));
}

#[test]
fn a_limit_is_kept() {
    let context = Context::new(&Options { limit: 2, ..Options::default() }).unwrap();
    let (reader, _writer) = pipe();
    let mut buffer = [0u8; 1];
    let read = call(g::__NR_read, [fd(&reader), buffer.as_mut_ptr() as usize, 1]);
    let ids = [pending(issue(&context, read)), pending(issue(&context, read))];
    // SAFETY: not issued.
    assert_eq!(unsafe { context.issue(&read, &Order::default()) }, Err(Errno::EAGAIN));
    for id in ids {
        context.cancel(id).unwrap();
        assert_eq!(next(&context).result, ECANCELED);
    }
    assert_eq!(context.pending(), 0);
}

/// The address of a page, which may be read or not.
struct Page(*mut u8);

impl Page {
    fn new() -> Page {
        // SAFETY: a new mapping.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, 3, 0x22, -1, 0) };
        assert_ne!(at, libc::MAP_FAILED);
        Page(at.cast())
    }

    fn protect(&self, protection: i32) {
        // SAFETY: a page of the test's own.
        assert_eq!(unsafe { libc::mprotect(self.0.cast(), 4096, protection) }, 0);
    }
}

#[test]
fn what_could_not_be_read_when_it_was_issued_is_not_read_later() {
    let context = context();
    let page = Page::new();
    let path = b"/dev/null\0";
    // SAFETY: the page has room.
    unsafe { page.0.copy_from_nonoverlapping(path.as_ptr(), path.len()) };
    let open = call(g::__NR_openat, [libc::AT_FDCWD as usize, page.0 as usize, 0, 0]);
    let order = Order { placement: Placement::Worker, ..Order::default() };
    for round in 0..300 {
        page.protect(libc::PROT_NONE);
        pending(issue_as(&context, open, &order));
        page.protect(libc::PROT_READ);
        let result = next(&context).result;
        assert_eq!(result, i64::from(Errno::EFAULT.to_res()), "round {round}");
    }
}

/// Runs in a child of `fork`, which says so if it was as it should be.
fn in_child(check: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child calls the engine alone, which needs nothing of what other threads had.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let status = i32::from(!check());
        // SAFETY: ends the child, and nothing else of it.
        unsafe { libc::_exit(status) };
    }
    let mut status = 0;
    // SAFETY: waits for the child.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status == 0
}

#[test]
fn a_child_has_nothing_pending_of_its_parents() {
    let context = context();
    let (a, _b) = UnixStream::pair().unwrap();
    let mut byte = 0u8;
    pending(issue(&context, call(g::__NR_read, [fd(&a), (&raw mut byte) as usize, 1])));
    assert_eq!(context.pending(), 1);
    assert!(in_child(|| context.pending() == 0));
    context.cancel_all().unwrap();
    next(&context);
}

#[test]
fn in_another_pid_namespace_nothing_is_begun_that_could_not_be_answered() {
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: not root, which may make namespaces");
        return;
    }
    std::thread::spawn(|| {
        // SAFETY: concerns the children of this thread.
        if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
            println!("skipped: no pid namespaces: {}", std::io::Error::last_os_error());
            return;
        }
        let events = Config { shared: true, ..Config::default() };
        let context = Context::new(&Options { events, ..Options::default() }).unwrap();
        let (a, _b) = UnixStream::pair().unwrap();
        let mut byte = 0u8;
        let read = call(g::__NR_read, [fd(&a), (&raw mut byte) as usize, 1]);
        assert!(in_child(|| {
            // SAFETY: it is not begun.
            let issued = unsafe { context.issue(&read, &Order::default()) };
            issued == Err(Errno::EXDEV) && context.pending() == 0
        }));
    })
    .join()
    .unwrap();
}
