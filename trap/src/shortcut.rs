//! A way around the trap, for code that has been trapped often.
//!
//! A trap costs a microsecond, a call of the engine's a fifth of that. Where a program makes
//! `io_uring_enter` as compilers have it,
//!
//! ```text
//!     mov eax, 426        5 bytes
//!     ...                 perhaps arguments moved between registers
//!     syscall             2 bytes
//! ```
//!
//! the first instruction becomes a jump of the same length, to a copy of those before the
//! `syscall`, which then calls the engine and goes on behind it. Everything else stays where it
//! is: code that jumps to the middle is trapped as before. What the program sees is what the system
//! call promises: all registers kept but rax, rcx and r11, the flags and the red zone too.
//!
//! Only the process's private copy of the page is changed, under conditions that are checked
//! (`attempt`); where one does not hold, or the machine does not allow it, the trap goes on.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};

use sysring_engine::{stats, user};
use sysring_sys::abi::PAGE;
use sysring_sys::front::Enter;
use sysring_sys::raw::general as g;
use sysring_sys::{Fd, Result, User, call};

use crate::maps::{self, Text};
use crate::{process, threads};

/// Traps before a call site is looked at, so that short programs are left alone, and between looks.
const PATIENCE: u32 = 16;

/// Looks at sites that came to nothing, before no more are looked at.
const FAILURES: u32 = 8;

/// `mov eax, 426`, which is replaced.
const MOV: [u8; 5] = [0xb8, 0xaa, 0x01, 0, 0];
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// What may lie between the two.
const BETWEEN: usize = 12;
/// What is looked at: a byte before, and everything.
const LOOK: usize = 1 + MOV.len() + BETWEEN + SYSCALL.len();

/// What processors see change at once, in code that others run: an aligned word.
const WORD: usize = 8;
/// How far a jump reaches, less room for the rounding of addresses.
const REACH: usize = (1 << 31) - (1 << 20);
/// Stack that must be left: the engine runs on the caller's.
const ROOM: usize = 64 * 1024;

static ALLOWED: AtomicBool = AtomicBool::new(false);
static TRAPS: AtomicU32 = AtomicU32::new(0);
static FAILED: AtomicU32 = AtomicU32::new(0);
/// A thread is at it; the others go on by the trap.
static BUSY: AtomicBool = AtomicBool::new(false);

/// Allows shortcuts to `enter`.
pub fn allow(enter: Enter) {
    // `keep_and_enter` keeps what the engine uses if it is built for any x86-64.
    if cfg!(target_feature = "avx") {
        return;
    }
    TARGET.store(enter as usize, Relaxed);
    // Release pairs with the Acquire in `trapped`: the target is set.
    ALLOWED.store(true, Release);
}

/// An `io_uring_enter` was trapped: it returns to `end`, with the stack pointer `stack`.
pub fn trapped(end: usize, stack: usize) {
    if !ALLOWED.load(Acquire) || TRAPS.fetch_add(1, Relaxed) % PATIENCE != PATIENCE - 1 {
        return;
    }
    // Acquire and Release: one after the other.
    if BUSY.swap(true, Acquire) {
        return;
    }
    match attempt(end, stack) {
        Some(()) => stats::add(&stats::get().shortcuts, 1),
        None if FAILED.fetch_add(1, Relaxed) + 1 >= FAILURES => ALLOWED.store(false, Relaxed),
        None => {}
    }
    BUSY.store(false, Release);
}

/// Replaces the instruction, if the code is the usual, in memory that is a file's and is not written;
/// if it can be replaced at once; and if the calling thread has room on its stack, as those that
/// come here later will.
fn attempt(end: usize, stack: usize) -> Option<()> {
    let code: [u8; LOOK] = user::read(User::new(end.checked_sub(LOOK)? as u64)).ok()?;
    let copied = usual(&code)?;
    let site = end - SYSCALL.len() - copied.len();
    let how = How::of(site)?;
    let text = Text::read(c"/proc/self/maps").ok()?;
    let of = |address: usize| maps::mappings(text.bytes()).find(|m| m.range.contains(&address));
    if of(site)?.permissions != b"r-xp" {
        return None;
    }
    let beneath = of(stack)?;
    // The main thread's stack grows.
    if beneath.name != b"[stack]" && stack - beneath.range.start < ROOM {
        return None;
    }
    let stub = place_near(site)?;
    let redirected = write_stub(stub, copied, end).and_then(|()| redirect(site, how, stub));
    if redirected.is_err() {
        // SAFETY: the page that was just mapped, which nothing jumps to.
        let _ = unsafe { call::munmap(stub, PAGE) };
    }
    redirected.ok()
}

