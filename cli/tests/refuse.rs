//! `sysring refuse` refuses what it is told to, with the error it is told.

mod common;

use common::{SYSRING, assert_code, output, stderr, stdout};

fn doctor_under(refuse: &[&str]) -> serde_json::Value {
    let mut arguments = vec!["refuse"];
    arguments.extend(refuse);
    arguments.extend(["--", SYSRING, "doctor", "--json"]);
    let ended = output(&arguments);
    assert!(!ended.stdout.is_empty(), "{}", stderr(&ended));
    serde_json::from_slice(&ended.stdout).expect("doctor prints JSON")
}

fn check<'a>(findings: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    findings["checks"]
        .as_array()
        .and_then(|checks| checks.iter().find(|check| check["name"] == name))
        .unwrap_or_else(|| panic!("no check {name} in {findings}"))
}

#[test]
fn doctor_names_the_filter_that_refuses_io_uring() {
    for errno in ["EPERM", "ENOSYS", "EACCES"] {
        let findings = doctor_under(&["--errno", errno]);
        let io_uring = check(&findings, "io_uring");
        assert_eq!(io_uring["status"], "no", "{io_uring}");
        let found = io_uring["found"].as_str().unwrap_or_default();
        assert!(found.starts_with(errno) && found.contains("seccomp"), "{found}");
        assert!(io_uring["advice"].as_str().is_some_and(|advice| advice.contains("seccomp")));
        assert_eq!(findings["engine"], "user");
    }
}

#[test]
fn doctor_sees_each_call_that_is_refused() {
    let calls = [
        ("openat2", "openat2"),
        ("futex_waitv", "futex_waitv"),
        ("epoll_pwait2", "epoll_pwait2"),
        ("process_vm_readv", "process_vm_readv"),
        ("io_setup", "aio"),
        ("preadv2", "rwf_nowait"),
    ];
    for (call, name) in calls {
        let findings = doctor_under(&["--call", call, "--errno", "ENOSYS"]);
        assert_eq!(check(&findings, name)["status"], "no", "{call}");
        // Only that one: the check must not say no whatever it is asked.
        for (_, other) in calls.iter().filter(|(other, _)| *other != call) {
            assert_eq!(check(&findings, other)["status"], "yes", "{other} with {call} refused");
        }
    }
}

/// What doctor says the engine does without a call, and that it does it: a call that is absent may be
/// replaced by another, one that is refused may not.
#[test]
fn doctor_says_what_is_done_without_a_call() {
    let everything = "read 5, with a flag 5, openat 0, openat2 0, openat2 beneath 0, \
                      futex_waitv of one -11, futex_waitv -11";
    for (call, check_name, errno, uses, does) in [
        (
            "preadv2",
            "rwf_nowait",
            "ENOSYS",
            "preadv or pwritev by a worker; requests with RWF",
            "read 5, with a flag -95",
        ),
        (
            "preadv2",
            "rwf_nowait",
            "EPERM",
            "reads and writes answer as preadv2",
            "read -1, with a flag -1",
        ),
        (
            "openat2",
            "openat2",
            "ENOSYS",
            "asks for a way of resolving answers ENOSYS",
            "beneath -38",
        ),
        (
            "openat2",
            "openat2",
            "EPERM",
            "OPENAT2 answers as openat2",
            "openat2 -1, openat2 beneath -1",
        ),
        ("openat2", "resolve_cached", "ENOSYS", "worker threads, to open", "beneath -38"),
        (
            "futex_waitv",
            "futex_waitv",
            "ENOSYS",
            "with more it answers EOPNOTSUPP",
            "futex_waitv of one -11, futex_waitv -95",
        ),
        (
            "futex_waitv",
            "futex_waitv",
            "EPERM",
            "FUTEX_WAITV answers as futex_waitv",
            "futex_waitv of one -1, futex_waitv -1",
        ),
        ("epoll_pwait2", "epoll_pwait2", "ENOSYS", "ppoll and epoll_wait", ""),
        ("epoll_pwait2", "epoll_pwait2", "EPERM", "ppoll and epoll_wait", ""),
        ("process_vm_readv", "process_vm_readv", "EPERM", "a pipe", ""),
        ("io_setup", "aio", "EPERM", "worker threads for O_DIRECT", ""),
    ] {
        let refuse = ["--call", call, "--errno", errno];
        let findings = doctor_under(&refuse);
        let check = check(&findings, check_name);
        assert!(check["found"].as_str().is_some_and(|found| found.contains(errno)), "{check}");
        assert!(check["uses"].as_str().is_some_and(|said| said.contains(uses)), "{check}");
        assert!(check["advice"].is_string(), "{check}");

        let program = common::build("without").to_string_lossy().into_owned();
        let run = ["--", SYSRING, "run", "--engine", "user", "--", &program];
        let ended = output(&[&["refuse"], &refuse[..], &run].concat());
        assert_code(&ended, 0);
        let did = stdout(&ended);
        if does.is_empty() {
            assert_eq!(did.trim(), everything, "{call} {errno}");
        } else {
            assert!(did.trim() != everything && did.contains(does), "{call} {errno}: {did}");
        }
    }
}

#[test]
fn doctor_has_a_use_for_whatever_it_looks_for() {
    let findings = doctor_under(&["--call", "io_uring_setup"]);
    for check in findings["checks"].as_array().expect("checks") {
        let asks = check["status"] == "yes" || check["status"] == "no";
        assert!(!asks || check["uses"].is_string(), "{check}");
    }
}

#[test]
fn doctor_says_when_nothing_works() {
    let findings = doctor_under(&["--call", "seccomp", "--call", "io_uring_setup"]);
    assert_eq!(check(&findings, "seccomp")["status"], "no");
    assert_eq!(findings["engine"], "none");
    let ended = output(&[
        "refuse",
        "--call",
        "seccomp",
        "--call",
        "io_uring_setup",
        "--",
        SYSRING,
        "doctor",
    ]);
    assert_code(&ended, 1);
    assert!(stdout(&ended).contains("neither"), "{}", stdout(&ended));
}

#[test]
fn doctor_uses_the_kernels_where_it_works() {
    if !common::kernel_has_io_uring() {
        println!("skipped: the kernel's io_uring does not work here");
        return;
    }
    let ended = output(&["doctor"]);
    assert_code(&ended, 0);
    assert!(stdout(&ended).contains("would use the kernel's io_uring"), "{}", stdout(&ended));
    assert!(!stdout(&ended).contains('\x1b'), "colour without a terminal");
}

#[test]
fn the_kernels_engine_is_refused_with_a_reason() {
    let ended = output(&["refuse", "--", SYSRING, "run", "--engine=kernel", "--", "true"]);
    assert_code(&ended, 125);
    let said = stderr(&ended);
    assert!(said.contains("EPERM by a seccomp filter"), "{said}");
    assert!(said.contains("--engine user"), "{said}");
}
