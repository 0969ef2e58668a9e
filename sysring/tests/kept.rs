//! What is answered "handled" was done; what cannot be is refused, or left out.

use std::ffi::CString;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use sysring::calls::{Call, Calls, Event, Issued};
use sysring::events::attr::{
    Answers, Attribute, Cache, CacheOutcome, Credentials, Deadline, Ioprio, Path, Retry, Timing,
    Wanted,
};
use sysring::{Errno, Fd};
use sysring_sys::vdso::monotonic as now;

const MS: u64 = 1_000_000;

fn context() -> Calls<'static> {
    Calls::new().unwrap()
}

/// A name of this test's own.
fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("sysring-kept-{name}-{}", std::process::id()))
}

fn c(path: &std::path::Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

/// Issues a call, and waits for its answer: the result, what was told, and whether it was pending.
fn answer<'m>(
    calls: &Calls<'m>,
    call: Call<'_, 'm>,
    wanted: &Wanted,
) -> (Result<usize, Errno>, Answers<'static>, bool) {
    let mut answers = Answers::none();
    match calls.issue_with(call, wanted, &mut answers).unwrap() {
        Issued::Done(result) => (result, answers, false),
        Issued::Pending(_) => {
            let event: Event = calls.wait(1).unwrap().next().unwrap();
            let mut told = Answers::none();
            tell(&event, &mut told);
            (event.result(), told, true)
        }
    }
}

fn tell(event: &Event, told: &mut Answers<'_>) {
    fn one<A: Attribute>(event: &Event, told: &mut Answers<'_>) {
        event.attr::<A>().into_iter().for_each(|value| told.set(&value));
    }
    one::<Timing>(event, told);
    one::<Path>(event, told);
    one::<Cache>(event, told);
    one::<Deadline>(event, told);
    one::<Ioprio>(event, told);
    one::<Retry>(event, told);
}

#[test]
fn the_cache_is_told_only_of_what_it_was_asked() {
    let path = temporary("cached");
    std::fs::write(&path, [1; 4096]).unwrap();
    let (file, name) = (File::open(&path).unwrap(), c(&path));
    let (zero, proc) = (File::open("/dev/zero"), File::open("/proc/self/stat"));
    let (zero, proc) = (zero.unwrap(), proc.unwrap());
    let created = c(&temporary("created"));
    let mut memory = [0; 64];
    let best = Wanted::NONE.best_effort(Cache::MASK);
    let required = Wanted::NONE.required(Cache::MASK);
    let opens = (libc::O_CREAT | libc::O_RDWR) as u32;
    for which in 0..5 {
        let mut with = |wanted: &Wanted| {
            Calls::scope(|calls| {
                let call = match which {
                    0 => Call::pread(&file, &mut memory, 0).by_worker(),
                    1 => Call::openat(Fd::CWD, &name, 0, 0).by_worker(),
                    2 => Call::read(&zero, &mut memory),
                    3 => Call::read(&proc, &mut memory),
                    _ => Call::openat(Fd::CWD, &created, opens, 0o600),
                };
                let mut answers = Answers::none();
                let issued = calls.issue_with(call, wanted, &mut answers)?;
                let (result, handled) = match issued {
                    Issued::Done(result) => (result, answers.handled()),
                    Issued::Pending(_) => {
                        let event = calls.wait(1)?.next().unwrap();
                        (event.result(), event.handled())
                    }
                };
                if matches!(which, 1 | 4) {
                    // SAFETY: a new descriptor, and nobody else's.
                    unsafe { libc::close(result? as i32) };
                }
                Ok((result.is_ok(), handled))
            })
        };
        assert_eq!(with(&best), Ok((true, 0)), "{which}");
        assert_eq!(with(&required), Err(Errno::EOPNOTSUPP), "{which}");
    }
    let _ = std::fs::remove_file(temporary("created"));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn what_the_cache_has_in_part_is_told() {
    const ALL: usize = 64 << 10;
    const CACHED: usize = 16 << 10;
    let path = temporary("partial");
    std::fs::write(&path, vec![1; ALL]).unwrap();
    let file = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.sync_all().unwrap();
    // SAFETY: takes numbers. Nothing is cached, and nothing is read ahead.
    unsafe {
        libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED);
        libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_RANDOM);
    }
    let mut part = vec![0; CACHED];
    Calls::issue_sync(Call::pread(&file, &mut part, 0)).unwrap();
    let mut memory = vec![0; ALL];
    let wanted = Wanted::NONE.best_effort(Cache::MASK);
    Calls::scope(|calls| {
        let (result, told, _) = answer(calls, Call::pread(&file, &mut memory, 0), &wanted);
        assert_eq!(result, Ok(ALL));
        match told.get::<Cache>() {
            Some(Cache { outcome: CacheOutcome::Hit, .. }) => {
                println!("skipped: this file system does not let go of what is cached");
            }
            None => println!("skipped: this file system does not tell what is cached"),
            cache => {
                let bytes = CACHED as u64;
                assert_eq!(cache, Some(Cache { outcome: CacheOutcome::Partial, bytes }));
            }
        }
        Ok(())
    })
    .unwrap();
    assert!(memory.iter().all(|&byte| byte == 1));
}

