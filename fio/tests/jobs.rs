//! fio's jobs over the engine: what they write is verified, and as much is under way as they ask for.

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The engine, which Cargo builds beside its tests.
fn engine() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.push("libsysring_fio.so");
    assert!(path.exists(), "{} has not been built", path.display());
    path
}

/// A directory of the test's own, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test that failed has said so; what is left behind is only untidy.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn fio(place: &Path, engine: &str, job: &[&str]) -> Option<Output> {
    if Command::new("fio").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: fio is not installed");
        return None;
    }
    let output = Command::new("timeout")
        .args(["--kill-after=2", "60", "fio", "--name=job", "--output-format=json"])
        .args(["--size=4m", "--bs=4k", "--verify_state_save=0"])
        .arg(format!("--ioengine={engine}"))
        .args(job)
        .stdin(Stdio::null())
        .current_dir(place)
        .output()
        .expect("timeout(1) starts");
    Some(output)
}

/// Runs a job that must succeed, and gives fio's report of its first part.
fn run(name: &str, job: &[&str]) -> Option<Value> {
    let scratch = Scratch::new(name);
    let output = fio(&scratch.0, &format!("external:{}", engine().display()), job)?;
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if errors.contains("the engine serves fio") {
        println!("skipped: {}", errors.lines().next().unwrap_or_default());
        return None;
    }
    assert!(output.status.success(), "{job:?}: {}\n{said}\n{errors}", output.status);
    // fio prints notes before its JSON.
    let start = said.find('{').expect("a report");
    let report: Value = serde_json::from_str(&said[start..]).expect("JSON");
    let part = report["jobs"][0].clone();
    let options = [&report["global options"]["ioengine"], &part["job options"]["ioengine"]];
    assert!(options.iter().any(|engine| engine.as_str().is_some_and(|e| e.contains("sysring"))));
    assert_eq!(part["error"], 0, "{job:?}");
    Some(part)
}

const VERIFY: [&str; 2] = ["--verify=crc32c", "--verify_fatal=1"];

fn verified(name: &str, job: &[&str]) {
    for direct in ["--direct=0", "--direct=1"] {
        let Some(part) = run(name, &[job, &VERIFY, &[direct, "--iodepth=16"]].concat()) else {
            return;
        };
        for side in ["read", "write"] {
            assert!(part[side]["total_ios"].as_u64() > Some(0), "{job:?}: {side}");
        }
    }
}

#[test]
fn what_is_written_can_be_read() {
    verified("sequential", &["--rw=write"]);
    verified("random", &["--rw=randwrite", "--bs=1k-64k", "--bsrange=4k-64k"]);
    verified("mixed", &["--rw=randrw"]);
}

#[test]
fn files_are_synced() {
    for (name, sync) in [("fsync", "--fsync=8"), ("fdatasync", "--fdatasync=8")] {
        let job = [&["--rw=randwrite", "--iodepth=4", sync], &VERIFY[..]].concat();
        let Some(part) = run(name, &job) else { return };
        let synced = part["sync"]["lat_ns"]["N"].as_u64();
        assert!(synced >= Some(128), "{}", part["sync"]);
    }
}

#[test]
fn holes_are_punched() {
    let Some(part) = run("trim", &["--rw=randtrim", "--iodepth=4"]) else { return };
    assert_eq!(part["trim"]["total_ios"], 1024);
}

/// Many at a time, and never more than were asked for.
#[test]
fn the_depth_is_that_of_the_job() {
    let share = |part: &Value, depth: &str| part["iodepth_level"][depth].as_f64().unwrap();
    let job = ["--rw=randread", "--direct=1"];
    let Some(one) = run("depth-1", &[&job[..], &["--iodepth=1"]].concat()) else { return };
    assert_eq!(share(&one, "1"), 100.0);
    let batches = ["--iodepth=16", "--iodepth_batch_submit=8", "--iodepth_batch_complete_min=4"];
    let Some(many) = run("depth-16", &[&job[..], &batches].concat()) else { return };
    assert!(share(&many, "16") > 50.0, "{}", many["iodepth_level"]);
    assert_eq!(share(&many, "32"), 0.0);
}

#[test]
fn jobs_are_processes_or_threads() {
    for (name, thread) in [("processes", "--thread=0"), ("threads", "--thread=1")] {
        let job = ["--rw=randrw", "--numjobs=3", "--group_reporting", "--iodepth=4", thread];
        run(name, &[&job[..], &VERIFY].concat());
    }
}

/// An error comes to fio as it does from fio's own engines.
#[test]
fn errors_are_those_of_the_calls() {
    let scratch = Scratch::new("errors");
    let job = ["--rw=write", "--filename=/dev/full", "--iodepth=4"];
    let Some(theirs) = fio(&scratch.0, "psync", &job) else { return };
    let ours = fio(&scratch.0, &format!("external:{}", engine().display()), &job).unwrap();
    let errors = String::from_utf8_lossy(&ours.stderr);
    if errors.contains("the engine serves fio") {
        return println!("skipped: {}", errors.lines().next().unwrap_or_default());
    }
    assert!(!theirs.status.success());
    assert_eq!(ours.status.code(), theirs.status.code(), "{errors}");
    assert!(String::from_utf8_lossy(&ours.stdout).contains("\"error\" : 28"), "ENOSPC");
}

/// Who is no fio gets no engine.
#[test]
fn others_are_refused() {
    let path = CString::new(engine().into_os_string().into_encoded_bytes()).unwrap();
    // SAFETY: a string that ends; the library runs nothing when it is opened.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!library.is_null());
    // SAFETY: a string that ends.
    let symbol = unsafe { libc::dlsym(library, c"get_ioengine".as_ptr()) };
    assert!(!symbol.is_null());
    // SAFETY: what the library exports under this name.
    let get: unsafe extern "C" fn(*mut usize) = unsafe { std::mem::transmute(symbol) };
    let mut engine = 0;
    // SAFETY: a place for an address.
    unsafe { get(&mut engine) };
    assert_eq!(engine, 0);
}
