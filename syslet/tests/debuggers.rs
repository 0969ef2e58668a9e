//! Scopes under strace and gdb.

mod common;

use std::process::Command;

use common::{Pipe, in_process, move_once, said, skipped};
use sysring_syslet::scope;

/// Where gdb stops.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn syslet_test_stop_here(n: u32) {
    std::hint::black_box(n);
}

#[inline(never)]
fn frame_of_the_caller() {
    let mut pipe = Pipe::new();
    scope(|s| {
        for n in 0..20 {
            move_once(s, &mut pipe);
            syslet_test_stop_here(n);
        }
    });
    println!("at the end");
}

fn lacks(program: &str) -> bool {
    let missing = Command::new(program).arg("--version").output().is_err();
    if missing {
        println!("skipped: there is no {program} here");
    }
    missing
}

#[test]
fn strace_follows() {
    if skipped() || lacks("strace") {
        return;
    }
    let wrapper = ["strace", "-f", "-e", "trace=read", "-o", "/dev/stdout"];
    let Some(output) = in_process(&wrapper, "strace_follows", frame_of_the_caller) else { return };
    let said = said(&output);
    if said.contains("Operation not permitted") {
        return println!("skipped: strace may not trace here");
    }
    assert!(output.status.success(), "{said}");
    assert!(said.contains("at the end"), "{said}");
    // Each read of a byte is there, whole or resumed.
    assert!(said.matches("\"x\", 1").count() >= 20, "{said}");
}

#[test]
fn gdb_stops_in_a_scope_and_sees_the_caller() {
    if skipped() || lacks("gdb") {
        return;
    }
    let wrapper = [
        "gdb",
        "-q",
        "-nx",
        "-batch",
        "-ex",
        "set debuginfod enabled off",
        "-ex",
        "break syslet_test_stop_here",
        "-ex",
        "run",
        "-ex",
        "ignore 1 5",
        "-ex",
        "continue",
        "-ex",
        "backtrace",
        "-ex",
        "info threads",
        "-ex",
        "delete",
        "-ex",
        "continue",
        "--args",
    ];
    let name = "gdb_stops_in_a_scope_and_sees_the_caller";
    let Some(output) = in_process(&wrapper, name, frame_of_the_caller) else { return };
    let said = said(&output);
    if said.contains("ptrace: Operation not permitted") {
        return println!("skipped: gdb may not trace here");
    }
    assert!(said.contains("debuggers::frame_of_the_caller"), "{said}");
    assert!(said.contains("syslet-idle"), "{said}");
    assert!(said.contains("at the end"), "{said}");
    assert!(said.contains("exited normally"), "{said}");
}
