//! The questions, and what each answer means.

use std::env;
use std::io;
use std::mem;
use std::path::Path;
use std::ptr;

use sysring_refuse::Filter;

use super::{Check, Findings, Status};
use crate::isolated::{self, Answer, Refusal};
use crate::kernel::{self, Support};
use crate::run::limit;

/// Looks at everything.
pub fn all() -> io::Result<Findings> {
    let io_uring = io_uring()?;
    let seccomp = seccomp()?;
    let engine = match (io_uring.status, seccomp.status) {
        (Status::Yes, _) => "kernel",
        (_, Status::Yes) => "user",
        _ => "none",
    };
    let mut checks = vec![
        system(),
        surroundings(),
        io_uring,
        seccomp,
        no_new_privs(),
        aio()?,
        rwf_nowait()?,
        openat2()?,
        resolve_cached()?,
        process_vm_readv()?,
        epoll_pwait2()?,
        futex_waitv()?,
        descriptors(),
        threads(),
    ];
    if kernel::is_gvisor() {
        // What it lacks is not for its user to change.
        for check in checks.iter_mut().filter(|check| check.status == Status::No) {
            check.advice = check.advice.take().filter(|_| check.name == "io_uring");
        }
    }
    Ok(Findings { version: env!("CARGO_PKG_VERSION"), engine, checks })
}

fn system() -> Check {
    // SAFETY: asks for a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    machine(&kernel::release(), page)
}

fn machine(release: &str, page: libc::c_long) -> Check {
    const SUPPORTED: libc::c_long = 4096;
    let found = format!("Linux {release} on {}, pages of {} KiB", env::consts::ARCH, page / 1024);
    let fits = page == SUPPORTED;
    Check {
        name: "kernel",
        status: if fits { Status::Info } else { Status::Limited },
        found,
        uses: None,
        advice: (!fits).then(|| "sysring's engine is made for a kernel with pages of 4 KiB".into()),
    }
}

fn surroundings() -> Check {
    let mut hints = Vec::new();
    if kernel::is_gvisor() {
        hints.push("gVisor".to_owned());
    }
    if Path::new("/.dockerenv").exists() {
        hints.push("a Docker container".to_owned());
    }
    if Path::new("/run/.containerenv").exists() {
        hints.push("a Podman container".to_owned());
    }
    if env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        hints.push("Kubernetes".to_owned());
    }
    if let Some(kind) = env::var_os("container") {
        hints.push(format!("a container ({})", kind.display()));
    }
    if kernel::is_served() {
        hints.push("sysring run".to_owned());
    }
    Check {
        name: "surroundings",
        status: Status::Info,
        found: if hints.is_empty() { "no sign of a container".into() } else { hints.join(", ") },
        uses: None,
        advice: None,
    }
}

fn io_uring() -> io::Result<Check> {
    Ok(match kernel::probe()? {
        Support::Works if kernel::is_served() => Check {
            name: "io_uring",
            status: Status::Info,
            found: format!("served by sysring, with {} operations", kernel::operations()?),
            uses: Some("the engine that serves this process already".into()),
            advice: None,
        },
        Support::Works => Check {
            name: "io_uring",
            status: Status::Yes,
            found: format!("works, with {} operations", kernel::operations()?),
            uses: Some("the kernel's io_uring, without sysring in between".into()),
            advice: None,
        },
        Support::Refused(cause) => Check {
            name: "io_uring",
            status: Status::No,
            found: cause.to_string(),
            uses: Some("sysring's engine, in userspace".into()),
            advice: Some(cause.advice().into()),
        },
    })
}

