//! The kernel's functions that need no system call: the clock, and which processor this is.
//!
//! They lie in an ELF object that the kernel maps into every process; the auxiliary vector says
//! where. A C library finds them when it starts; we look when they are first wanted. Where there are
//! none, the system calls do.

use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;

use linux_raw_sys::general as g;

use crate::abi::{NSEC_PER_SEC, Timespec};
use crate::call::{self, Buffer};
use crate::{Fd, Result, User};

#[cfg(target_arch = "x86_64")]
const NAMES: [&[u8]; 2] = [b"__vdso_clock_gettime", b"__vdso_getcpu"];
#[cfg(target_arch = "aarch64")]
const NAMES: [&[u8]; 2] = [b"__kernel_clock_gettime", b"__kernel_getcpu"];

type ClockGettime = unsafe extern "C" fn(i32, *mut Timespec) -> i32;
type Getcpu = unsafe extern "C" fn(*mut u32, *mut u32, usize) -> i32;

/// Not looked for yet.
const UNKNOWN: usize = 0;
/// Looked for, and not there.
const NONE: usize = 1;

static FOUND: [AtomicUsize; 2] = [const { AtomicUsize::new(UNKNOWN) }; 2];

/// `CLOCK_MONOTONIC` in nanoseconds, by the fastest way there is.
#[inline]
#[must_use]
pub fn monotonic() -> u64 {
    let function = find(0);
    if function == NONE {
        return call::now(call::CLOCK_MONOTONIC) as u64;
    }
    let mut time = Timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the symbol of that name is such a function, and the vDSO is never unmapped by those
    // who could not do without it.
    unsafe {
        let function = core::mem::transmute::<usize, ClockGettime>(function);
        function(call::CLOCK_MONOTONIC as i32, &raw mut time);
    }
    (time.tv_sec * NSEC_PER_SEC + time.tv_nsec) as u64
}

/// The processor that this thread runs on, or did a moment ago.
#[inline]
#[must_use]
pub fn processor() -> u32 {
    let mut cpu = 0u32;
    let function = find(1);
    // SAFETY: the kernel's own function of this name and shape (`find`), mapped for the life of the
    // process, or the call that does the same; the second place is asked for, and the third not
    // used, by nobody.
    unsafe {
        if function == NONE {
            let _ = call::raw(g::__NR_getcpu, [&raw mut cpu as usize, 0, 0, 0, 0, 0]);
        } else {
            let function = core::mem::transmute::<usize, Getcpu>(function);
            function(&raw mut cpu, core::ptr::null_mut(), 0);
        }
    }
    cpu
}

#[inline]
fn find(index: usize) -> usize {
    // Relaxed: whoever looks finds the same, and the code is there from the start.
    match FOUND[index].load(Relaxed) {
        UNKNOWN => look(index),
        function => function,
    }
}

#[cold]
fn look(index: usize) -> usize {
    let object = auxiliary(AT_SYSINFO_EHDR).ok().flatten();
    // SAFETY: the kernel says that its object is there.
    let function = object.and_then(|at| unsafe { symbol(at as usize, NAMES[index]) });
    let function = function.unwrap_or(NONE);
    FOUND[index].store(function, Relaxed);
    function
}

/// An entry of the auxiliary vector.
fn auxiliary(kind: u64) -> Result<Option<u64>> {
    let file =
        call::openat(Fd::CWD, User::of(c"/proc/self/auxv".as_ptr().cast()), g::O_CLOEXEC, 0)?;
    let mut entries = [[0u64; 2]; 64];
    let into =
        Buffer { address: User::of(entries.as_mut_ptr()).cast(), len: size_of_val(&entries) };
    // SAFETY: an array of ours, so long.
    let read = unsafe { call::read(file, into) };
    let _ = call::close(file);
    let count = read? / size_of::<[u64; 2]>();
    Ok(entries[..count].iter().find(|entry| entry[0] == kind).map(|entry| entry[1]))
}

const AT_SYSINFO_EHDR: u64 = 33;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_GNU_HASH: u64 = 0x6fff_fef5;

#[repr(C)]
struct Segment {
    kind: u32,
    _flags: u32,
    offset: u64,
    address: u64,
    _rest: [u64; 4],
}

#[repr(C)]
struct Symbol {
    name: u32,
    _info: [u8; 2],
    section: u16,
    value: u64,
    _size: u64,
}

