//! fio, verifying every block, where io_uring is refused.

mod common;

use std::fs::File;
use std::process::{Command, Stdio};

use common::{SYSRING, Scratch};

/// Runs a job under a refusal with `errno`, bounded in time; its own process group's children
/// write to files, so that one left behind holds nothing of ours.
fn verify(errno: &str, job: &[&str]) {
    if Command::new("fio").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: fio is not installed");
        return;
    }
    let scratch = Scratch::new();
    let said = scratch.path().join("said");
    let out = File::create(&said).expect("a file");
    let status = Command::new("timeout")
        .args(["--kill-after=2", "60", SYSRING, "refuse", "--errno", errno, "--", SYSRING, "run"])
        .args(["--engine", "user", "--", "fio", "--name=verify", "--ioengine=io_uring"])
        .args(["--size=16m", "--bs=4k", "--iodepth=32", "--verify=crc32c", "--verify_fatal=1"])
        .args(["--iodepth_batch_submit=16", "--iodepth_batch_complete_min=4"])
        .args(["--verify_state_save=0", "--directory", &scratch.path().to_string_lossy()])
        .args(job)
        .stdin(Stdio::null())
        .stdout(out.try_clone().expect("a second handle"))
        .stderr(out)
        .current_dir(scratch.path())
        .status()
        .expect("timeout(1) starts");
    let said = std::fs::read_to_string(said).unwrap_or_default();
    assert!(status.success() && said.contains("err= 0"), "{status} {errno} {job:?}\n{said}");
}

#[test]
fn buffered() {
    verify("EPERM", &["--rw=randrw"]);
    verify("ENOSYS", &["--rw=randrw"]);
}

#[test]
fn direct() {
    verify("EPERM", &["--rw=randrw", "--direct=1"]);
    verify("ENOSYS", &["--rw=randrw", "--direct=1"]);
}

#[test]
fn registered() {
    verify("EPERM", &["--rw=randrw", "--fixedbufs=1", "--registerfiles=1"]);
    verify("ENOSYS", &["--rw=randrw", "--fixedbufs=1", "--registerfiles=1", "--direct=1"]);
}

#[test]
fn vectored_and_not() {
    verify("EPERM", &["--rw=randrw", "--nonvectored=0"]);
    verify("EPERM", &["--rw=randrw", "--nonvectored=1"]);
}

#[test]
fn submission_by_a_thread() {
    verify("EPERM", &["--rw=randrw", "--sqthread_poll=1", "--registerfiles=1"]);
    verify("ENOSYS", &["--rw=write", "--sqthread_poll=1"]);
}

#[test]
fn synced() {
    verify("EPERM", &["--rw=randwrite", "--fsync=32"]);
    verify("ENOSYS", &["--rw=randwrite", "--fdatasync=32", "--direct=1"]);
}
