//! `sysring ls` lists what `LC_ALL=C ls` lists.

mod common;

use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use common::tree::plant;
use common::{SYSRING, Scratch, assert_code, output, stderr, stdout};

fn run(program: &str, first: &[&str], arguments: &[&str], directory: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(first).args(arguments).current_dir(directory).env("LC_ALL", "C");
    command.output().expect("starts")
}

/// Both programs with the same arguments: the same output and messages.
#[track_caller]
fn compare(arguments: &[&str], directory: &Path) {
    let theirs = run("ls", &[], arguments, directory);
    let ours = run(SYSRING, &["ls"], arguments, directory);
    assert_eq!(stdout(&ours), stdout(&theirs), "{arguments:?}: {}", stderr(&ours));
    assert!(ours.stdout == theirs.stdout, "{arguments:?}: bytes that are no text");
    assert_eq!(stderr(&ours), stderr(&theirs).replace("ls: ", "sysring ls: "), "{arguments:?}");
    assert_eq!(ours.status.success(), theirs.status.success(), "{arguments:?}");
}

fn decorate(root: &Path) {
    let modes = [("top", 0o4755), ("a/one", 0o2644), ("b/four.o", 0o640), ("c d", 0o1777)];
    for (path, mode) in modes {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::write(root.join(".hidden"), b"").unwrap();
    fs::create_dir(root.join("b/.hidden directory")).unwrap();
    fs::write(root.join("b/.hidden directory/inside"), b"").unwrap();
    // Some written long ago, in the future and by nobody in particular.
    for (path, seconds) in [("a/one", 86_400), ("b/four.o", 4_102_444_800)] {
        let path = CString::new(root.join(path).as_os_str().as_bytes()).unwrap();
        let time = libc::timespec { tv_sec: seconds, tv_nsec: 0 };
        let times = [time, time];
        // SAFETY: a string that ends, and two times.
        assert_eq!(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), 0) }, 0);
        // Only root may; for others it stays theirs.
        // SAFETY: a string that ends.
        unsafe { libc::lchown(path.as_ptr(), 12345, 54321) };
    }
}

#[test]
fn the_options_mean_the_same() {
    let scratch = Scratch::new();
    plant(scratch.path());
    decorate(scratch.path());
    let options: &[&[&str]] = &[
        &[],
        &["-l"],
        &["-R"],
        &["-lR"],
        &["-lRA"],
        &["-lRh"],
        &["-lh", "b"],
        &["-l", "top"],
        &["-l", "b", "top", "a", "a/one", "to a directory"],
        &["-R", "a", "c d"],
        &["-lR", "a/"],
        &["-l", "missing", "a"],
        &["-n", "a", "b"],
        &["-nRi"],
        &["-i1", "a", "top", "b"],
        &["-1", "c d"],
        &["-liR", "node_modules", "a"],
        &["-t"],
        &["-tr", "a", "b"],
        &["-lRt"],
        &["-lRtr"],
        &["-lRS", "a", "b"],
        &["-RSr"],
        &["-Rr"],
        &["-pR"],
        &["-lpR"],
        &["-1tp", "top", "a/one", "b/four.o", "b"],
    ];
    for option in options {
        compare(option, scratch.path());
    }
}