/// May a process filter its own calls? The engine is reached by such a filter.
fn seccomp() -> io::Result<Check> {
    /// A number that no architecture uses, so that the filter refuses nothing real.
    const NO_CALL: u32 = 0x0fff_ffff;
    let filter = Filter::refusing(&[NO_CALL], libc::ENOSYS as u16);
    let installed = isolated::ask_errno(|| filter.install())?;
    Ok(match installed.errno() {
        Ok(()) => Check {
            name: "seccomp",
            status: Status::Yes,
            found: match kernel::status_field("Seccomp_filters").as_deref() {
                None | Some("0") => "filters can be installed".into(),
                Some("1") => "filters can be installed; one is active already".into(),
                Some(count) => format!("filters can be installed; {count} are active already"),
            },
            uses: Some("a filter that hands the io_uring calls to the engine".into()),
            advice: None,
        },
        Err(refusal) => Check {
            name: "seccomp",
            status: Status::No,
            found: format!("filters cannot be installed: {}", describe(refusal)),
            uses: Some("nothing: the engine cannot be reached by unmodified programs".into()),
            advice: Some(
                "allow seccomp(2) and prctl(2) in the sandbox; the kernel needs \
                 CONFIG_SECCOMP_FILTER"
                    .into(),
            ),
        },
    })
}

fn no_new_privs() -> Check {
    let set = kernel::status_field("NoNewPrivs").as_deref() == Some("1");
    Check {
        name: "no_new_privs",
        status: Status::Info,
        found: if set { "set already" } else { "not set" }.into(),
        uses: (!set).then(|| "the engine sets it: set-uid programs do not gain privileges".into()),
        advice: None,
    }
}

fn aio() -> io::Result<Check> {
    let setup = isolated::ask_errno(|| {
        let mut context: libc::c_ulong = 0;
        // SAFETY: writes the id of a context into a local; the child's exit frees it.
        result(unsafe { libc::syscall(libc::SYS_io_setup, 1, &mut context) })
    })?;
    let most = kernel::read_number("/proc/sys/fs/aio-max-nr");
    let used = kernel::read_number("/proc/sys/fs/aio-nr");
    let counts = match (most, used) {
        (Some(most), Some(used)) => {
            format!("; {} of aio-max-nr = {most} events are left", most.saturating_sub(used))
        }
        _ => String::new(),
    };
    Ok(match setup.errno() {
        Ok(()) => Check {
            name: "aio",
            status: Status::Yes,
            found: format!("kernel AIO works{counts}"),
            uses: Some("kernel AIO for O_DIRECT files".into()),
            advice: None,
        },
        Err(refusal) => Check {
            name: "aio",
            status: Status::No,
            found: format!("kernel AIO is refused: {}{counts}", describe(refusal)),
            uses: Some("worker threads for O_DIRECT files, which is slower".into()),
            advice: Some(match refusal {
                Refusal::Errno(libc::EAGAIN) => "as root: raise sysctl fs.aio-max-nr".into(),
                _ => "allow io_setup, io_submit, io_getevents and io_destroy in the sandbox".into(),
            }),
        },
    })
}

/// gVisor takes RWF_NOWAIT and blocks all the same. It shows by another flag: one that does not
/// exist, which Linux refuses and gVisor ignores.
fn rwf_nowait() -> io::Result<Check> {
    const NO_SUCH_FLAG: libc::c_int = 0x4000_0000;
    let read = isolated::ask_errno(|| {
        let mut pipe = [0; 2];
        // SAFETY: writes two descriptors into a local; the child's exit closes them.
        result(unsafe { libc::pipe(pipe.as_mut_ptr()) }.into())?;
        // SAFETY: writes from a constant of that length.
        result(unsafe { libc::write(pipe[1], b"x".as_ptr().cast(), 1) } as libc::c_long)?;
        let mut byte = 0u8;
        let vector = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        // SAFETY: reads into a local of that length. Not libc's function: it works around errors.
        result(unsafe {
            libc::syscall(libc::SYS_preadv2, pipe[0], &vector, 1, -1i64, 0i64, NO_SUCH_FLAG)
        })
    })?;
    Ok(match read.errno() {
        Err(Refusal::Errno(libc::EOPNOTSUPP | libc::EINVAL)) => Check {
            name: "rwf_nowait",
            status: Status::Yes,
            found: "honest: unknown flags of preadv2 are refused".into(),
            uses: Some("RWF_NOWAIT, to try a read or write without blocking".into()),
            advice: None,
        },
        Ok(()) => Check {
            name: "rwf_nowait",
            status: Status::No,
            found: "taken and ignored: a read may block (gVisor does this)".into(),
            uses: Some(
                "readiness, then a worker; files are read by the caller, who may wait".into(),
            ),
            advice: None,
        },
        Err(refusal) => Check {
            name: "rwf_nowait",
            status: Status::No,
            found: format!("preadv2 is refused: {}", describe(refusal)),
            uses: Some(missing(
                refusal,
                "readiness, then preadv or pwritev by a worker; requests with RWF_* flags fail",
                "nothing in its place: reads and writes answer as preadv2 and pwritev2 do, but for \
                 O_DIRECT files, which kernel AIO serves",
            )),
            advice: Some(match refusal {
                Refusal::Errno(libc::ENOSYS) => {
                    "a kernel of version 4.6 or newer, or preadv2 and pwritev2 allowed in the \
                     sandbox"
                        .into()
                }
                _ => "allow preadv2 and pwritev2 in the sandbox".into(),
            }),
        },
    })
}

