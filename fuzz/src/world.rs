//! Where targets run: a thread that has given up its root, its network, its privileges and the
//! descriptors of the process. What an input asks for is done there, and the engine's threads, which
//! that thread starts, are as it is.

use std::ffi::CString;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use crate::input::Input;
use crate::memory;

/// Bytes become work for the engine.
pub type Target = fn(&mut Input<'_>);

/// What an input can name by descriptor, from [`FIRST`] on.
pub const FIRST: i32 = 10;
/// How many there are.
pub const FILES: i32 = 15;

/// Messages of a panic go here: standard error is not one of the thread's descriptors.
const SPEAKER: i32 = 900;
/// Bytes of the longest file that an input may make.
const LONGEST: u64 = 16 << 20;

/// Who is called back when a call takes longer than any should.
const TOO_LONG: Duration = Duration::from_millis(50);

struct Thread {
    work: Sender<(Target, Vec<u8>)>,
    done: Receiver<()>,
}

/// Runs a target once.
///
/// # Errors
/// A sentence: why there can be no such thread here.
pub fn run(target: Target, data: &[u8]) -> Result<(), String> {
    static THREAD: OnceLock<Result<Mutex<Thread>, String>> = OnceLock::new();
    let thread = THREAD.get_or_init(|| start().map(Mutex::new)).as_ref().map_err(Clone::clone)?;
    let thread = thread.lock().unwrap_or_else(|e| e.into_inner());
    thread.work.send((target, data.to_vec())).map_err(|_| "it has ended".to_owned())?;
    thread.done.recv().map_err(|_| "it has ended".to_owned())
}

fn start() -> Result<Thread, String> {
    let (work, inputs) = channel::<(Target, Vec<u8>)>();
    let (finished, done) = channel();
    let (tell, ready) = channel();
    std::thread::spawn(move || {
        let entered = enter().map_err(|(what, e)| format!("{what}: {e}"));
        let well = entered.is_ok();
        let _ = tell.send(entered);
        if !well {
            return;
        }
        for (target, data) in inputs {
            memory::renew();
            furnish();
            target(&mut Input::new(&data));
            clear();
            if finished.send(()).is_err() {
                return;
            }
        }
    });
    ready.recv().map_err(|_| "its thread has ended".to_owned())??;
    Ok(Thread { work, done })
}

type Step = (&'static str, io::Error);

/// Leaves the world of the process.
fn enter() -> Result<(), Step> {
    let check = |what, failed: bool| match failed {
        true => Err((what, io::Error::last_os_error())),
        false => Ok(()),
    };
    let scratch = std::env::temp_dir();
    let scratch = CString::new(scratch.into_os_string().into_encoded_bytes())
        .map_err(|e| ("the temporary directory", e.into()))?;
    // SAFETY: each call is given numbers, and strings and structures that outlive it. They change
    // this thread alone: it shares neither file system nor descriptors with the others any more.
    unsafe {
        let apart = libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_NEWNS | libc::CLONE_NEWNET;
        check("unshare", libc::unshare(apart | libc::CLONE_NEWIPC) != 0)?;
        let none = std::ptr::null();
        let private = libc::MS_REC | libc::MS_PRIVATE;
        let root = c"/".as_ptr();
        check("mount", libc::mount(none, root, none, private, none.cast()) != 0)?;
        let (kind, size) = (c"tmpfs".as_ptr(), c"size=16m,mode=777".as_ptr());
        check("mount", libc::mount(kind, scratch.as_ptr(), kind, 0, size.cast()) != 0)?;
        check("chdir", libc::chdir(scratch.as_ptr()) != 0)?;
        check("chroot", libc::chroot(c".".as_ptr()) != 0)?;
        check("dup", libc::dup2(2, SPEAKER) < 0)?;
        libc::close_range(0, SPEAKER as u32 - 1, 0);
        // Also of what lies in memory, which no size of a file system holds back.
        let most = libc::rlimit { rlim_cur: LONGEST, rlim_max: LONGEST };
        check("setrlimit", libc::setrlimit(libc::RLIMIT_FSIZE, &raw const most) != 0)?;
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        // Of this thread alone, which libc's own calls are not.
        check("setgroups", libc::syscall(libc::SYS_setgroups, 0, none) != 0)?;
        check("setresgid", libc::syscall(libc::SYS_setresgid, 65534, 65534, 65534) != 0)?;
        check("setresuid", libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) != 0)?;
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }
    std::panic::set_hook(Box::new(|panic| {
        let said = format!("{panic}\n");
        for speaker in [SPEAKER, 2] {
            // SAFETY: bytes that are there.
            unsafe { libc::write(speaker, said.as_ptr().cast(), said.len()) };
        }
        std::process::abort();
    }));
    call_back();
    Ok(())
}

/// A wait without an end is what an input may ask for. A signal ends it.
fn call_back() {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: the handler touches nothing; the ids are those of this thread, which stays.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as usize;
        libc::sigaction(libc::SIGUSR2, &raw const action, std::ptr::null_mut());
        let (process, thread) = (libc::getpid(), libc::gettid());
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(TOO_LONG);
                libc::syscall(libc::SYS_tgkill, process, thread, libc::SIGUSR2);
            }
        });
    }
}

/// Opens what inputs can name. It belongs to one input: what that did with it ends there.
fn furnish() {
    let place = |fd: i32, at: i32| {
        assert!((0..FIRST).contains(&fd), "{}", io::Error::last_os_error());
        // SAFETY: numbers.
        unsafe {
            libc::dup2(fd, FIRST + at);
            libc::close(fd);
        }
    };
    // SAFETY: strings and arrays that outlive the calls.
    unsafe {
        for _ in 0..3 {
            // The numbers of standard input and output: nothing of value is there.
            libc::memfd_create(c"standard".as_ptr(), 0);
        }
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;
        place(libc::open(c"file".as_ptr(), flags, 0o600), 0);
        place(libc::open(c"file".as_ptr(), libc::O_WRONLY | libc::O_APPEND), 1);
        place(libc::open(c"/".as_ptr(), libc::O_DIRECTORY), 2);
        place(libc::memfd_create(c"memory".as_ptr(), 0), 3);
        place(libc::eventfd(0, 0), 4);
        place(libc::epoll_create1(0), 5);
        place(libc::timerfd_create(libc::CLOCK_MONOTONIC, 0), 6);
        let mut pair = [0; 2];
        libc::pipe(pair.as_mut_ptr());
        place(pair[0], 7);
        place(pair[1], 8);
        for (at, kind) in [(9, libc::SOCK_STREAM), (11, libc::SOCK_DGRAM)] {
            libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr());
            place(pair[0], at);
            place(pair[1], at + 1);
        }
        place(libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0), 13);
        let listens = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0);
        libc::listen(listens, 4);
        place(listens, 14);
    }
}

/// Closes what an input has opened, and what was opened for it.
fn clear() {
    // SAFETY: no descriptor below the speaker's is ours.
    unsafe { libc::close_range(0, SPEAKER as u32 - 1, 0) };
    // SAFETY: a string.
    unsafe { libc::unlink(c"file".as_ptr()) };
}
