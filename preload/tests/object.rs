//! The object as a file: it needs nothing and offers nothing.

mod common;

use std::process::Command;

use common::{has, object, stdout};

#[test]
fn it_needs_no_library_and_leaves_no_symbol_open() {
    if !has("readelf") {
        return;
    }
    let dynamic = stdout(Command::new("readelf").args(["-dW"]).arg(object()));
    assert!(!dynamic.contains("(NEEDED)"), "{dynamic}");
    assert!(!dynamic.contains("TEXTREL"), "{dynamic}");
    assert!(dynamic.contains("BIND_NOW"), "{dynamic}");
    assert!(dynamic.contains("INITFIRST"), "{dynamic}");
    assert!(!dynamic.contains(" PIE"), "glibc would refuse to preload it: {dynamic}");

    // Nothing undefined, and nothing defined that an application could be bound to.
    let symbols = stdout(Command::new("readelf").args(["--dyn-syms", "-W"]).arg(object()));
    let entries: Vec<&str> = symbols
        .lines()
        .filter(|line| line.trim_start().split(':').next().is_some_and(is_number))
        .filter(|line| !line.trim_start().starts_with("0:"))
        .collect();
    assert!(entries.is_empty(), "{symbols}");
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[test]
fn it_has_no_thread_local_storage_and_no_executable_stack() {
    if !has("readelf") {
        return;
    }
    let segments = stdout(Command::new("readelf").args(["-lW"]).arg(object()));
    assert!(!segments.contains("TLS"), "{segments}");
    assert!(segments.lines().any(|l| l.contains("GNU_STACK") && !l.contains("RWE")), "{segments}");
    // Its loader relocates it by adding its address, and knows no other kind.
    let relocations = stdout(Command::new("readelf").args(["-rW"]).arg(object()));
    for line in relocations.lines().filter(|line| line.contains("R_")) {
        assert!(line.contains("_RELATIVE"), "{line}");
    }
}

#[test]
fn run_as_a_command_it_says_what_it_is() {
    let output = Command::new(object()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("sysring run"));
}
