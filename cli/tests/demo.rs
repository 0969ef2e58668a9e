//! `sysring demo` shows the main job, on a small tree.

mod common;

use common::{Scratch, assert_code, output, stdout};

fn demo(scratch: &Scratch, more: &[&str]) -> std::process::Output {
    let directory = scratch.path().to_string_lossy().into_owned();
    let mut arguments = vec!["demo", "--files=60", "--megabytes=4", "--directory", &directory];
    arguments.extend(more);
    output(&arguments)
}

#[test]
fn the_bundled_program_fails_refused_and_works_with_sysring() {
    let scratch = Scratch::new();
    let ended = demo(&scratch, &["--no-fio", "--json"]);
    assert_code(&ended, 0);
    let findings: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    let runs = findings["programs"][0]["runs"].as_array().expect("runs").clone();
    let run = |way: &str| {
        runs.iter().find(|run| run["way"] == way).unwrap_or_else(|| panic!("no {way}: {findings}"))
    };
    assert!(run("refused")["error"].as_str().is_some_and(|e| e.contains("not permitted")));
    assert!(run("sysring")["error"].is_null());
    assert_eq!(run("sysring")["served"]["engine"], "user");
    assert!(run("sysring")["figures"]["operations"].as_u64() > Some(500));
    assert_eq!(run("kernel")["error"].is_null(), common::kernel_has_io_uring());
    assert_eq!(std::fs::read_dir(scratch.path()).map(Iterator::count).ok(), Some(0));
}

#[test]
fn the_table_says_which_engine_served() {
    let scratch = Scratch::new();
    let ended = demo(&scratch, &[]);
    assert_code(&ended, 0);
    let table = stdout(&ended);
    assert!(table.contains("(c) was served by sysring's engine in userspace"), "{table}");
    assert!(table.contains("output verified"), "{table}");
    if !table.contains("fio: 4 KiB") {
        println!("skipped: fio is not installed");
    }
}
