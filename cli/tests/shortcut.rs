//! Code that is trapped often calls the engine without a trap, and cannot tell.

#![cfg(target_arch = "x86_64")]

mod common;

use common::{assert_code, build, output, stdout};

#[track_caller]
fn runs(arguments: &[&str], case: &str, says: &str) {
    let program = build("shortcut");
    let program = program.to_str().expect("a plain path");
    let run = [&["run", "--engine", "user"], arguments, &["--", program, case]].concat();
    let ended = output(&run);
    assert_code(&ended, 0);
    assert_eq!(stdout(&ended).trim(), says);
}

#[test]
fn the_number_and_the_call() {
    runs(&[], "plain", "changed");
}

#[test]
fn arguments_in_between() {
    runs(&[], "between", "changed");
}

#[test]
fn code_that_others_run_meanwhile() {
    runs(&[], "threads", "changed");
}

#[test]
fn what_does_not_change_at_once_changes_where_one_thread_is_alone() {
    runs(&[], "across", "changed");
    runs(&[], "across-threads", "as it was");
}

#[test]
fn a_forked_child_has_it_too() {
    runs(&[], "fork", "changed");
}

#[test]
fn code_is_left_alone_where_that_is_asked_for() {
    runs(&["--no-shortcuts"], "plain", "as it was");
    runs(&["--no-shortcuts"], "threads", "as it was");
}

#[test]
fn it_is_counted() {
    let program = build("shortcut");
    let program = program.to_str().expect("a plain path");
    let ended = output(&["run", "--engine", "user", "--stats=json", "--", program, "plain"]);
    assert_code(&ended, 0);
    let said = common::stderr(&ended);
    assert!(said.contains("\"shortcuts\":1"), "{said}");
}