#[test]
fn a_deadline_ends_what_waits_where_it_is_made() {
    let path = temporary("fifo");
    let name = c(&path);
    // SAFETY: a path.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let calls = context();
    let begin = now();
    let wanted = Wanted::NONE.required(Deadline::MASK).with_deadline(begin + 100 * MS);
    let open = || Call::openat(Fd::CWD, &name, libc::O_RDONLY as u32, 0);
    // Its other end comes much later, so that who waits for that ends, too.
    let late = path.clone();
    let (is_over, over) = std::sync::mpsc::channel::<()>();
    let other = thread::spawn(move || {
        let _ = over.recv_timeout(Duration::from_secs(10));
        let name = c(&late);
        // SAFETY: a path. Who still waits for its other end has it.
        unsafe { libc::open(name.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) }
    });
    let (result, told, pending) = answer(&calls, open(), &wanted);
    let took = now() - begin;
    assert_eq!((result, told.get()), (Err(Errno::ECANCELED), Some(Deadline { expired: true })));
    assert!(pending && (100 * MS..9000 * MS).contains(&took), "{took}");
    drop(is_over);
    // Statuses go to a thread, too; what waits for nobody stays where it is.
    let wanted = wanted.with_deadline(u64::MAX);
    let mut status = sysring::calls::Statx::default();
    Calls::scope(|calls| {
        let statx = Call::statx(Fd::CWD, &name, Default::default(), &mut status);
        let (result, told, pending) = answer(calls, statx, &wanted);
        assert_eq!((result, pending), (Ok(0), true));
        assert_eq!(told.get(), Some(Deadline { expired: false }));
        // SAFETY: takes nothing.
        let parent = unsafe { Call::raw(libc::SYS_getppid as u32, [0; 6]) };
        assert!(!answer(calls, parent, &wanted).2);
        // Nobody else can make a call that is about its thread.
        // SAFETY: takes nothing.
        let own = unsafe { Call::raw(libc::SYS_gettid as u32, [0; 6]) };
        let refused = calls.issue_with(own, &wanted, &mut Answers::none());
        assert_eq!(refused, Err(Errno::EOPNOTSUPP));
        Ok(())
    })
    .unwrap();
    // SAFETY: opened above.
    unsafe { libc::close(other.join().unwrap()) };
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn an_io_priority_is_had_by_who_makes_the_call() {
    // SAFETY: takes nothing.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: not root, which has no other credentials");
        return;
    }
    let calls = context();
    let user = thread::scope(|scope| {
        let register = || {
            // SAFETY: takes numbers; the thread ends with its credentials.
            unsafe { libc::syscall(libc::SYS_setresuid, 1000, 1000, 1000) };
            calls.register_credentials().unwrap()
        };
        scope.spawn(register).join().unwrap()
    });
    // The real-time class, which we may have, and the user may not.
    let wanted = Wanted::NONE.with_credentials(user).with_ioprio(1 << 13);
    // SAFETY: takes nothing.
    let who = || unsafe { Call::raw(libc::SYS_getuid as u32, [0; 6]) };
    let mask = Credentials::MASK | Ioprio::MASK;
    let refused = calls.issue_with(who(), &wanted.required(mask), &mut Answers::none());
    assert_eq!(refused, Err(Errno::EOPNOTSUPP));
    let best = wanted.required(Credentials::MASK).best_effort(Ioprio::MASK);
    let issued = calls.issue_with(who(), &best, &mut Answers::none()).unwrap();
    assert!(matches!(issued, Issued::Pending(_)));
    let event = calls.wait(1).unwrap().next().unwrap();
    assert_eq!((event.result(), event.handled()), (Ok(1000), Credentials::MASK));
}

