//! Run as a program: loading another one, and starting it as the kernel would have.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use sysring_sys::abi::{PAGE, PATH_MAX};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Fd, Result, User, call};
use sysring_trap::exec::{self, LOAD, Loaded};
use sysring_trap::message;

use crate::environment::Environment;
use crate::init;

mod image;
mod stack;

use image::Image;
use stack::Stack;

/// Loads the program that the arguments name, and becomes it.
///
/// # Safety
/// `stack` must be the initial stack pointer of this program.
pub unsafe fn run(stack: *mut usize) -> ! {
    // SAFETY: by the caller's word.
    let mut stack = unsafe { Stack::new(stack) };
    let Some(program) = stack.argument(1).and_then(descriptor) else {
        message::line(&[
            b"this object is not a command. `sysring run -- PROGRAM` places it in programs; by hand,",
            b" name it in LD_PRELOAD.",
        ]);
        call::exit_group(2)
    };
    let Some(path) = stack.argument(2) else { call::exit_group(2) };

    // SAFETY: the initial stack's environment.
    let environment = unsafe { Environment::from_pointers(stack.environment()) };
    init::init(environment, stack.auxiliary_string(stack::AT_EXECFN));
    // Without, the program cannot execute itself by the name that the kernel has for it.
    let _ = note(program);

    match load(program, &mut stack) {
        Ok(entry) => {
            name_process(path);
            stack.set_auxiliary(stack::AT_EXECFN, path.as_ptr() as usize);
            // SAFETY: the image is mapped and the stack describes it.
            unsafe { stack::enter(entry, stack.without_two_arguments()) }
        }
        Err(error) => {
            message::line(&[
                b"cannot load ",
                path.to_bytes(),
                b": ",
                error.describe().as_bytes(),
                b" (",
                error.name().as_bytes(),
                b")",
            ]);
            // What a shell answers for a program it found and could not run.
            call::exit_group(126)
        }
    }
}

/// The descriptor in `--sysring-load=N`.
fn descriptor(argument: &CStr) -> Option<Fd> {
    let digits = argument.to_bytes().strip_prefix(LOAD)?;
    message::parse_decimal(digits).map(|number| Fd::new(number as i32))
}

/// Has the trap know which program this process is, and that the kernel takes the object for it.
fn note(program: Fd) -> Result<()> {
    let flags = g::O_RDONLY | g::O_CLOEXEC;
    let object = call::openat(Fd::CWD, User::of(c"/proc/self/exe".as_ptr().cast()), flags, 0)?;
    let inode = call::inode(object);
    let _ = call::close(object);

    let len = size_of::<Loaded>() + PATH_MAX;
    let memory = call::map_anonymous(len.next_multiple_of(PAGE), false)?;
    // SAFETY: page-aligned, zeroed, `len` bytes long, and never unmapped.
    let (place, path) = unsafe {
        let path = core::slice::from_raw_parts_mut(memory.add(size_of::<Loaded>()), PATH_MAX);
        (&mut *memory.cast::<MaybeUninit<Loaded>>(), path)
    };
    let link = exec::path_of(program);
    call::readlinkat(Fd::CWD, User::of(link.as_ptr()), &mut path[..PATH_MAX - 1])?;
    let program = CStr::from_bytes_until_nul(path).map_err(|_| Errno::EINVAL)?;
    exec::note_loaded(place.write(Loaded { program, object: inode? }));
    Ok(())
}

/// Maps the program, and its dynamic linker if it has one; the address to start at.
fn load(program: Fd, stack: &mut Stack) -> Result<usize> {
    let page = stack.auxiliary(stack::AT_PAGESZ).unwrap_or(PAGE);
    let image = Image::map(program, page)?;
    let mut entry = image.entry;
    let mut linker_base = 0;
    let mut path = [0u8; PATH_MAX];
    if image.linker_path(program, &mut path)? {
        let flags = g::O_RDONLY | g::O_CLOEXEC;
        let file = call::openat(Fd::CWD, User::of(path.as_ptr()), flags, 0)?;
        let linker = Image::map(file, page);
        let _ = call::close(file);
        let linker = linker?;
        (entry, linker_base) = (linker.entry, linker.base);
    }
    let _ = call::close(program);
    stack.set_auxiliary(stack::AT_PHDR, image.headers);
    stack.set_auxiliary(stack::AT_PHNUM, image.header_count);
    stack.set_auxiliary(stack::AT_ENTRY, image.entry);
    stack.set_auxiliary(stack::AT_BASE, linker_base);
    Ok(entry)
}

/// The process's name is the program's, not this object's.
fn name_process(path: &CStr) {
    const PR_SET_NAME: u32 = 15;
    let path = path.to_bytes_with_nul();
    let start = path.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
    // SAFETY: a string; the kernel takes its first 15 bytes.
    let _ = unsafe { call::prctl(PR_SET_NAME, [path[start..].as_ptr() as usize, 0, 0, 0]) };
}