#[test]
fn devices_have_two_numbers() {
    // The rest of /dev changes under one's eyes.
    for devices in [&["/dev/null", "/dev/zero", "/dev/tty"][..], &["/dev/null", "/etc/passwd"]] {
        let mut arguments = vec!["-l"];
        arguments.extend(devices);
        compare(&arguments, Path::new("/"));
    }
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_listed() {
    let scratch = Scratch::new();
    let root = scratch.path().join("tree");
    fs::create_dir(&root).unwrap();
    plant(&root);
    fs::set_permissions(root.join("a/deep"), fs::Permissions::from_mode(0o000)).unwrap();
    // Names that can be read, of files that cannot be looked at.
    fs::set_permissions(root.join("b"), fs::Permissions::from_mode(0o744)).unwrap();
    let sysring = scratch.path().join("sysring");
    common::copy_program(&sysring);
    // SAFETY: takes nothing and cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    let mut command = Command::new(&sysring);
    command.args(["ls", "-lR"]).current_dir(&root);
    if is_root {
        command.uid(65534).gid(65534);
    }
    let ended = command.output().expect("starts");
    fs::set_permissions(root.join("a/deep"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_code(&ended, 1);
    let (said, complaints) = (stdout(&ended), stderr(&ended));
    assert!(said.contains("./node_modules:\n"), "{said}");
    let closed = "sysring ls: cannot open directory './a/deep': Permission denied\n";
    assert!(complaints.contains(closed), "{complaints}");
    if is_root {
        assert!(said.contains("?????????"), "{said}");
        let unseen = "sysring ls: cannot access './b/four.o': Permission denied\n";
        assert!(complaints.contains(unseen), "{complaints}");
    }
}

#[test]
fn paths_are_what_find_finds() {
    let scratch = Scratch::new();
    plant(scratch.path());
    decorate(scratch.path());
    for (more, name) in [(&["-a"][..], "*"), (&["-a"], "*o*"), (&["-a"], "d*"), (&["-a"], "*.o")] {
        let pattern = format!("--name={name}");
        let mut arguments = vec!["-R0", "--paths", &pattern];
        arguments.extend(more);
        let ours = run(SYSRING, &["ls"], &arguments, scratch.path());
        let find = [".", "-mindepth", "1", "-name", name, "-print0"];
        let theirs = run("find", &[], &find, scratch.path());
        let sorted = |output: Output| {
            let mut paths: Vec<_> =
                output.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
            paths.sort_unstable();
            paths
        };
        assert!(sorted(ours) == sorted(theirs), "{name}");
    }
}

#[test]
fn only_directories_with_the_name_are_listed() {
    let scratch = Scratch::new();
    plant(scratch.path());
    let ours = run(SYSRING, &["ls"], &["-R", "--name=*.o"], scratch.path());
    assert_eq!(stdout(&ours), "./a/deep:\ntwo.o\n\n./b:\nfour.o\n");
}

#[test]
fn json_has_what_a_line_has() {
    let scratch = Scratch::new();
    plant(scratch.path());
    let no_text = OsStr::from_bytes(b"\x80");
    symlink(no_text, scratch.path().join("to no text")).expect("a link");
    let ours = run(SYSRING, &["ls"], &["-R", "--json", ".", "missing"], scratch.path());
    assert_code(&ours, 1);
    let document: serde_json::Value = serde_json::from_slice(&ours.stdout).expect("JSON");
    let entries = document["entries"].as_array().expect("entries");
    let of = |path: &str| {
        let found = entries.iter().find(|entry| entry["path"] == path);
        found.unwrap_or_else(|| panic!("no {path}: {document}"))
    };
    assert_eq!(of("./b/one again")["links"], 4);
    assert_eq!(of("./b/sparse")["size"], (50 << 20) + 3);
    assert_eq!(of("./to a directory")["target"], "a");
    assert!(of("./to a directory")["target_bytes"].is_null());
    assert_eq!(of("./to no text")["target_bytes"], serde_json::json!([0x80]));
    assert!(entries.iter().any(|entry| entry["path_bytes"].is_array()));
    assert_eq!(document["problems"][0]["errno"], "ENOENT");
}

#[test]
fn wrong_usage_is_told() {
    assert_code(&output(&["ls", "--nonsense"]), 2);
    assert_code(&output(&["ls", "--json", "-h"]), 2);
    assert_code(&output(&["ls", "-0"]), 2);
    let help = stdout(&output(&["ls", "--help"]));
    assert!(help.contains("Examples:") && help.contains("Exit status:"), "{help}");
}
