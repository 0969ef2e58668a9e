//! What rings are limited to: by filters, for all rings to come, and by the process.

use std::ffi::CString;

use sysring::{
    Abilities, Engine, Errno, Fd, Field, Filter, Limit, Reason, Restrictions, Ring, op, task,
};

use crate::common::{both, ring, run};

const AF_UNIX: i32 = 1;
const AF_INET: i32 = 2;
const SOCK_STREAM: i32 = 1;
const SOCK_DGRAM: i32 = 2;

/// Registers a filter; whether that is known.
fn filter(ring: &Ring, filter: &Filter) -> bool {
    match ring.register().filter(filter) {
        Ok(()) => true,
        Err(Errno::EINVAL) if ring.report().is_kernel() => {
            println!("skipped: filters are not known, {}", ring.report());
            false
        }
        Err(error) => panic!("{filter:?}: {error}"),
    }
}

/// Makes a socket; the errno, if there is none.
fn socket(ring: &mut Ring, family: i32, kind: i32) -> Result<(), Errno> {
    let number = run(ring, op::Socket::new(family, kind, 0))?;
    run(ring, op::Close::new(Fd::new(number as i32))).map(drop)
}

#[test]
fn sockets_are_filtered_by_what_they_are() {
    both(|engine| {
        let mut ring = ring(engine);
        let streams =
            Filter::new(op::Socket::CODE).one_of(Field::SOCKET_TYPE, &[1, 1 | 0o2_000_000]);
        if !filter(&ring, &streams) {
            return;
        }
        assert_eq!(socket(&mut ring, AF_UNIX, SOCK_STREAM), Ok(()));
        assert_eq!(socket(&mut ring, AF_INET, SOCK_STREAM), Ok(()));
        assert_eq!(socket(&mut ring, AF_UNIX, SOCK_DGRAM), Err(Errno::EACCES));
        // A second one must let it pass, too.
        let local = Filter::new(op::Socket::CODE).one_of(Field::SOCKET_FAMILY, &[AF_UNIX as u32]);
        assert!(filter(&ring, &local.without(Field::SOCKET_PROTOCOL, !0)));
        assert_eq!(socket(&mut ring, AF_UNIX, SOCK_STREAM), Ok(()));
        assert_eq!(socket(&mut ring, AF_INET, SOCK_STREAM), Err(Errno::EACCES));
        assert_eq!(socket(&mut ring, AF_UNIX, SOCK_DGRAM), Err(Errno::EACCES));
        // The others are as they were, until they are denied.
        assert_eq!(run(&mut ring, op::Nop::new()), Ok(0));
        assert!(filter(&ring, &Filter::new(op::Nop::CODE).deny_rest()));
        assert_eq!(run(&mut ring, op::Nop::new()), Ok(0));
        assert_eq!(run(&mut ring, op::Close::new(Fd::new(9999))), Err(Errno::EACCES));
        assert!(filter(&ring, &Filter::deny(op::Nop::CODE)));
        assert_eq!(run(&mut ring, op::Nop::new()), Err(Errno::EACCES));
    });
}

#[test]
fn files_are_opened_as_the_filter_allows() {
    both(|engine| {
        let mut ring = ring(engine);
        const WRITES: u64 = 3 | 0o100;
        let reads = Filter::new(op::OpenAt::CODE)
            .without(Field::OPEN_FLAGS, WRITES | 1 << 40)
            .one_of(Field::OPEN_MODE, &[0]);
        if !filter(&ring, &reads) {
            return;
        }
        let path = CString::new("/dev/null").unwrap();
        let mut open = |flags, mode| {
            let open = op::OpenAt::new(Fd::CWD, path.as_ptr().cast()).open_flags(flags);
            let number = run(&mut ring, open.mode(mode))?;
            run(&mut ring, op::Close::new(Fd::new(number as i32)))
        };
        assert_eq!(open(0, 0), Ok(0));
        assert_eq!(open(1, 0), Err(Errno::EACCES));
        assert_eq!(open(2, 0), Err(Errno::EACCES));
        assert_eq!(open(0o100, 0o600), Err(Errno::EACCES));
    });
}

#[test]
fn what_an_operation_does_not_tell_is_not_filtered() {
    let ring = ring(Engine::User);
    let nop = Filter::new(op::Nop::CODE);
    let wrong = nop.one_of(Field::SOCKET_TYPE, &[1]);
    assert_eq!(ring.register().filter(&wrong), Err(Errno::EMSGSIZE));
    let short = Filter::new(op::Socket::CODE).one_of(Field::SOCKET_FAMILY, &[2]);
    assert_eq!(ring.register().filter(&short.strict()), Err(Errno::EMSGSIZE));
    assert_eq!(ring.register().filter(&short), Ok(()));
    let none = Filter::new(200);
    assert_eq!(ring.register().filter(&none), Err(Errno::EINVAL));
    assert_eq!(ring.register().filter(&nop.strict()), Ok(()));
}

#[test]
#[should_panic = "more than 64 instructions"]
fn a_filter_has_an_end() {
    let _ = Filter::new(op::Socket::CODE).one_of(Field::SOCKET_TYPE, &[7; 62]);
}

/// What a child ends with that cannot find out here.
const SKIPPED: i32 = 77;

