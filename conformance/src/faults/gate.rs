//! A gate that lets some of the engine's system calls fail.
//!
//! All calls of `sys` leave through one instruction, the gate, which can be moved. Here it is moved
//! to a function that asks first whether this call shall fail, and answers in the kernel's place
//! if so. What the program under test calls itself does not come this way, and where nothing is to
//! fail the gate stays where it is and costs nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::errors;

/// Calls by number: how many of each the program has made.
const NUMBERS: usize = 512;
static MADE: [AtomicU64; NUMBERS] = [const { AtomicU64::new(0) }; NUMBERS];
static ARMED: AtomicBool = AtomicBool::new(false);
static SEED: AtomicU64 = AtomicU64::new(0);
/// Of a thousand calls that many fail.
static SHARE: AtomicU64 = AtomicU64::new(0);
/// How many of each number have failed.
static FAILED: [AtomicU64; NUMBERS] = [const { AtomicU64::new(0) }; NUMBERS];

/// Moves the gate here, for the life of the process.
pub fn stand_here() {
    // SAFETY: the function below keeps every register but those the instruction loses itself, and
    // stays where it is.
    unsafe { sysring_sys::arch::move_gate(gate as *const () as usize) };
}

/// From now on `share` of a thousand calls fail: which, the seed decides, and how many of its
/// number were made before. Where threads of the engine work at once, that order is theirs.
pub fn arm(seed: u64, share: u64) {
    ARMED.store(false, Ordering::SeqCst);
    MADE.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    SEED.store(seed, Ordering::Relaxed);
    SHARE.store(share, Ordering::Relaxed);
    ARMED.store(true, Ordering::SeqCst);
}

/// From now on nothing fails.
pub fn disarm() {
    ARMED.store(false, Ordering::SeqCst);
}

/// The calls that have failed since this was asked last, by number, and how often.
pub fn take_failed() -> Vec<(usize, u64)> {
    let failed = FAILED.iter().map(|count| count.swap(0, Ordering::Relaxed));
    failed.enumerate().filter(|(_, count)| *count > 0).collect()
}

/// The negated errno that a call answers, or 0 where it goes to the kernel. Runs on threads of the
/// engine, which have no thread-local storage and small stacks.
extern "C" fn decide(nr: u64, first: u64, second: u64, third: u64) -> i64 {
    if !ARMED.load(Ordering::Relaxed) {
        return 0;
    }
    let errors = errors::of(nr, [first, second, third]);
    let (false, Some(made)) = (errors.is_empty(), MADE.get(nr as usize)) else { return 0 };
    let turn = made.fetch_add(1, Ordering::Relaxed);
    let mut mixed = SEED.load(Ordering::Relaxed) ^ (nr << 40 | turn);
    // SplitMix64's finish, twice: neighbours must not look alike.
    for _ in 0..2 {
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed = mixed.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ (mixed >> 31);
    }
    if mixed % 1000 >= SHARE.load(Ordering::Relaxed) {
        return 0;
    }
    FAILED[nr as usize].fetch_add(1, Ordering::Relaxed);
    -i64::from(errors[(mixed >> 32) as usize % errors.len()])
}

/// The gate: the registers of a system call in, its answer out; only rcx and r11 are lost, as with
/// the instruction itself. The vector registers are saved for `decide`'s sake.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn gate() {
    core::arch::naked_asm!(
        "push rbx",
        "push rax",
        "push rdi",
        "push rsi",
        "push rdx",
        "push r10",
        "push r8",
        "push r9",
        "mov rbx, rsp",
        "sub rsp, 512",
        "and rsp, -64",
        "fxsave64 [rsp]",
        "mov rcx, rdx",
        "mov rdx, rsi",
        "mov rsi, rdi",
        "mov rdi, rax",
        "call {decide}",
        "fxrstor64 [rsp]",
        "mov rsp, rbx",
        "pop r9",
        "pop r8",
        "pop r10",
        "pop rdx",
        "pop rsi",
        "pop rdi",
        "pop r11",
        "pop rbx",
        "test rax, rax",
        "jnz 2f",
        "mov rax, r11",
        "syscall",
        "2:",
        "ret",
        decide = sym decide,
    )
}

/// The gate: the registers of a system call in, its answer in x0; the caller of `svc` expects all
/// others back. The vector registers are saved for `decide`'s sake.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn gate() {
    core::arch::naked_asm!(
        "sub sp, sp, #704",
        "stp x0, x1, [sp]",
        "stp x2, x3, [sp, #16]",
        "stp x4, x5, [sp, #32]",
        "stp x6, x7, [sp, #48]",
        "stp x8, x9, [sp, #64]",
        "stp x10, x11, [sp, #80]",
        "stp x12, x13, [sp, #96]",
        "stp x14, x15, [sp, #112]",
        "stp x16, x17, [sp, #128]",
        "stp x18, x30, [sp, #144]",
        "stp q0, q1, [sp, #160]",
        "stp q2, q3, [sp, #192]",
        "stp q4, q5, [sp, #224]",
        "stp q6, q7, [sp, #256]",
        "stp q16, q17, [sp, #288]",
        "stp q18, q19, [sp, #320]",
        "stp q20, q21, [sp, #352]",
        "stp q22, q23, [sp, #384]",
        "stp q24, q25, [sp, #416]",
        "stp q26, q27, [sp, #448]",
        "stp q28, q29, [sp, #480]",
        "stp q30, q31, [sp, #512]",
        "stp q8, q9, [sp, #544]",
        "stp q10, q11, [sp, #576]",
        "stp q12, q13, [sp, #608]",
        "stp q14, q15, [sp, #640]",
        "mov x3, x2",
        "mov x2, x1",
        "mov x1, x0",
        "mov x0, x8",
        "bl {decide}",
        "str x0, [sp, #672]",
        "ldp q14, q15, [sp, #640]",
        "ldp q12, q13, [sp, #608]",
        "ldp q10, q11, [sp, #576]",
        "ldp q8, q9, [sp, #544]",
        "ldp q30, q31, [sp, #512]",
        "ldp q28, q29, [sp, #480]",
        "ldp q26, q27, [sp, #448]",
        "ldp q24, q25, [sp, #416]",
        "ldp q22, q23, [sp, #384]",
        "ldp q20, q21, [sp, #352]",
        "ldp q18, q19, [sp, #320]",
        "ldp q16, q17, [sp, #288]",
        "ldp q6, q7, [sp, #256]",
        "ldp q4, q5, [sp, #224]",
        "ldp q2, q3, [sp, #192]",
        "ldp q0, q1, [sp, #160]",
        "ldp x18, x30, [sp, #144]",
        "ldp x16, x17, [sp, #128]",
        "ldp x14, x15, [sp, #112]",
        "ldp x12, x13, [sp, #96]",
        "ldp x10, x11, [sp, #80]",
        "ldp x8, x9, [sp, #64]",
        "ldp x6, x7, [sp, #48]",
        "ldp x4, x5, [sp, #32]",
        "ldp x2, x3, [sp, #16]",
        "ldr x0, [sp, #672]",
        "cbnz x0, 2f",
        "ldp x0, x1, [sp]",
        "add sp, sp, #704",
        "svc #0",
        "ret",
        "2:",
        "ldr x1, [sp, #8]",
        "add sp, sp, #704",
        "ret",
        decide = sym decide,
    )
}
