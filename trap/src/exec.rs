//! Carrying the handler through `exec`, where the filter goes by itself.
//!
//! A dynamically linked program gets the object by LD_PRELOAD, put back if the environment lost
//! it. Any other is loaded by the object: that is executed in its place, with a descriptor of the
//! program in its arguments. Where it cannot be told what a file is, the kernel has the last word:
//! the call is made as it stands, and fails or succeeds by the kernel's rules.

use core::ffi::CStr;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use sysring_sys::abi::PATH_MAX;
use sysring_sys::abi::signal::{SIG_SETMASK, SigSet};
use sysring_sys::call;
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User};

use crate::context::Context;
use crate::memory::{self, Pointers};
use crate::message::{self, Decimal, Notice};
use crate::scratch::Scratch;

mod environment;
mod target;

use target::Spared;
pub use target::{Load, Script, Scripts, path_of};

/// The second argument of the object run as a loader, followed by a descriptor in decimal. The
/// third is the program's path, the rest its own arguments.
pub const LOAD: &[u8] = b"--sysring-load=";

/// What later programs must be given.
#[derive(Debug)]
pub struct Carrier {
    /// The object.
    pub path: &'static CStr,
    /// `LD_PRELOAD=` and the path.
    pub preload: &'static CStr,
    /// The entries that [`KEPT`] names, where there are such.
    pub kept: [Option<&'static CStr>; KEPT.len()],
}

/// The variables that later programs get even if the environment is scrubbed: where totals are counted,
/// and where it is noted what has been said.
pub const KEPT: [&[u8]; 2] = [b"SYSRING_STATS=", TOLD];
const TOLD: &[u8] = b"SYSRING_TOLD=";

impl Carrier {
    /// See [`message::once`].
    fn told(&self) -> Option<&'static CStr> {
        let entry = self.kept[1]?.to_bytes_with_nul();
        CStr::from_bytes_with_nul(entry.get(TOLD.len()..)?).ok()
    }
}

static CARRIER: AtomicPtr<Carrier> = AtomicPtr::new(core::ptr::null_mut());

/// Sets what is carried to every later program.
pub fn carry(carrier: &'static Carrier) {
    CARRIER.store(core::ptr::from_ref(carrier).cast_mut(), Relaxed);
}

fn carrier() -> Option<&'static Carrier> {
    // SAFETY: null, or what `carry` was given for good.
    unsafe { CARRIER.load(Relaxed).as_ref() }
}

/// Where the object has loaded the program: what `/proc/self/exe` leads to is the object then, and what
/// was meant is the program.
#[derive(Debug)]
pub struct Loaded {
    /// The program's absolute path.
    pub program: &'static CStr,
    /// The object's device and inode.
    pub object: (u64, u64),
}

static LOADED: AtomicPtr<Loaded> = AtomicPtr::new(core::ptr::null_mut());

/// Notes that the object has loaded the program of this process.
pub fn note_loaded(loaded: &'static Loaded) {
    LOADED.store(core::ptr::from_ref(loaded).cast_mut(), Relaxed);
}

/// The program of this process, if the object has loaded it, and the request is for the object.
fn itself(request: &Request) -> Option<User<u8>> {
    // SAFETY: null, or what `note_loaded` was given for good.
    let loaded = unsafe { LOADED.load(Relaxed).as_ref() }?;
    let file = target::open(request).ok()?;
    let inode = call::inode(file);
    let _ = call::close(file);
    (inode == Ok(loaded.object)).then(|| User::of(loaded.program.as_ptr()).cast())
}

/// One `execve` or `execveat`, as the application gave it.
#[derive(Clone, Copy)]
struct Request {
    dir: Fd,
    path: User<u8>,
    argv: User<u64>,
    envp: User<u64>,
    flags: u32,
}

/// Whether the call will execute a program, as far as can be told: there is one, and it may be.
pub fn finds_program(nr: u32, a: [usize; 6]) -> bool {
    const X_OK: usize = 1;
    let (dir, path) = match nr {
        g::__NR_execve => (Fd::CWD.raw() as usize, a[0]),
        g::__NR_execveat if a[4] as u32 & g::AT_EMPTY_PATH == 0 => (a[0], a[1]),
        _ => return nr == g::__NR_execveat,
    };
    // SAFETY: the kernel checks the path's address, and changes nothing.
    unsafe { call::raw(g::__NR_faccessat, [dir, path, X_OK, 0, 0, 0]) }.is_ok()
}