/// In a child, which is limited for good, and answers `None` where nothing limits.
fn in_a_child(test: fn(Engine) -> Result<Option<()>, String>, engine: Engine) {
    // SAFETY: the child is alone with what it does, and exits.
    match unsafe { libc::fork() } {
        0 => {
            let status = match test(engine) {
                Ok(Some(())) => 0,
                Ok(None) => SKIPPED,
                Err(failed) => {
                    eprintln!("in the child: {failed}");
                    1
                }
            };
            // SAFETY: the end of the child.
            unsafe { libc::_exit(status) }
        }
        child => {
            let mut status = -1;
            // SAFETY: room for the status.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert!(libc::WIFEXITED(status), "on {engine:?}: {status:#x}");
            match libc::WEXITSTATUS(status) {
                SKIPPED => println!("skipped: on {engine:?}: no such limit here"),
                status => assert_eq!(status, 0, "on {engine:?}"),
            }
        }
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, is: T, shall: T) -> Result<(), String> {
    if is == shall { Ok(()) } else { Err(format!("{what}: {is:?}, not {shall:?}")) }
}

#[test]
fn all_rings_to_come_are_limited() {
    for engine in [Engine::Kernel, Engine::User, Engine::Auto] {
        in_a_child(limited, engine);
    }
}

fn limited(engine: Engine) -> Result<Option<()>, String> {
    const RULES: Restrictions<4> = Restrictions::new()
        .operation(op::Nop::CODE)
        .operation(op::Socket::CODE)
        .operation(op::Close::CODE)
        .flags(0);
    let serves = if engine == Engine::Auto { Engine::User } else { engine };
    let make = || Ring::builder().engine(serves).build(4).map_err(|error| error.to_string());
    let mut before = match make() {
        Ok(ring) => ring,
        Err(_) if engine == Engine::Kernel => return Ok(None),
        Err(error) => return Err(error),
    };
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    match task::restrict(&RULES, engine) {
        Err(Errno::EINVAL | Errno::EBADF) if engine != Engine::User => return Ok(None),
        answer => expect("restricted", answer, Ok(()))?,
    }
    let sockets = Filter::new(op::Socket::CODE).one_of(Field::SOCKET_TYPE, &[1]);
    expect("filtered", task::filter(&sockets, engine), Ok(()))?;
    let mut ring = make()?;
    expect("a nop", run(&mut ring, op::Nop::new()), Ok(0))?;
    expect("a drained nop", run(&mut ring, op::Nop::new().build().drain()), Err(Errno::EACCES))?;
    expect("a stream", socket(&mut ring, AF_INET, SOCK_STREAM), Ok(()))?;
    expect("datagrams", socket(&mut ring, AF_INET, SOCK_DGRAM), Err(Errno::EACCES))?;
    let sync = || op::Fsync::new(Fd::new(0));
    expect("not named", run(&mut ring, sync()), Err(Errno::EACCES))?;
    expect("of a kind that is not named", ring.register().files_sparse(4), Ok(()))?;
    expect("as before", socket(&mut before, AF_INET, SOCK_DGRAM), Ok(()))?;
    expect("twice", task::restrict(&RULES, engine), Err(Errno::EPERM)).map(Some)
}

#[test]
fn abilities_are_those_that_a_ring_has() {
    both(|engine| {
        let abilities = match Abilities::of(engine) {
            Ok(abilities) => abilities,
            Err(Errno::EINVAL | Errno::EBADF) => return println!("skipped: before Linux 6.18"),
            Err(error) => panic!("{error}"),
        };
        let ring = ring(engine);
        assert_eq!(abilities.features(), u64::from(ring.report().features()));
        let known = ring.register().operations().unwrap();
        assert!(known.iter().all(|code| u32::from(code) < abilities.operations()));
        assert!(abilities.registrations() > 35 && abilities.enter_flags() & 1 != 0);
        let flags = abilities.setup_flags();
        assert!(flags & 1 << 13 != 0, "DEFER_TASKRUN is older: {flags:x}");
        assert_eq!(abilities.entry_flags() & 0x7f, 0x7f);
    });
}

/// Sets a limit of the process, both of it.
fn set_limit(resource: u32, to: u64) {
    let limit = libc::rlimit { rlim_cur: to, rlim_max: to };
    // SAFETY: reads the structure.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}

#[test]
fn what_has_run_out_is_told() {
    for engine in [Engine::Kernel, Engine::User] {
        in_a_child(without_descriptors, engine);
    }
    for engine in [Engine::Kernel, Engine::Auto] {
        in_a_child(without_locked_memory, engine);
    }
}

fn without_descriptors(engine: Engine) -> Result<Option<()>, String> {
    if engine == Engine::Kernel && Ring::builder().engine(engine).build(4).is_err() {
        return Ok(None);
    }
    set_limit(libc::RLIMIT_NOFILE, 3);
    let error = Ring::builder().engine(engine).build(4).err().ok_or("there is a descriptor")?;
    expect("the error", error.errno(), Errno::EMFILE)?;
    let above = if engine == Engine::User { Some(960) } else { None };
    expect("the limit", error.limit(), Some(Limit::OpenFiles { limit: 3, above }))?;
    expect("as text", error.to_string().ends_with("limit on open files is 3 (ulimit -n)"), true)
        .map(Some)
}

fn without_locked_memory(engine: Engine) -> Result<Option<()>, String> {
    // SAFETY: numbers only. The capability to lock what one likes goes with the user.
    unsafe {
        libc::setgid(65534);
        libc::setuid(65534);
    }
    if Ring::builder().engine(Engine::Kernel).build(4).is_err() {
        return Ok(None);
    }
    set_limit(libc::RLIMIT_MEMLOCK, 0);
    match Ring::builder().engine(engine).build(4) {
        // Nothing is counted.
        Ok(ring) if ring.report().is_kernel() => Ok(None),
        Ok(ring) => {
            let reason = Reason::SetupRefused { errno: Errno::ENOMEM };
            expect("the reason", ring.report().reason(), reason).map(Some)
        }
        Err(error) if engine == Engine::Kernel => {
            expect("the limit", error.limit(), Some(Limit::LockedMemory { limit: 0 })).map(Some)
        }
        Err(error) => Err(error.to_string()),
    }
}
