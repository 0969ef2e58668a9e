//! Unmodified clients, where io_uring is refused, after `install`.
//!
//! Filters are for good, so every test runs in a process of its own: the test program starts
//! itself again with the test's name, inside an outer filter.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use io_uring::{IoUring, opcode, types};
use sysring::{InstallError, Installed, Ring, op};

const INSIDE: &str = "SYSRING_TEST_INSIDE";

/// Runs `test` inside a filter that answers the three calls with `errno`.
fn refused(name: &str, errno: i32, test: fn()) {
    if std::env::var(INSIDE).as_deref() == Ok(name) {
        return test();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(INSIDE, name);
    // SAFETY: only system calls, on memory of the closure.
    unsafe { command.pre_exec(move || refuse_io_uring(errno)) };
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn refuse_io_uring(errno: i32) -> std::io::Result<()> {
    let instruction = |code: u16, jt: u8, jf: u8, k: u32| libc::sock_filter { code, jt, jf, k };
    let filter = [
        instruction(0x20, 0, 0, 0),
        instruction(0x35, 0, 2, 425),
        instruction(0x25, 1, 0, 427),
        instruction(0x06, 0, 0, 0x0005_0000 | errno as u32),
        instruction(0x06, 0, 0, 0x7fff_0000),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the program is live during the call.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
    };
    if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

fn install() {
    assert!(IoUring::new(2).is_err(), "the outer filter lets io_uring through");
    assert_eq!(sysring::install(), Ok(Installed::User));
    assert_eq!(sysring::install(), Ok(Installed::User));
}

fn with_the_io_uring_crate() {
    install();
    let mut ring = IoUring::new(8).unwrap();

    let nops: Vec<_> = (0..8).map(|i| opcode::Nop::new().build().user_data(i)).collect();
    // SAFETY: NOPs use no memory.
    unsafe { ring.submission().push_multiple(&nops).unwrap() };
    assert_eq!(ring.submit_and_wait(8).unwrap(), 8);
    let seen: Vec<u64> = ring.completion().map(|c| c.user_data()).collect();
    assert_eq!(seen, (0..8).collect::<Vec<u64>>());

    let path = std::env::temp_dir().join(format!("sysring-install-{}", std::process::id()));
    let mut file =
        std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(b"read by the kernel").unwrap();
    let mut buffer = [0u8; 64];
    let fd = types::Fd(file.as_raw_fd());
    let write = opcode::Write::new(fd, b"engine".as_ptr(), 6).offset(12).build();
    let read = opcode::Read::new(fd, buffer.as_mut_ptr(), 64).offset(0).build();
    // SAFETY: buffer and file outlive the operations, which are waited for.
    unsafe {
        ring.submission()
            .push_multiple(&[write.flags(io_uring::squeue::Flags::IO_LINK), read.user_data(1)])
            .unwrap();
    }
    ring.submit_and_wait(2).unwrap();
    let results: Vec<i32> = ring.completion().map(|c| c.result()).collect();
    assert_eq!(results, [6, 18]);
    assert_eq!(&buffer[..18], b"read by the engine");
    let mut after = String::new();
    std::io::Seek::rewind(&mut file).unwrap();
    file.read_to_string(&mut after).unwrap();
    assert_eq!(after, "read by the engine");
}

#[test]
fn the_io_uring_crate_works_where_io_uring_is_not_permitted() {
    refused(
        "the_io_uring_crate_works_where_io_uring_is_not_permitted",
        libc::EPERM,
        with_the_io_uring_crate,
    );
}

#[test]
fn the_io_uring_crate_works_where_io_uring_does_not_exist() {
    refused(
        "the_io_uring_crate_works_where_io_uring_does_not_exist",
        libc::ENOSYS,
        with_the_io_uring_crate,
    );
}

#[test]
fn tokio_uring_serves_tcp() {
    refused("tokio_uring_serves_tcp", libc::EPERM, || {
        install();
        tokio_uring::start(async {
            let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
            let listener = tokio_uring::net::TcpListener::bind(address).unwrap();
            let address = listener.local_addr().unwrap();
            let client = std::thread::spawn(move || client(address));
            for _ in 0..CONNECTIONS {
                let (stream, _) = listener.accept().await.unwrap();
                tokio_uring::spawn(echo(stream));
            }
            // The client is done when every connection has been echoed and closed.
            while !client.is_finished() {
                tokio_uring::spawn(tokio_uring::no_op()).await.unwrap().unwrap();
                std::thread::yield_now();
            }
            client.join().unwrap();
        });
    });
}

const CONNECTIONS: usize = 8;

async fn echo(stream: tokio_uring::net::TcpStream) {
    let mut buffer = vec![0u8; 4096];
    loop {
        let (read, filled) = stream.read(buffer).await;
        let n = read.unwrap();
        if n == 0 {
            return;
        }
        use tokio_uring::buf::BoundedBuf;
        let (written, slice) = stream.write_all(filled.slice(..n)).await;
        written.unwrap();
        buffer = slice.into_inner();
    }
}

fn client(address: SocketAddr) {
    let mut streams: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
    for round in 0..50u8 {
        for (i, stream) in streams.iter_mut().enumerate() {
            let message = vec![round ^ i as u8; 1 + 100 * i];
            stream.write_all(&message).unwrap();
            let mut answer = vec![0; message.len()];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer, message);
        }
    }
}

#[test]
fn children_see_the_machine_as_it_is() {
    refused("children_see_the_machine_as_it_is", libc::EPERM, || {
        install();
        // Every way in which std starts children, and threads that start them.
        let children = || {
            for _ in 0..10 {
                let output = Command::new("sh").args(["-c", "echo $0; exit 3"]).output().unwrap();
                assert_eq!((output.status.code(), output.stdout), (Some(3), b"sh\n".to_vec()));
                let mut forked = Command::new("true");
                // SAFETY: does nothing; std forks where there is something to run before exec.
                unsafe { forked.pre_exec(|| Ok(())) };
                assert!(forked.status().unwrap().success());
            }
        };
        children();
        std::thread::spawn(children).join().unwrap();
    });
}

/// How this thread's children are executed; answers how they were so far.
fn personality(persona: libc::c_ulong) -> std::io::Result<libc::c_ulong> {
    // SAFETY: changes nothing that is mapped already.
    match unsafe { libc::personality(persona) } {
        -1 => Err(std::io::Error::last_os_error()),
        before => Ok(before as libc::c_ulong),
    }
}

/// Without randomisation a child's libraries lie among those of its parent's.
#[test]
fn children_whose_code_lies_where_their_parents_lay_live() {
    const NAME: &str = "children_whose_code_lies_where_their_parents_lay_live";
    let test = || {
        install();
        let code = |maps: String| -> Vec<std::ops::Range<u64>> {
            let lines = maps.lines().filter(|line| line.contains(" r-xp ") && line.contains('/'));
            let ranges = lines.filter_map(|line| line.split_once(' ')?.0.split_once('-'));
            let number = |digits| u64::from_str_radix(digits, 16).unwrap();
            ranges.map(|(start, end)| number(start)..number(end)).collect()
        };
        let child = Command::new("cat").arg("/proc/self/maps").output().unwrap();
        assert!(child.status.success(), "{}", child.status);
        let child = code(String::from_utf8(child.stdout).unwrap());
        let own = code(std::fs::read_to_string("/proc/self/maps").unwrap());
        let overlap = |a: &std::ops::Range<u64>, b: &std::ops::Range<u64>| {
            a.end.min(b.end).saturating_sub(a.start.max(b.start))
        };
        let shared: u64 = child.iter().flat_map(|a| own.iter().map(|b| overlap(a, b))).sum();
        assert!(shared > 1 << 16, "{child:x?} {own:x?}");
        let output = Command::new("sh").args(["-c", "trap : USR1; (exit 3)"]).output().unwrap();
        assert_eq!(output.status.code(), Some(3));
    };
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    // Only asked, it changes nothing.
    let before = personality(0xffff_ffff).unwrap();
    match personality(before | libc::ADDR_NO_RANDOMIZE as libc::c_ulong) {
        Ok(_) => refused(NAME, libc::EPERM, test),
        Err(error) => println!("skipped: personality: {error}"),
    }
    personality(before).unwrap();
}

#[test]
fn the_kernel_asked_for_is_the_kernel_or_an_error() {
    refused("the_kernel_asked_for_is_the_kernel_or_an_error", libc::ENOSYS, || {
        let error = sysring::install_engine(sysring::Engine::Kernel).unwrap_err();
        assert!(matches!(error, InstallError::KernelRefuses(_)), "{error}");
        assert!(error.to_string().contains("ENOSYS"), "{error}");
        // What a `main` prints that returns it.
        assert_eq!(format!("{error:?}"), error.to_string());
        // A failure is not for good.
        install();
    });
}

fn one_nop(ring: &mut Ring) {
    // SAFETY: a NOP uses no memory.
    unsafe { ring.push(op::Nop::new()) }.unwrap();
    assert_eq!(ring.submit_and_wait(1), Ok(1));
    assert_eq!(ring.completion().unwrap().result(), Ok(0));
}

#[test]
fn a_ring_of_the_crates_own_needs_no_trap() {
    refused("a_ring_of_the_crates_own_needs_no_trap", libc::EPERM, || {
        let mut ring = Ring::new(4).unwrap();
        one_nop(&mut ring);
        let said = ring.report().to_string();
        let sysctl = "EPERM: io_uring_setup is refused by sysctl kernel.io_uring_disabled";
        let expected = "EPERM: io_uring_setup is refused by a seccomp filter; using the engine in \
                        userspace";
        assert!(said == expected || said.starts_with(sysctl), "{said}");
        // Nothing was installed: the call itself still fails.
        assert!(IoUring::new(2).is_err());
    });
}

#[test]
fn a_ring_where_there_is_no_io_uring_says_so() {
    refused("a_ring_where_there_is_no_io_uring_says_so", libc::ENOSYS, || {
        let ring = Ring::new(4).unwrap();
        assert!(!ring.report().is_kernel());
        let said = ring.report().to_string();
        assert!(said.starts_with("ENOSYS: io_uring_setup "), "{said}");
        let error = Ring::builder().engine(sysring::Engine::Kernel).build(4).unwrap_err();
        assert_eq!(error.errno(), sysring::Errno::ENOSYS);
        let said = error.to_string();
        assert!(said.ends_with("; the engine in userspace may not serve"), "{said}");
    });
}

#[test]
fn after_install_a_ring_is_not_trapped() {
    refused("after_install_a_ring_is_not_trapped", libc::EPERM, || {
        install();
        let mut ring = Ring::new(4).unwrap();
        one_nop(&mut ring);
        let said = ring.report().to_string();
        assert_eq!(said, "it is installed in this process; using the engine in userspace");
        // Both are served side by side.
        let mut trapped = IoUring::new(2).unwrap();
        // SAFETY: a NOP uses no memory.
        unsafe { trapped.submission().push(&opcode::Nop::new().build()).unwrap() };
        trapped.submit_and_wait(1).unwrap();
        one_nop(&mut ring);
    });
}

#[test]
fn the_environment_chooses() {
    for (value, expected) in [
        ("user", "SYSRING_ENGINE=user; using the engine in userspace"),
        ("kernel", "SYSRING_ENGINE=kernel; using the kernel's io_uring"),
    ] {
        if std::env::var(INSIDE).as_deref() == Ok(value) {
            match Ring::new(4) {
                // An older kernel's lacks this and that, which is said behind.
                Ok(ring) => {
                    let said = ring.report().to_string();
                    assert!(said.starts_with(expected), "{said}");
                }
                Err(error) => println!("skipped: {value}: {error}"),
            }
            return;
        }
    }
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    for value in ["user", "kernel"] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["the_environment_chooses", "--exact", "--nocapture"]);
        let output = command.env(INSIDE, value).env("SYSRING_ENGINE", value).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said.lines()
            .filter(|line| line.starts_with("skipped: "))
            .for_each(|line| println!("{line}"));
    }
}