/// What there is without a call. Absent is one that answers `ENOSYS`, and another may take its place;
/// a call that is refused with anything else stays refused.
fn missing(refusal: Refusal, absent: &str, refused: &str) -> String {
    match refusal {
        Refusal::Errno(libc::ENOSYS) => absent.to_owned(),
        Refusal::Errno(_) => refused.to_owned(),
        Refusal::Signal(_) => "nothing: the first request that needs it ends the process".into(),
    }
}

fn open_root(resolve: u64) -> io::Result<Answer> {
    isolated::ask_errno(|| {
        // SAFETY: an all-zero open_how is a valid one.
        let mut how: libc::open_how = unsafe { mem::zeroed() };
        how.flags = (libc::O_PATH | libc::O_CLOEXEC) as u64;
        how.resolve = resolve;
        // SAFETY: a C string and a structure of the size that is passed.
        result(unsafe {
            libc::syscall(
                libc::SYS_openat2,
                libc::AT_FDCWD,
                c"/".as_ptr(),
                &how,
                size_of::<libc::open_how>(),
            )
        })
    })
}

fn openat2() -> io::Result<Check> {
    Ok(call_check(
        "openat2",
        open_root(0)?,
        "openat2, for OPENAT2 and to see beforehand whether a file opens without waiting",
        [
            "openat, by a worker thread; an OPENAT2 that asks for a way of resolving answers ENOSYS",
            "openat, by a worker thread, for OPENAT alone: OPENAT2 answers as openat2 does",
        ],
        "a kernel of version 5.6 or newer, or openat2 allowed in the sandbox",
    ))
}

fn resolve_cached() -> io::Result<Check> {
    const RESOLVE_CACHED: &str = "RESOLVE_CACHED, to try an open without blocking";
    Ok(match open_root(libc::RESOLVE_CACHED)? {
        // Not cached is an answer, too.
        Answer::Number(errno) if i32::from(errno) == libc::EAGAIN => {
            call_check("resolve_cached", Answer::Number(0), RESOLVE_CACHED, [""; 2], "")
        }
        answer => call_check(
            "resolve_cached",
            answer,
            RESOLVE_CACHED,
            ["worker threads, to open files"; 2],
            "a kernel of version 5.12 or newer",
        ),
    })
}

fn process_vm_readv() -> io::Result<Check> {
    let read = isolated::ask_errno(|| {
        let source = 7u8;
        let mut target = 0u8;
        let local = libc::iovec { iov_base: (&raw mut target).cast(), iov_len: 1 };
        let remote = libc::iovec { iov_base: (&raw const source).cast_mut().cast(), iov_len: 1 };
        // SAFETY: reads one local into another.
        result(unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) }
            as libc::c_long)
    })?;
    Ok(call_check(
        "process_vm_readv",
        read,
        "process_vm_readv, to copy from addresses that may be bad",
        ["a pipe, to copy from addresses that may be bad: slower"; 2],
        "allow process_vm_readv and process_vm_writev in the sandbox",
    ))
}

