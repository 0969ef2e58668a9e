//! What a file is, seen from an `execve`: who will give it the handler?

use sysring_sys::call::{self, Offset};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User};

use super::Request;
use crate::memory;
use crate::message::Decimal;

/// A program that the object must load, because no dynamic linker will read LD_PRELOAD for it.
#[derive(Debug)]
pub struct Load {
    /// The file to load, opened.
    pub program: Fd,
    /// The scripts on the way to it.
    pub scripts: Scripts,
}

/// A script whose interpreter is a script whose interpreter…; the first is the file that the request names.
/// They are kept open and not in memory, for who executes a program may have little stack.
#[derive(Debug, Default)]
pub struct Scripts([Option<Fd>; DEPTH]);

/// The kernel goes on no further.
pub const DEPTH: usize = 5;

impl Scripts {
    /// From the last, whose interpreter is the program, to the first; `None` for one that has been changed
    /// meanwhile.
    pub fn inwards(&self) -> impl Iterator<Item = Option<Script>> {
        self.0.iter().rev().flatten().map(|&file| Script::parse(&head(file).ok()?))
    }

    /// Whether there was room.
    fn push(&mut self, script: Fd) -> bool {
        let free = self.0.iter_mut().find(|slot| slot.is_none());
        free.map(|slot| *slot = Some(script)).is_some()
    }
}

impl Drop for Scripts {
    fn drop(&mut self) {
        for &file in self.0.iter().flatten() {
            let _ = call::close(file);
        }
    }
}

/// Why the object loads a program not.
pub enum Spared {
    /// Nobody gives it the handler: it is a 32-bit program, which the object cannot be loaded into.
    Narrow,
    /// Its dynamic linker does, which reads LD_PRELOAD; or the kernel will say what is wrong with it.
    Other,
}

/// The first line of a script.
#[derive(Debug)]
pub struct Script {
    line: [u8; LINE],
    interpreter: (usize, usize),
    argument: (usize, usize),
}

/// As much of the first line as the kernel looks at.
const LINE: usize = 256;

impl Script {
    /// Reads `#! interpreter [argument]`; `None` where the kernel would not run it either.
    fn parse(head: &[u8; LINE + 1]) -> Option<Script> {
        let text = head.strip_prefix(b"#!")?;
        let text = &text[..text.iter().position(|&b| b == b'\n' || b == 0)?];
        let blank = |b: &u8| matches!(b, b' ' | b'\t');
        let start = text.iter().position(|b| !blank(b))?;
        let end = text[start..].iter().position(blank).map_or(text.len(), |n| start + n);
        let rest = text[end..].iter().position(|b| !blank(b)).map_or(text.len(), |n| end + n);
        let last = text.iter().rposition(|b| !blank(b)).map_or(rest, |n| n + 1).max(rest);
        let mut line = [0; LINE];
        line.get_mut(..text.len())?.copy_from_slice(text);
        Some(Script { line, interpreter: (start, end), argument: (rest, last) })
    }

    /// The interpreter's path.
    #[must_use]
    pub fn interpreter(&self) -> &[u8] {
        &self.line[self.interpreter.0..self.interpreter.1]
    }

    /// The one argument, which may hold blanks.
    #[must_use]
    pub fn argument(&self) -> Option<&[u8]> {
        Some(&self.line[self.argument.0..self.argument.1]).filter(|a| !a.is_empty())
    }
}

/// Looks at the file that a request names.
pub fn examine(request: &Request) -> core::result::Result<Load, Spared> {
    examine_open(open(request).map_err(|_| Spared::Other)?)
}

/// Opens the file that a request names, to be read.
pub fn open(request: &Request) -> Result<Fd> {
    let mut first = [0u8];
    memory::read_bytes(&mut first, request.path)?;
    if first[0] == 0 && request.flags & g::AT_EMPTY_PATH != 0 {
        return open_again(request.dir);
    }
    let nofollow = if request.flags & g::AT_SYMLINK_NOFOLLOW != 0 { g::O_NOFOLLOW } else { 0 };
    call::openat(request.dir, request.path, OPEN | nofollow, 0)
}

