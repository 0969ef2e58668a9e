//! A part of liburing's suite in gVisor, whose kernel is not Linux: what the engine is made of behaves
//! differently there.

use std::process::{Command, Stdio};

use crate::files::target_directory;
use crate::lanes::say;
use crate::prerequisites;
use crate::report::Report;
use crate::step::{Outcome, Step};

const NAME: &str = "liburing's suite in gVisor";

/// Those that take less than a second there. What does not pass, or takes longer, is in
/// docs/conformance.md.
const TESTS: &str = "
    8a9973408177 917257daa0fe a0908ae19763 accept-link accept-non-empty accept-reuse
    accept-test across-fork b19062a56726 b5837bd5311d bind-listen buf-ring-mshot
    buf-ring-nommap cancel-fd-userdata close-opath connect coredump cq-full cq-peek-batch
    cq-peek-batch-mixed cq-ready cq-size d4ae271dfaae d77a67ed5f27 defer-taskrun
    double-poll-crash drop-submit empty-eownerdead eploop eventfd eventfd-disable eventfd-reg
    eventfd-ring evfd-short-read evloop exit-no-cleanup fadvise fallocate fd-install fd-pass
    fifo-futex-poll fifo-nonblock-read file-alloc-range-hint fixed-buf-iter fixed-buf-merge
    fixed-link fixed-reuse fsync futex-kill hardlink ignore-single-mmap io-wq-exit
    io_uring_setup iopoll-leak kallsyms large-resize lfs-openat lfs-openat-write link
    linked-defer-close madvise mkdir msg-ring msg-ring-fd msg-ring-flags msg-ring-overflow
    no-mmap-inval nolibc nop-all-sizes nop-fixed-file-leak nop-flags nop32 nop32-overflow
    open-close open-direct-link openat2 personality pipe pipe-direct-fixed pipe-eof pipe-reuse
    poll-cancel poll-cancel-all poll-link poll-ring poll-update-trigger poll-v-poll probe
    read-inc-buf-more read-inc-file read-mshot-empty recv-bundle-buf-len recv-inc-ooo
    recv-msgall recv-msgall-stream recvmsg-inc-tail reg-hint reg-reg-ring regbuf-clone
    regbuf-merge register-restrictions rename resize-mmap-fail ring-leak ringbuf-loop
    ringbuf-read ringbuf-status rsrc_tags rw_merge_test self send_recv send_recvmsg sendzc-bug
    shared-wq short-read shutdown sigfd-deadlock single-issuer skip-cqe socket socket-nb
    socket-rw socket-rw-eagain socket-rw-offset splice sq-full sq-full-cpp sq-space_left
    sqe-mixed-bad-wrap sqe-mixed-boundary sqe-mixed-nop statx stdout submit-link-fail symlink
    sync-cancel task-restrict thread-exit timerfd-short-read truncate tty-write-dpoll unlink
    vec-regbuf version xattr
";

/// gVisor gives what it is handed to another user: it gets pipes, and not `/dev/null`.
const INSIDE: &str = ": | runsc --platform=ptrace --network=none --ignore-cgroups do \"$@\" 2>&1";

/// Runs it, where gVisor runs; behind the suite itself, which is built then.
pub fn report() -> Report {
    if let Some(why) = missing() {
        say(format_args!("skipped: {NAME}: {why}"));
        return Report::skipped();
    }
    let program = target_directory().join("release/conformance").display().to_string();
    let tests = TESTS.split_whitespace().collect::<Vec<_>>().join(",");
    let command = ["sh", "-c", INSIDE, "sh", &program, "suite", "--tests", &tests];
    Step { name: NAME, outcome: Outcome::Summary, command: &command, environment: &[] }.run()
}

fn missing() -> Option<String> {
    if !prerequisites::is_installed("runsc") {
        return Some("runsc is not installed".to_owned());
    }
    if !target_directory().join("liburing/built").exists() {
        return Some("liburing's suite was not built".to_owned());
    }
    let tried = Command::new("sh")
        .args(["-c", INSIDE, "sh", "true"])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| e.to_string());
    match tried {
        Ok(ended) if ended.status.success() => None,
        Ok(ended) => {
            let said = String::from_utf8_lossy(&ended.stdout).into_owned();
            Some(format!("runsc: {}", said.lines().last().unwrap_or("no reason given")))
        }
        Err(why) => Some(why),
    }
}