/// Serves the call if it executes a program; returns only errors.
#[inline(never)]
pub fn serve(nr: u32, a: [usize; 6], context: &Context) -> Option<Result<usize>> {
    let user = |i: usize| User::<u64>::new(a[i] as u64);
    let request = match nr {
        g::__NR_execve => {
            Request { dir: Fd::CWD, path: user(0).cast(), argv: user(1), envp: user(2), flags: 0 }
        }
        g::__NR_execveat => Request {
            dir: Fd::new(a[0] as i32),
            path: user(1).cast(),
            argv: user(2),
            envp: user(3),
            flags: a[4] as u32,
        },
        _ => return None,
    };
    Some(execute(&request, context.sigmask()).map(|()| 0))
}

fn execute(request: &Request, mask: SigSet) -> Result<()> {
    let Some(carrier) = carrier() else { return with_mask(mask, || as_it_stands(request)) };
    let request = &match itself(request) {
        Some(path) => Request { dir: Fd::CWD, path, flags: 0, ..*request },
        None => *request,
    };
    let Load { program, scripts } = match target::examine(request) {
        Ok(load) => load,
        Err(spared) => {
            if matches!(spared, Spared::Narrow) {
                say_narrow(request, carrier);
            }
            return carried(request, carrier, mask);
        }
    };
    let result = loaded(request, carrier, mask, program, &scripts);
    let _ = call::close(program);
    result
}

/// What the object must load in the place of the file at this path: for who starts a program before there
/// is a filter. `None`: `LD_PRELOAD` does, or nothing can be done.
#[must_use]
pub fn to_load(path: &CStr) -> Option<Load> {
    let path = User::of(path.as_ptr()).cast();
    let (argv, envp) = (User::NULL, User::NULL);
    target::examine(&Request { dir: Fd::CWD, path, argv, envp, flags: 0 }).ok()
}

/// The object is of this architecture, and so are the calls that the filter traps.
fn say_narrow(request: &Request, carrier: &Carrier) {
    let mut path = [0u8; 256];
    let len = memory::string_len(request.path, path.len()).unwrap_or(0);
    let path = match memory::read_bytes(&mut path[..len], request.path) {
        Ok(()) if len != 0 => &path[..len],
        _ => b"a program",
    };
    let said = b" is a 32-bit program: io_uring is not served in it";
    message::once(carrier.told(), Notice::Narrow, &[path, said]);
}

fn as_it_stands(r: &Request) -> Result<()> {
    if r.dir == Fd::CWD && r.flags == 0 {
        call::execve(r.path, r.argv, r.envp)
    } else {
        call::execveat(r.dir, r.path, r.argv, r.envp, r.flags)
    }
}

/// The new program starts with the mask of the thread that executes it: the application's must be
/// in force then, not the handler's.
fn with_mask(mask: SigSet, exec: impl FnOnce() -> Result<()>) -> Result<()> {
    call::sigprocmask(SIG_SETMASK, Some(mask))?;
    let result = exec();
    call::sigprocmask(SIG_SETMASK, Some(SigSet::ALL))?;
    result
}

/// The kernel executes the file, and its dynamic linker finds the object in the environment.
fn carried(request: &Request, carrier: &Carrier, mask: SigSet) -> Result<()> {
    let plan = environment::plan(request.envp, carrier)?;
    if plan.is_complete() {
        return with_mask(mask, || as_it_stands(request));
    }
    let mut scratch = Scratch::take(plan.room())?;
    let mut block = Block::new(scratch.bytes());
    let envp = plan.write(carrier, &mut block)?;
    with_mask(mask, || as_it_stands(&Request { envp, ..*request }))
}