/// Not blocking, in case it is a pipe; not the terminal, in case it is one.
const OPEN: u32 = g::O_RDONLY | g::O_CLOEXEC | g::O_NONBLOCK | g::O_NOCTTY;

/// A readable descriptor of a file that is open already, perhaps as O_PATH.
fn open_again(fd: Fd) -> Result<Fd> {
    call::openat(Fd::CWD, User::of(path_of(fd).as_ptr()), OPEN, 0)
}

/// Where `/proc` has a descriptor of this process, ended by a null.
#[must_use]
pub fn path_of(fd: Fd) -> [u8; 40] {
    let number = Decimal::of(fd.raw() as u64);
    let mut path = [0; 40];
    for (to, from) in path.iter_mut().zip(b"/proc/self/fd/".iter().chain(number.as_bytes())) {
        *to = *from;
    }
    path
}

/// The same for an open file, which is closed unless it is needed.
fn examine_open(file: Fd) -> core::result::Result<Load, Spared> {
    let mut scripts = Scripts::default();
    let mut program = file;
    loop {
        match interpreter(program) {
            Ok(None) => return Ok(Load { program, scripts }),
            Ok(Some(next)) if scripts.push(program) => program = next,
            Ok(Some(next)) => {
                let _ = (call::close(next), call::close(program));
                return Err(Spared::Other);
            }
            Err(spared) => {
                let _ = call::close(program);
                return Err(spared);
            }
        }
    }
}

/// A script's interpreter, opened; `None` if the file is a program that is to be loaded.
#[inline(never)]
fn interpreter(file: Fd) -> core::result::Result<Option<Fd>, Spared> {
    let head = head(file)?;
    match Script::parse(&head) {
        Some(script) => open_interpreter(&script).map(Some).map_err(|_| Spared::Other),
        None => needs_loading(file, &head).map(|()| None),
    }
}

/// The first bytes of a file that may be executed. One more than the line that counts, for its end:
/// zero if the file is shorter.
fn head(file: Fd) -> core::result::Result<[u8; LINE + 1], Spared> {
    let mut head = [0u8; LINE + 1];
    match read_at(file, &mut head[..LINE], 0) {
        Ok(_) if may_execute(file) => Ok(head),
        _ => Err(Spared::Other),
    }
}

fn open_interpreter(script: &Script) -> Result<Fd> {
    let mut path = [0u8; LINE];
    path[..script.interpreter().len()].copy_from_slice(script.interpreter());
    call::openat(Fd::CWD, User::of(path.as_ptr()), OPEN, 0)
}

/// Fills `to` as far as the file reaches.
fn read_at(file: Fd, to: &mut [u8], at: u64) -> Result<usize> {
    call::pread_into(file, to, Offset(at as i64))
}

/// Whether it is a program of this architecture that no dynamic linker will give the object to.
fn needs_loading(file: Fd, head: &[u8; LINE + 1]) -> core::result::Result<(), Spared> {
    // Magic, 32 bits.
    if head.starts_with(b"\x7fELF\x01") {
        return Err(Spared::Narrow);
    }
    let elf = Elf::parse(head).ok_or(Spared::Other)?;
    match elf.linker(file) {
        Ok(Some(linker)) if linker.reads_preload && !is_privileged() => Err(Spared::Other),
        Ok(_) => Ok(()),
        // Not a file the kernel would run.
        Err(_) => Err(Spared::Other),
    }
}

