//! Places that refuse io_uring and more: what a program may expect of its ring holds there, too.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use common::{SYSRING, Scratch, build, stderr, stdout};

/// Copies of the programs where every user may run them.
struct Kit {
    scratch: Scratch,
}

impl Kit {
    fn new() -> Kit {
        let kit = Kit { scratch: Scratch::new() };
        let readable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(kit.scratch.path(), readable.clone()).expect("our own directory");
        for (from, name) in [(PathBuf::from(SYSRING), "sysring"), (build("behaviour"), "behaviour")]
        {
            let to = kit.scratch.path().join(name);
            fs::copy(from, &to).expect("room for a copy");
            fs::set_permissions(to, readable.clone()).expect("our own copy");
        }
        kit
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path().join(name).to_string_lossy().into_owned()
    }

    /// A case of the program, under `sysring run` with the userspace engine.
    fn case(&self, case: &str) -> [String; 7] {
        [&self.path("sysring"), "run", "--engine", "user", "--", &self.path("behaviour"), case]
            .map(str::to_owned)
    }
}

/// Every case of `programs/behaviour.c` that a place can be asked for.
const CASES: [&str; 8] = [
    "nothing_held_up",
    "descriptor",
    "close_lets_go",
    "interrupted",
    "forked",
    "notified",
    "few_descriptors",
    "overwritten",
];

/// With a pipe to read from that nobody writes to: gVisor's runsc gives what it is handed to another
/// user, which must not be `/dev/null`.
fn command(before: &[&str], program: &[String]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=2", "60"]).args(before).args(program).stdin(Stdio::piped());
    command
}

fn run(before: &[&str], program: &[String]) -> Output {
    command(before, program).output().expect("timeout(1) starts")
}

/// Whether `true` runs there; otherwise the reason is printed, and the test counts as skipped.
fn is_here(place: &str, before: &[&str]) -> bool {
    let tried = run(before, &["true".to_owned()]);
    if !tried.status.success() {
        let said = format!("{}{}", stdout(&tried), stderr(&tried));
        let reason = said.lines().last().unwrap_or("no reason given").trim();
        println!("skipped: {place} cannot be had here: {reason}");
    }
    tried.status.success()
}

#[track_caller]
fn all_cases(place: &str, before: &[&str]) {
    if !is_here(place, before) {
        return;
    }
    let kit = Kit::new();
    let refuse = [&kit.path("sysring"), "refuse", "--"].map(str::to_owned);
    for case in CASES {
        // Where the place itself does not refuse io_uring, the innermost filter does.
        let ended = run(before, &[&refuse[..], &kit.case(case)].concat());
        assert!(ended.status.success(), "{place}: {case}: {}{}", ended.status, stderr(&ended));
    }
}

#[test]
fn docker() {
    all_cases("Docker's profile", &[SYSRING, "refuse", "--profile", "docker", "--"]);
}

#[test]
fn no_privileges() {
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    all_cases("another user", &nobody);
}

#[test]
fn nothing_can_be_written() {
    let script = "for point in / /run /dev/shm /tmp; do
            mount --bind $point $point && mount -o remount,bind,ro $point || exit 1
        done
        exec \"$@\"";
    all_cases("a read-only root", &["unshare", "--mount", "sh", "-c", script, "sh"]);
}

#[test]
fn no_proc() {
    let script = "umount --lazy /proc && exec \"$@\"";
    all_cases("a root without /proc", &["unshare", "--mount", "sh", "-c", script, "sh"]);
}

/// gVisor's kernel knows no io_uring, and ignores RWF_NOWAIT.
const GVISOR: [&str; 5] =
    ["runsc", "--platform=ptrace", "--network=none", "--ignore-cgroups", "do"];

#[test]
fn gvisor() {
    if !is_here("gVisor", &GVISOR) {
        return;
    }
    let kit = Kit::new();
    for case in CASES {
        let ended = run(&GVISOR, &kit.case(case));
        assert!(ended.status.success(), "{case}: {}{}", stdout(&ended), stderr(&ended));
    }
}

#[test]
fn fio_in_gvisor() {
    let fio_starts = [&GVISOR[..], &["fio", "--version"]].concat();
    if !is_here("fio in gVisor", &fio_starts) {
        return;
    }
    let kit = Kit::new();
    let job = "--ioengine=io_uring --rw=randrw --size=4m --bs=4k --iodepth=16 --verify=crc32c \
               --verify_fatal=1 --verify_state_save=0 --name=verify --directory=/tmp";
    let sysring = [&kit.path("sysring"), "run", "--engine", "user", "--", "fio"];
    let program: Vec<_> =
        sysring.into_iter().chain(job.split_whitespace()).map(str::to_owned).collect();
    let ended = run(&GVISOR, &program);
    let said = stdout(&ended);
    assert!(ended.status.success() && said.contains("err= 0"), "{said}{}", stderr(&ended));
}