/// The address of a function in an ELF object that is mapped as it lies in its file.
///
/// # Safety
/// There is one at `start`, of this machine, with tables that are as they should be.
unsafe fn symbol(start: usize, name: &[u8]) -> Option<usize> {
    // SAFETY: the caller's promise, here and below.
    let (segments, count) = unsafe {
        let at = (start as *const u8).add(32).cast::<u64>().read() as usize;
        ((start + at) as *const Segment, (start as *const u8).add(56).cast::<u16>().read())
    };
    let (mut slide, mut dynamic) = (None, None);
    for i in 0..count as usize {
        // SAFETY: below `count`: a segment of the object's.
        let segment = unsafe { &*segments.add(i) };
        match segment.kind {
            PT_LOAD if slide.is_none() => {
                slide =
                    Some((start + segment.offset as usize).wrapping_sub(segment.address as usize));
            }
            PT_DYNAMIC => dynamic = Some((start + segment.offset as usize) as *const [u64; 2]),
            _ => {}
        }
    }
    let (slide, mut dynamic) = (slide?, dynamic?);
    let (mut names, mut symbols, mut hash, mut gnu_hash) = (None, None, None, None);
    loop {
        // SAFETY: an entry of the dynamic section, which ends with a zero; the loop ends there.
        let [tag, value] = unsafe { dynamic.read() };
        let address = slide.wrapping_add(value as usize);
        match tag {
            0 => break,
            DT_HASH => hash = Some(address as *const u32),
            DT_STRTAB => names = Some(address as *const u8),
            DT_SYMTAB => symbols = Some(address as *const Symbol),
            DT_GNU_HASH => gnu_hash = Some(address as *const u32),
            _ => {}
        }
        // SAFETY: this was not the last one.
        dynamic = unsafe { dynamic.add(1) };
    }
    let (names, symbols) = (names?, symbols?);
    // SAFETY: the tables of the object, by the caller's promise as they should be.
    let count = unsafe {
        match (hash, gnu_hash) {
            (Some(hash), _) => hash.add(1).read() as usize,
            (None, Some(hash)) => count_by_gnu_hash(hash),
            (None, None) => return None,
        }
    };
    (1..count).find_map(|i| {
        // SAFETY: below `count`: a symbol of the table.
        let symbol = unsafe { &*symbols.add(i) };
        // SAFETY: names are C strings in their table.
        let its = unsafe { core::ffi::CStr::from_ptr(names.add(symbol.name as usize).cast()) };
        let found = symbol.section != 0 && its.to_bytes() == name;
        found.then(|| slide.wrapping_add(symbol.value as usize))
    })
}

/// How many symbols there are, which this kind of table does not say: one more than the last one of
/// the last chain.
///
/// # Safety
/// There is such a table.
unsafe fn count_by_gnu_hash(table: *const u32) -> usize {
    // SAFETY: the caller's promise, here and below.
    let [buckets, first, bloom] = [0, 1, 2].map(|i| unsafe { table.add(i).read() } as usize);
    let start = 4 + 2 * bloom;
    // SAFETY: as many buckets as the table says it has.
    let last = (0..buckets).map(|i| unsafe { table.add(start + i).read() } as usize).max();
    let Some(mut last) = last.filter(|&last| last >= first) else { return first };
    // SAFETY: the chain of the last symbol that a bucket names; its lowest bit ends it.
    while unsafe { table.add(start + buckets + last - first).read() } & 1 == 0 {
        last += 1;
    }
    last + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_the_clock() {
        for _ in 0..1000 {
            let before = call::now(call::CLOCK_MONOTONIC) as u64;
            let between = monotonic();
            let after = call::now(call::CLOCK_MONOTONIC) as u64;
            assert!(before <= between && between <= after);
        }
    }

    #[test]
    fn the_processor_is_one_there_is() {
        assert!(processor() < call::cpu_count().max(1));
    }

    #[test]
    fn symbols_are_found_here() {
        // Where the kernel has no such object (qemu-user, some sandboxes), calls are made instead.
        match auxiliary(AT_SYSINFO_EHDR) {
            // That of aarch64 tells no processor.
            Ok(Some(_)) => assert!(
                (0..NAMES.len())
                    .all(|i| look(i) != NONE || cfg!(target_arch = "aarch64") && i == 1)
            ),
            _ => println!("skipped: this process has no vDSO, or no /proc"),
        }
    }
}