/// How the instruction is replaced: whoever runs it sees it as it was or as it will be, not between.
#[derive(Clone, Copy)]
enum How {
    /// It lies in one aligned word, which all processors see change at once.
    Aligned,
    /// There is no other thread, and a store is whole before or after a signal.
    Alone,
}

impl How {
    fn of(site: usize) -> Option<How> {
        if site % WORD <= WORD - MOV.len() {
            return Some(How::Aligned);
        }
        let in_one_page = site % PAGE <= PAGE - WORD;
        // A child of `vfork` is alone, but its memory is its parent's.
        let alone = in_one_page && !process::is_borrowed() && threads::is_alone();
        alone.then_some(How::Alone)
    }
}

/// The instructions before the `syscall` that `code` ends with, from where its number is loaded, if
/// they do nothing but move values between registers.
fn usual(code: &[u8; LOOK]) -> Option<&[u8]> {
    let before = code.strip_suffix(&SYSCALL)?;
    (0..=BETWEEN).find_map(|between| {
        let start = before.len() - between - MOV.len();
        let (mov, rest) = before[start..].split_at(MOV.len());
        // With a prefix it is another register's.
        let prefixed = matches!(before[start - 1], 0x40..=0x4f | 0x66 | 0xf2 | 0xf3);
        (mov == MOV && !prefixed && only_moves(rest)).then(|| &before[start..])
    })
}

/// Whether these are whole instructions that work on registers and numbers alone, wherever they
/// are: `mov` and `xor` of registers, `mov` of a number.
fn only_moves(mut code: &[u8]) -> bool {
    while !code.is_empty() {
        let unprefixed = match code {
            [0x40..=0x4f, rest @ ..] => rest,
            all => all,
        };
        let wide = unprefixed.len() != code.len() && code[0] & 8 != 0;
        code = match unprefixed {
            // Two registers, by the byte that follows.
            [0x89 | 0x8b | 0x31 | 0x33, 0xc0..=0xff, rest @ ..] => rest,
            [0xb8..=0xbf, _, _, _, _, rest @ ..] if !wide => rest,
            _ => return false,
        };
    }
    true
}

/// A page of ours that a jump from `site` reaches.
fn place_near(site: usize) -> Option<usize> {
    const STEP: usize = 1 << 20;
    let flags = g::MAP_PRIVATE | g::MAP_ANONYMOUS | g::MAP_FIXED_NOREPLACE;
    let protection = g::PROT_READ | g::PROT_WRITE;
    // Below the program first: its heap grows above it.
    let start = site & !(PAGE - 1);
    let below = (1..REACH / STEP).filter_map(|i| start.checked_sub(i * STEP));
    let above = (1..REACH / STEP).filter_map(|i| start.checked_add(i * STEP));
    below.chain(above).find(|&at| {
        // SAFETY: the flags promise that nothing is replaced.
        match unsafe { call::mmap(at, PAGE, protection, flags, Fd::NONE, 0) } {
            Ok(mapped) if mapped == at => true,
            Ok(elsewhere) => {
                // A kernel before 4.17 takes the address for a hint.
                // SAFETY: the page just mapped.
                let _ = unsafe { call::munmap(elsewhere, PAGE) };
                false
            }
            Err(_) => false,
        }
    })
}

