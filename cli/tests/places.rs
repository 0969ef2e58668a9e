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
        let python = format!("{}/tests/programs/ring.py", env!("CARGO_MANIFEST_DIR"));
        for (from, name) in [
            (PathBuf::from(SYSRING), "sysring"),
            (build("behaviour"), "behaviour"),
            (PathBuf::from(python), "ring.py"),
        ] {
            let to = kit.scratch.path().join(name);
            fs::copy(from, &to).expect("room for a copy");
            fs::set_permissions(to, readable.clone()).expect("our own copy");
        }
        kit
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path().join(name).to_string_lossy().into_owned()
    }

    /// A case of the program, under `sysring run` with the userspace engine. Rings come and go by the
    /// hundred: gVisor takes its time for each call.
    fn case(&self, case: &str) -> Vec<String> {
        self.served(&[&self.path("behaviour"), case, "400"])
    }

    fn served(&self, program: &[&str]) -> Vec<String> {
        let run = [&self.path("sysring"), "run", "--engine", "user", "--"];
        run.iter().chain(program).map(|&word| word.to_owned()).collect()
    }
}

/// Every case of `programs/behaviour.c`.
const CASES: [&str; 13] = [
    "nothing_held_up",
    "descriptor",
    "polled",
    "close_lets_go",
    "interrupted",
    "forked",
    "notified",
    "few_descriptors",
    "overwritten",
    "one_thread",
    "one_thread_reads",
    "many_rings",
    "threads_go_home",
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

/// Cases that count threads and descriptors, in `/proc`.
const COUNTING: [&str; 4] = ["one_thread", "one_thread_reads", "many_rings", "threads_go_home"];

#[track_caller]
fn all_cases(place: &str, before: &[&str]) {
    cases_but(&[], place, before);
}

#[track_caller]
fn cases_but(but: &[&str], place: &str, before: &[&str]) {
    if !is_here(place, before) {
        return;
    }
    let kit = Kit::new();
    let refuse = [&kit.path("sysring"), "refuse", "--"].map(str::to_owned);
    for case in CASES.iter().filter(|case| !but.contains(case)) {
        // Where the place itself does not refuse io_uring, the innermost filter does.
        let ended = run(before, &[&refuse[..], &kit.case(case)].concat());
        assert!(ended.status.success(), "{place}: {case}: {}{}", ended.status, stderr(&ended));
    }
    for (program, says) in programs(&kit) {
        let program: Vec<&str> = program.iter().map(String::as_str).collect();
        if !is_here(
            &format!("{place}, with {},", program[0]),
            &[before, &[program[0], "--version"]].concat(),
        ) {
            continue;
        }
        let ended = run(before, &[&refuse[..], &kit.served(&program)].concat());
        let said = stdout(&ended);
        assert!(
            ended.status.success() && said.contains(says),
            "{place}: {program:?}: {}\n{said}{}",
            ended.status,
            stderr(&ended)
        );
    }
}

/// Programs as people have them, and what they say when all went well: they write nothing, for there
/// are places where nothing can be written.
fn programs(kit: &Kit) -> [(Vec<String>, &'static str); 2] {
    let file = kit.path("sysring");
    let fio = format!(
        "fio --ioengine=io_uring --rw=randread --readonly --filename={file} --size=1m --bs=4k \
         --iodepth=16 --name=read"
    );
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    [
        (words(&fio), "issued rwts: total=256,0,0,0"),
        (words(&format!("python3 {}", kit.path("ring.py"))), "read: True"),
    ]
}

#[test]
fn docker() {
    all_cases("Docker's profile", &[SYSRING, "refuse", "--profile", "docker", "--"]);
}

/// All calls that came later are absent at once, as far as calls go by number.
#[test]
fn linux_5_4() {
    all_cases("Linux 5.4", &[SYSRING, "refuse", "--profile", "linux-5.4", "--"]);
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
    cases_but(&COUNTING, "a root without /proc", &["unshare", "--mount", "sh", "-c", script, "sh"]);
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
    // Whether a read would wait gVisor does not tell: behind one that took long the next is a worker's.
    for case in CASES.iter().filter(|case| **case != "one_thread_reads") {
        let ended = run(&GVISOR, &kit.case(case));
        assert!(ended.status.success(), "{case}: {}{}", stdout(&ended), stderr(&ended));
    }
}

#[test]
fn doctor_in_gvisor() {
    if !is_here("gVisor", &GVISOR) {
        return;
    }
    let kit = Kit::new();
    let ended = run(&GVISOR, &[kit.path("sysring"), "doctor".to_owned(), "--json".to_owned()]);
    let findings: serde_json::Value = serde_json::from_str(&stdout(&ended)).expect("JSON");
    assert_eq!(findings["engine"], "user");
    for (name, status, found, uses) in [
        ("surroundings", "info", "gVisor", ""),
        ("io_uring", "no", "", "sysring's engine"),
        ("seccomp", "yes", "filters can be installed", "hands the io_uring calls"),
        ("rwf_nowait", "no", "taken and ignored", "files are read by the caller"),
        ("process_vm_readv", "no", "ENOSYS", "a pipe"),
    ] {
        let checks = findings["checks"].as_array().expect("checks");
        let check = checks.iter().find(|check| check["name"] == name).expect(name);
        let says = |what: &str, text: &str| check[what].as_str().unwrap_or("").contains(text);
        assert!(check["status"] == status && says("found", found) && says("uses", uses), "{check}");
        // What gVisor lacks its user cannot change; of io_uring that is said.
        assert_eq!(check["advice"].is_string(), name == "io_uring", "{check}");
    }
}

#[test]
fn fio_in_gvisor() {
    let fio_starts = [&GVISOR[..], &["fio", "--version"]].concat();
    if !is_here("fio in gVisor", &fio_starts) {
        return;
    }
    let kit = Kit::new();
    let job = "fio --ioengine=io_uring --rw=randrw --size=4m --bs=4k --iodepth=16 --verify=crc32c \
               --verify_fatal=1 --verify_state_save=0 --name=verify --directory=/tmp";
    let program = kit.served(&job.split_whitespace().collect::<Vec<_>>());
    let ended = run(&GVISOR, &program);
    let said = stdout(&ended);
    assert!(ended.status.success() && said.contains("err= 0"), "{said}{}", stderr(&ended));
}