fn epoll_pwait2() -> io::Result<Check> {
    let wait = isolated::ask_errno(|| {
        // SAFETY: makes a descriptor; the child's exit closes it.
        let epoll = unsafe { libc::epoll_create1(0) };
        result(epoll.into())?;
        // SAFETY: an all-zero event is a valid one to be filled in.
        let mut event: libc::epoll_event = unsafe { mem::zeroed() };
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: room for one event, and a timeout; no mask.
        result(unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                epoll,
                &mut event,
                1,
                &now,
                ptr::null::<libc::sigset_t>(),
                0,
            )
        })
    })?;
    Ok(call_check(
        "epoll_pwait2",
        wait,
        "epoll_pwait2, to wait",
        ["ppoll and epoll_wait, to wait: two calls"; 2],
        "a kernel of version 5.11 or newer",
    ))
}

fn futex_waitv() -> io::Result<Check> {
    let wait = isolated::ask_errno(|| {
        // SAFETY: no address is passed. Where the call exists, it refuses to wait for none.
        match result(unsafe {
            libc::syscall(libc::SYS_futex_waitv, ptr::null::<u8>(), 0, 0, ptr::null::<u8>(), 0)
        }) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            other => other,
        }
    })?;
    Ok(call_check(
        "futex_waitv",
        wait,
        "futex_waitv, for FUTEX_WAITV",
        [
            "FUTEX_WAIT where FUTEX_WAITV has one word; with more it answers EOPNOTSUPP",
            "nothing in its place: FUTEX_WAITV answers as futex_waitv does",
        ],
        "a kernel of version 5.16 or newer, or futex_waitv allowed in the sandbox",
    ))
}

/// A call that is there or not: what it is used for, and what is done without it where it is absent,
/// and where it is refused.
fn call_check(
    name: &'static str,
    answer: Answer,
    with: &str,
    [absent, refused]: [&str; 2],
    advice: &str,
) -> Check {
    match answer.errno() {
        Ok(()) => Check {
            name,
            status: Status::Yes,
            found: "available".into(),
            uses: Some(with.into()),
            advice: None,
        },
        Err(refusal) => Check {
            name,
            status: Status::No,
            found: format!("refused: {}", describe(refusal)),
            uses: Some(missing(refusal, absent, refused)),
            advice: Some(advice.into()),
        },
    }
}

fn descriptors() -> Check {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes into a local.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    let floor = sysring_engine::descriptors::FLOOR.raw();
    let enough = limit::ENOUGH;
    let (status, advice) = if limit.rlim_max >= enough {
        (Status::Info, None)
    } else {
        (Status::Limited, Some(format!("as root: raise the hard limit (ulimit -Hn) to {enough}")))
    };
    Check {
        name: "descriptors",
        status,
        found: describe_limit(&limit),
        uses: Some(format!(
            "numbers from {floor} up for the engine; `run` raises a limit below {enough}"
        )),
        advice,
    }
}

fn threads() -> Check {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes into a local.
    unsafe { libc::getrlimit(libc::RLIMIT_NPROC, &mut limit) };
    Check {
        name: "threads",
        status: Status::Info,
        found: describe_limit(&limit),
        uses: None,
        advice: None,
    }
}

fn describe_limit(limit: &libc::rlimit) -> String {
    let number = |n| match n {
        libc::RLIM_INFINITY => "unlimited".to_owned(),
        n => n.to_string(),
    };
    format!("limit {}, hard limit {}", number(limit.rlim_cur), number(limit.rlim_max))
}

fn describe(refusal: Refusal) -> String {
    match refusal {
        Refusal::Errno(errno) => kernel::errno_name(errno),
        Refusal::Signal(signal) => format!("signal {signal} kills the caller"),
    }
}

fn result(returned: libc::c_long) -> io::Result<()> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_pages_are_no_place_for_the_engine() {
        let usual = machine("6.1.0", 4096);
        assert!(usual.status == Status::Info && usual.advice.is_none());
        let large = machine("6.1.0", 65536);
        assert!(large.found.ends_with("pages of 64 KiB") && large.status == Status::Limited);
        assert!(large.advice.is_some_and(|advice| advice.contains("4 KiB")));
    }
}
