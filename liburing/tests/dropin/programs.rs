//! Programs that were compiled against liburing's headers, on each engine.

use std::io::Write;
use std::process::Stdio;

use crate::common::{Linked, Place, library, program, stdout};

#[test]
fn files_are_written_and_read_back() {
    for linked in [Linked::Shared, Linked::Static] {
        let Some(program) = program("files", linked) else { return };
        for place in Place::all() {
            let said = stdout(&mut place.command(&program));
            assert_eq!(said.trim(), place.engine(), "{linked:?}");
        }
    }
}

#[test]
fn answers_are_liburings() {
    let Some(program) = program("answers", Linked::Shared) else { return };
    for place in Place::all() {
        stdout(&mut place.command(&program));
    }
}

#[test]
fn a_thread_without_libc_has_rings() {
    let Some(program) = program("bare_thread", Linked::Shared) else { return };
    for place in Place::all() {
        stdout(&mut place.command(&program));
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_wait_that_ends_has_a_completion() {
    let Some(program) = program("race", Linked::Shared) else { return };
    stdout(&mut Place::User.command(&program));
}

#[test]
fn signal_handlers_may_use_rings() {
    let Some(program) = program("signals", Linked::Shared) else { return };
    for place in Place::all() {
        stdout(&mut place.command(&program));
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_program_without_libc_has_rings() {
    let Some(program) = program("no_libc", Linked::Alone) else { return };
    let text = "through a ring\n".repeat(20_000);
    for place in Place::all() {
        let mut command = place.command(&program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let sent = text.clone();
        let writer = std::thread::spawn(move || input.write_all(sent.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success(), "{place:?}: {}", output.status);
        assert_eq!(output.stdout, text.as_bytes(), "{place:?}");
    }
}

#[test]
fn ffi_functions_do_what_inline_ones_do() {
    let Some(program) = program("prepare", Linked::Later) else { return };
    let said = stdout(Place::User.command(&program).arg(library("liburing-ffi.so.2")));
    let count: u32 = said.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap();
    assert!(count >= 70, "{said}");
}