/// Execute permission, by the ids that count for it. Before Linux 5.8 there is no such question: there
/// anybody's permission is taken for this process's.
fn may_execute(file: Fd) -> bool {
    const X_OK: usize = 1;
    let flags = (g::AT_EACCESS | g::AT_EMPTY_PATH) as usize;
    let empty = c"".as_ptr() as usize;
    // SAFETY: the path is an empty string of ours.
    let answer =
        unsafe { call::raw(g::__NR_faccessat2, [file.raw() as usize, empty, X_OK, flags, 0, 0]) };
    match answer {
        Err(Errno::ENOSYS) => call::permissions(file).is_ok_and(|mode| mode & 0o111 != 0),
        answer => answer.is_ok(),
    }
}

/// Whether the dynamic linker would refuse LD_PRELOAD because this process runs on borrowed
/// rights.
fn is_privileged() -> bool {
    let [uid, euid, _, gid, egid, _] = call::identity();
    uid != euid || gid != egid
}

/// The parts of an ELF header that tell how a program starts.
struct Elf {
    headers_at: u64,
    header_count: u16,
}

struct Linker {
    reads_preload: bool,
}

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const PT_INTERP: u32 = 3;
const PROGRAM_HEADER: usize = 56;

impl Elf {
    fn parse(head: &[u8; LINE + 1]) -> Option<Elf> {
        let half = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let word = |at: usize| u64::from_le_bytes(core::array::from_fn(|i| head[at + i]));
        // Magic, 64 bits, little-endian.
        let known = head.starts_with(b"\x7fELF\x02\x01")
            && matches!(half(16), ET_EXEC | ET_DYN)
            && half(18) == MACHINE
            && usize::from(half(54)) == PROGRAM_HEADER;
        known.then(|| Elf { headers_at: word(32), header_count: half(56) })
    }

    /// The program's dynamic linker, if it names one.
    fn linker(&self, file: Fd) -> Result<Option<Linker>> {
        for i in 0..u64::from(self.header_count) {
            let mut header = [0u8; PROGRAM_HEADER];
            read_at(file, &mut header, self.headers_at + i * PROGRAM_HEADER as u64)?;
            let word = |at: usize| u64::from_le_bytes(core::array::from_fn(|i| header[at + i]));
            if word(0) as u32 == PT_INTERP {
                let mut path = [0u8; 128];
                let len = (word(32) as usize).min(path.len());
                read_at(file, &mut path[..len], word(8))?;
                let path = path.split(|&b| b == 0).next().unwrap_or_default();
                let name = path.rsplit(|&b| b == b'/').next().unwrap_or_default();
                // glibc's and musl's, and Android's.
                let reads_preload = name.starts_with(b"ld") || name.starts_with(b"linker");
                return Ok(Some(Linker { reads_preload }));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &[u8]) -> Option<Script> {
        let mut head = [0; LINE + 1];
        let len = text.len().min(LINE);
        head[..len].copy_from_slice(&text[..len]);
        Script::parse(&head)
    }

    #[test]
    fn first_lines_are_read_as_the_kernel_reads_them() {
        for (text, interpreter, argument) in [
            (&b"#!/bin/sh\n"[..], &b"/bin/sh"[..], None),
            (b"#! /bin/sh  -e \t\nrest", b"/bin/sh", Some(&b"-e"[..])),
            (b"#!/usr/bin/env python3 -u\n", b"/usr/bin/env", Some(b"python3 -u")),
            (b"#!/bin/sh", b"/bin/sh", None),
        ] {
            let script = script(text).unwrap();
            assert_eq!(script.interpreter(), interpreter);
            assert_eq!(script.argument(), argument);
        }
        assert!(script(b"#!   \n").is_none());
        assert!(script(b"#\n").is_none());
        assert!(script(b"").is_none());
    }

    #[test]
    fn this_program_needs_no_loading() {
        let path = std::ffi::CString::new(std::env::current_exe().unwrap().to_str().unwrap());
        let path = path.unwrap();
        let file = call::openat(Fd::CWD, User::of(path.as_ptr().cast()), OPEN, 0).unwrap();
        assert!(matches!(examine_open(file), Err(Spared::Other)));
    }
}