/// Writes the code that a site jumps to, which returns to `end`: a copy of what was there, and then
/// the call.
fn write_stub(stub: usize, copied: &[u8], end: usize) -> Result<()> {
    /// Leaves the red zone alone; calls what the last eight bytes say; goes on.
    const CODE: [u8; 32] = [
        0x48, 0x8d, 0x64, 0x24, 0x80, // lea rsp, [rsp - 128]
        0xff, 0x15, 0x0d, 0, 0, 0, // call [rip + 13]
        0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0, // lea rsp, [rsp + 128]
        0xe9, 0, 0, 0, 0, // jmp end
        0, 0, 0, 0, 0, 0, 0, 0, // the address of `keep_and_enter`
    ];
    const JUMP_ENDS: usize = 24;
    let call = stub + copied.len();
    let mut code = CODE;
    code[JUMP_ENDS - 4..JUMP_ENDS].copy_from_slice(&distance(call + JUMP_ENDS, end));
    code[JUMP_ENDS..].copy_from_slice(&(keep_and_enter as *const () as usize).to_le_bytes());
    // SAFETY: the page is mapped, writable, ours, larger than both, and no code yet.
    unsafe {
        core::ptr::copy_nonoverlapping(copied.as_ptr(), stub as *mut u8, copied.len());
        (call as *mut [u8; CODE.len()]).write(code);
        call::mprotect(stub, PAGE, g::PROT_READ | g::PROT_EXEC)
    }
}

/// What a jump adds to the address behind it.
fn distance(from: usize, to: usize) -> [u8; 4] {
    (to.wrapping_sub(from) as i32).to_le_bytes()
}

/// Makes the instruction at `site` a jump to `stub`.
fn redirect(site: usize, how: How, stub: usize) -> Result<()> {
    let page = site & !(PAGE - 1);
    let [a, b, c, d] = distance(site + MOV.len(), stub);
    let (at, replace) = match how {
        How::Aligned => (site & !(WORD - 1), exchange as unsafe fn(usize, u64, u64) -> bool),
        How::Alone => (site, store as _),
    };
    // SAFETY: the mapping is the program's text: as readable and executable as before all the
    // time, and written here alone. The word lies in one page of it, and changes only where the
    // instruction is, and only if that still is what it was. Where others could run it, it changes
    // for all at once.
    let changed = unsafe {
        call::mprotect(page, PAGE, g::PROT_READ | g::PROT_WRITE | g::PROT_EXEC)?;
        let before = (at as *const [u8; WORD]).read_volatile();
        let mut after = before;
        let within = site - at;
        after[within..within + MOV.len()].copy_from_slice(&[0xe9, a, b, c, d]);
        let as_found = before[within..within + MOV.len()] == MOV;
        let changed =
            as_found && replace(at, u64::from_le_bytes(before), u64::from_le_bytes(after));
        // Where this is refused, what could be done with the page before can still be.
        let _ = call::mprotect(page, PAGE, g::PROT_READ | g::PROT_EXEC);
        changed
    };
    // Other processors may have read ahead: they look again before they go on.
    call::membarrier_sync_core();
    if changed { Ok(()) } else { Err(sysring_sys::Errno::EAGAIN) }
}

/// Compares and exchanges an aligned word.
///
/// # Safety
/// It must be mapped and writable, and nobody may rely on its not changing.
unsafe fn exchange(at: usize, before: u64, after: u64) -> bool {
    let found: u64;
    // SAFETY: the caller's promise.
    unsafe {
        core::arch::asm!(
            "lock cmpxchg qword ptr [{at}], {after}",
            at = in(reg) at,
            after = in(reg) after,
            inout("rax") before => found,
            options(nostack),
        );
    }
    found == before
}

/// Stores a word wherever it lies, in one instruction. (A locked one across two cache lines stops all
/// processors, and some kernels end who does that.)
///
/// # Safety
/// As of [`exchange`], and nobody else may change it.
unsafe fn store(at: usize, _before: u64, after: u64) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        core::arch::asm!(
            "mov qword ptr [{at}], {after}",
            at = in(reg) at,
            after = in(reg) after,
            options(nostack, preserves_flags),
        );
    }
    true
}