/// The object is executed, and loads the program.
fn loaded(
    request: &Request,
    carrier: &Carrier,
    mask: SigSet,
    program: Fd,
    scripts: &Scripts,
) -> Result<()> {
    let plan = environment::plan(request.envp, carrier)?;
    let count = environment::count(request.argv)?;
    let mut scratch = Scratch::take(plan.room() + (count + 16) * 8 + SPARE)?;
    let mut block = Block::new(scratch.bytes());
    let envp = plan.write(carrier, &mut block)?;

    let number = Decimal::of(program.raw() as u64);
    let load = block.string(&[LOAD, number.as_bytes()])?;
    let name = reachable(request, &mut block)?;
    // By the kernel's rules a script's interpreter gets: its own path, one argument, the script's
    // path, and the arguments but the first. So does one that is a script itself.
    let mut arguments = Pointers::of(request.argv);
    let given = arguments.next()?.unwrap_or(name);
    let mut words = [None; 2 * target::DEPTH + 1];
    let used = write_interpreters(scripts, &mut words, &mut block)?;
    words[used] = Some(if used == 0 { given } else { name });
    let (first, others) = words.split_at(1);

    let argv = block.align()?;
    for word in first.iter().chain(&[Some(load), Some(name)]).chain(others).flatten() {
        block.word(*word)?;
    }
    while let Some(argument) = arguments.next()? {
        block.word(argument)?;
    }
    block.word(0)?;

    call::fcntl(program, g::F_SETFD, 0)?;
    let path = User::of(carrier.path.as_ptr().cast());
    with_mask(mask, || call::execve(path, argv, envp))
}

/// The path of each interpreter, and its argument; how many words.
#[inline(never)]
fn write_interpreters(
    scripts: &Scripts,
    words: &mut [Option<u64>],
    block: &mut Block<'_>,
) -> Result<usize> {
    let mut used = 0;
    for (script, words) in scripts.inwards().zip(words.chunks_exact_mut(2)) {
        let script = script.ok_or(Errno::ENOEXEC)?;
        words[0] = Some(block.string(&[script.interpreter()])?);
        if let Some(argument) = script.argument() {
            words[1] = Some(block.string(&[argument])?);
        }
        used += words.len();
    }
    Ok(used)
}

/// A path by which the loaded program finds the file of the request.
fn reachable(request: &Request, block: &mut Block<'_>) -> Result<u64> {
    let mut first = [0u8];
    memory::read_bytes(&mut first, request.path)?;
    if request.dir == Fd::CWD || first[0] == b'/' {
        return Ok(request.path.address());
    }
    let dir = Decimal::of(request.dir.raw() as u64);
    if first[0] == 0 {
        return block.string(&[b"/dev/fd/", dir.as_bytes()]);
    }
    let len = memory::string_len(request.path, PATH_MAX)?;
    let at = block.string(&[b"/dev/fd/", dir.as_bytes(), b"/"])?;
    block.append(request.path, len)?;
    Ok(at)
}

/// Room for paths and the loader's argument.
const SPARE: usize = 3 * PATH_MAX + 256;

/// Strings and pointer arrays, written one after the other.
struct Block<'s> {
    bytes: &'s mut [u8],
    used: usize,
}

impl<'s> Block<'s> {
    fn new(bytes: &'s mut [u8]) -> Block<'s> {
        Block { bytes, used: 0 }
    }

    fn room(&mut self, len: usize) -> Result<&mut [u8]> {
        let room = self.bytes.get_mut(self.used..self.used + len).ok_or(Errno::E2BIG)?;
        self.used += len;
        Ok(room)
    }

    /// A string, joined from parts; its address.
    fn string(&mut self, parts: &[&[u8]]) -> Result<u64> {
        let at = self.bytes.as_ptr() as u64 + self.used as u64;
        for part in parts {
            self.room(part.len())?.copy_from_slice(part);
        }
        self.room(1)?[0] = 0;
        Ok(at)
    }

    /// Goes on with the last string, with one of the application's.
    fn append(&mut self, from: User<u8>, len: usize) -> Result<()> {
        self.used -= 1;
        memory::read_bytes(self.room(len)?, from)?;
        self.room(1)?[0] = 0;
        Ok(())
    }

    /// The address of an array about to be written.
    fn align(&mut self) -> Result<User<u64>> {
        let padding = self.used.next_multiple_of(8) - self.used;
        self.room(padding)?;
        Ok(User::of(self.bytes[self.used..].as_ptr().cast()))
    }

    fn word(&mut self, word: u64) -> Result<()> {
        self.room(8)?.copy_from_slice(&word.to_ne_bytes());
        Ok(())
    }
}