#[test]
fn what_is_tried_again_is_given_time() {
    let (mut a, b) = UnixStream::pair().unwrap();
    b.set_nonblocking(true).unwrap();
    let mut memory = [0; 4];
    let wanted = Wanted::NONE.required(Retry::MASK | Timing::MASK).with_retries(4);
    // Pauses of 1, 2, 4 and 8 ms, on another thread.
    let begin = now();
    let (result, told, pending) = Calls::scope(|calls| {
        let answer = answer(calls, Call::read(&b, &mut memory), &wanted);
        Ok(answer)
    })
    .unwrap();
    assert_eq!((result, told.get(), pending), (Err(Errno::EAGAIN), Some(Retry(4)), true));
    assert!(now() - begin >= 15 * MS);
    // On this one, where the call is synchronous.
    let begin = now();
    let mut answers = Answers::none();
    let result = Calls::issue_sync_with(Call::read(&b, &mut memory), &wanted, &mut answers);
    assert_eq!((result, answers.get()), (Err(Errno::EAGAIN), Some(Retry(4))));
    let timing: Timing = answers.get().unwrap();
    assert!(timing.queued < timing.issued);
    assert!(now() - begin >= 15 * MS);
    // Something comes meanwhile.
    let many = wanted.with_retries(1000);
    let (result, told, _) = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            a.write_all(b"data").unwrap();
        });
        Calls::scope(|calls| Ok(answer(calls, Call::read(&b, &mut memory), &many))).unwrap()
    });
    assert_eq!((result, &memory), (Ok(4), b"data"));
    let Some(Retry(tries)) = told.get() else { panic!("it was required") };
    assert!((1..900).contains(&tries), "{tries}");
}

#[test]
fn what_is_tried_again_can_be_cancelled() {
    let (_a, b) = UnixStream::pair().unwrap();
    b.set_nonblocking(true).unwrap();
    let mut memory = [0; 4];
    let wanted = Wanted::NONE.required(Retry::MASK).with_retries(u32::MAX);
    let deadline = wanted.required(Deadline::MASK);
    Calls::scope(|calls| {
        let issued =
            calls.issue_with(Call::read(&b, &mut memory), &wanted, &mut Answers::none())?;
        let Issued::Pending(id) = issued else { panic!("{issued:?}") };
        thread::sleep(Duration::from_millis(50));
        // In time or a moment before the next try.
        let _ = calls.cancel(id);
        let event = calls.wait(1)?.next().unwrap();
        assert_eq!(event.result(), Err(Errno::ECANCELED));
        Ok(())
    })
    .unwrap();
    Calls::scope(|calls| {
        let wanted = deadline.with_deadline(now() + 50 * MS);
        let (result, told, _) = answer(calls, Call::read(&b, &mut memory), &wanted);
        assert_eq!((result, told.get()), (Err(Errno::ECANCELED), Some(Deadline { expired: true })));
        Ok(())
    })
    .unwrap();
}

#[test]
fn an_eventfd_is_one() {
    let calls = context();
    let path = temporary("no-eventfd");
    let mut file = File::create_new(&path).unwrap();
    let (socket, _other) = UnixStream::pair().unwrap();
    // SAFETY: takes numbers.
    let counter = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    calls.set_eventfd(Some(Fd::new(counter))).unwrap();
    for (fd, error) in [
        (file.as_raw_fd(), Errno::EINVAL),
        (socket.as_raw_fd(), Errno::EINVAL),
        (libc::AT_FDCWD, Errno::EBADF),
        (-1, Errno::EBADF),
        (1 << 20, Errno::EBADF),
    ] {
        assert_eq!(calls.set_eventfd(Some(Fd::new(fd))), Err(error), "{fd}");
    }
    // SAFETY: takes nothing.
    let parent = unsafe { Call::raw(libc::SYS_getppid as u32, [0; 6]) };
    calls.issue(parent.by_worker()).unwrap();
    calls.wait(1).unwrap().next().unwrap();
    assert_eq!(file.seek(SeekFrom::End(0)).unwrap(), 0, "nothing was written");
    // What was set before was left.
    let mut count = 0u64;
    // SAFETY: eight bytes, which are ours; an eventfd of ours.
    let read = unsafe { libc::read(counter, (&raw mut count).cast(), 8) };
    assert_eq!((read, count), (8, 1));
    // SAFETY: ours.
    unsafe { libc::close(counter) };
    std::fs::remove_file(&path).unwrap();
}