/// Calls the engine as a function and keeps what a system call keeps and a function does not: six
/// registers, sixteen vector registers (of which the engine uses no wider ones, see [`allow`]), the flags.
#[unsafe(naked)]
unsafe extern "C" fn keep_and_enter() {
    core::arch::naked_asm!(
        "endbr64",
        "pushfq",
        "push rdi",
        "push rsi",
        "push rdx",
        "push r8",
        "push r9",
        "push r10",
        "push rbp",
        "mov rbp, rsp",
        "and rsp, -16",
        "sub rsp, 256",
        "movaps [rsp], xmm0",
        "movaps [rsp + 16], xmm1",
        "movaps [rsp + 32], xmm2",
        "movaps [rsp + 48], xmm3",
        "movaps [rsp + 64], xmm4",
        "movaps [rsp + 80], xmm5",
        "movaps [rsp + 96], xmm6",
        "movaps [rsp + 112], xmm7",
        "movaps [rsp + 128], xmm8",
        "movaps [rsp + 144], xmm9",
        "movaps [rsp + 160], xmm10",
        "movaps [rsp + 176], xmm11",
        "movaps [rsp + 192], xmm12",
        "movaps [rsp + 208], xmm13",
        "movaps [rsp + 224], xmm14",
        "movaps [rsp + 240], xmm15",
        "cld",
        // The fourth argument: rcx is the system call's own.
        "mov rcx, r10",
        "call [rip + {enter}]",
        "movaps xmm0, [rsp]",
        "movaps xmm1, [rsp + 16]",
        "movaps xmm2, [rsp + 32]",
        "movaps xmm3, [rsp + 48]",
        "movaps xmm4, [rsp + 64]",
        "movaps xmm5, [rsp + 80]",
        "movaps xmm6, [rsp + 96]",
        "movaps xmm7, [rsp + 112]",
        "movaps xmm8, [rsp + 128]",
        "movaps xmm9, [rsp + 144]",
        "movaps xmm10, [rsp + 160]",
        "movaps xmm11, [rsp + 176]",
        "movaps xmm12, [rsp + 192]",
        "movaps xmm13, [rsp + 208]",
        "movaps xmm14, [rsp + 224]",
        "movaps xmm15, [rsp + 240]",
        "mov rsp, rbp",
        "pop rbp",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdx",
        "pop rsi",
        "pop rdi",
        "popfq",
        "ret",
        enter = sym TARGET,
    )
}

/// The engine's front, for the code above: never zero once there is a jump to it.
static TARGET: AtomicUsize = AtomicUsize::new(0);

#[cfg(test)]
mod tests {
    use super::*;

    fn look(code: &[u8]) -> Option<usize> {
        let mut all = [0x90; LOOK];
        all[LOOK - code.len()..].copy_from_slice(code);
        usual(&all).map(<[u8]>::len)
    }

    #[test]
    fn the_usual_code_is_known() {
        assert_eq!(look(&[0xb8, 0xaa, 1, 0, 0, 0x0f, 5]), Some(5));
        // mov edx, ebp; xor r9d, r9d; mov r10d, 1
        let between = [0x89, 0xea, 0x45, 0x31, 0xc9, 0x41, 0xba, 1, 0, 0, 0];
        let code = [&MOV[..], &between, &SYSCALL].concat();
        assert_eq!(look(&code), Some(16));
    }

    #[test]
    fn what_is_not_is_left_alone() {
        // Another number, another register, memory, a jump, half an instruction.
        assert_eq!(look(&[0xb8, 0xa9, 1, 0, 0, 0x0f, 5]), None);
        assert_eq!(look(&[0x41, 0xb8, 0xaa, 1, 0, 0, 0x0f, 5]), None);
        assert_eq!(look(&[0xb8, 0xaa, 1, 0, 0, 0x8b, 0x17, 0x0f, 5]), None);
        assert_eq!(look(&[0xb8, 0xaa, 1, 0, 0, 0xeb, 0, 0x0f, 5]), None);
        assert_eq!(look(&[0xb8, 0xaa, 1, 0, 0, 0x45, 0x31, 0x0f, 5]), None);
        assert_eq!(look(&[0xb8, 0xaa, 1, 0, 0, 0x48, 0xb8, 0, 0, 0, 0, 0x0f, 5]), None);
    }
}
