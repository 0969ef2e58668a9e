//! What a function keeps for its caller, whichever thread comes back from the call.
#![cfg(target_arch = "x86_64")]

mod common;

use std::arch::asm;

use common::{Pipe, READ, skipped};
use sysring_syslet::{Builder, Outcome, Scope};

/// Every kind of scope that moves.
fn kinds() -> [Builder; 2] {
    // SAFETY: nothing here changes the processors of threads.
    [Builder::new(), unsafe { Builder::new().cpu_local() }]
}

/// A call as a function of C's.
struct Made<'a> {
    scope: &'a Scope,
    number: u32,
    args: [usize; 6],
    outcome: Option<Outcome>,
}

#[inline(never)]
extern "C" fn make(call: &mut Made<'_>) {
    // SAFETY: the tests below give memory that outlives the scope.
    call.outcome = Some(unsafe { call.scope.call(call.number, call.args) });
}

/// Makes the call with a number in each register that a function keeps; what they hold afterwards, and
/// by how much the stack has moved.
fn registers_around(call: &mut Made<'_>) -> [usize; 7] {
    let mut after = [0usize; 7];
    // SAFETY: `make` is a function of C's. rbx and rbp are put back.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "push rsi",
            "push rsp",
            "mov ebx, 1",
            "mov ebp, 2",
            "mov r12d, 3",
            "mov r13d, 4",
            "mov r14d, 5",
            "mov r15d, 6",
            "call {make}",
            "mov rax, [rsp + 8]",
            "mov [rax], rbx",
            "mov [rax + 8], rbp",
            "mov [rax + 16], r12",
            "mov [rax + 24], r13",
            "mov [rax + 32], r14",
            "mov [rax + 40], r15",
            "lea rcx, [rsp + 8]",
            "sub rcx, [rsp]",
            "mov [rax + 48], rcx",
            "add rsp, 16",
            "pop rbp",
            "pop rbx",
            make = sym make,
            inlateout("rdi") call => _,
            inlateout("rsi") after.as_mut_ptr() => _,
            out("r12") _,
            out("r13") _,
            out("r14") _,
            out("r15") _,
            clobber_abi("C"),
        );
    }
    after
}

#[test]
fn registers_that_a_function_keeps_are_kept() {
    if skipped() {
        return;
    }
    let mut pipe = Pipe::new();
    for kind in kinds() {
        kind.scope(|scope| {
            let args = [0; 6];
            for _ in 0..100 {
                let mut pid = Made { scope, number: libc::SYS_getpid as u32, args, outcome: None };
                assert_eq!(registers_around(&mut pid), [1, 2, 3, 4, 5, 6, 0]);
                let mut read = Made { scope, number: READ, args: pipe.read(), outcome: None };
                assert_eq!(registers_around(&mut read), [1, 2, 3, 4, 5, 6, 0]);
                assert!(matches!(read.outcome, Some(Outcome::Pending(_))), "an empty pipe");
                pipe.write(b'r');
                assert_eq!(scope.wait(1).count(), 1);
            }
        });
    }
}
