//! What fio calls.

use std::cell::Cell;
use std::ffi::{c_int, c_uint};
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::time::Duration;

use crate::abi::{self, Engine, File, FileHook, Layout, ThreadData, Unit};
use crate::job::Job;

/// What all jobs share: this fio's own functions for files, and its layout.
struct Host {
    layout: &'static Layout,
    open: FileHook,
    close: FileHook,
}

static HOST: OnceLock<Host> = OnceLock::new();

thread_local! {
    /// The job of this thread: fio makes all calls for one on the thread that runs it.
    static JOB: Cell<*mut Job> = const { Cell::new(null_mut()) };
}

/// The engine, for a fio of this layout. fio keeps it and writes into it, so each gets its own.
pub fn engine(layout: &'static Layout) -> Result<*mut Engine, String> {
    let open = abi::generic(c"generic_open_file")?;
    let close = abi::generic(c"generic_close_file")?;
    let size = abi::generic(c"generic_get_file_size")?;
    HOST.get_or_init(|| Host { layout, open, close });
    let mut engine = Box::new(Engine::new());
    engine.name = c"sysring".as_ptr();
    engine.version = layout.version;
    engine.init = Some(init);
    engine.queue = Some(queue);
    engine.commit = Some(commit);
    engine.getevents = Some(getevents);
    engine.event = Some(event);
    engine.set_rest(layout, cleanup, [open_file, close_file, size]);
    Ok(Box::into_raw(engine))
}

/// Does something with the job of this thread; nothing where it has none.
fn with<T>(act: impl FnOnce(&mut Job) -> T) -> Option<T> {
    // SAFETY: made by `init` on this thread and dropped by `cleanup` on it; no hook calls another one
    // that comes here while this reference is there.
    unsafe { JOB.get().as_mut() }.map(act)
}

unsafe extern "C" fn init(_: *mut ThreadData) -> c_int {
    let made = HOST
        .get()
        .ok_or(libc::EINVAL)
        .and_then(|host| Job::new(host.layout).map_err(|error| error.raw()));
    match made {
        Ok(job) => {
            JOB.set(Box::into_raw(Box::new(job)));
            0
        }
        Err(error) => error,
    }
}

unsafe extern "C" fn cleanup(_: *mut ThreadData) {
    let job = JOB.replace(null_mut());
    if !job.is_null() {
        // SAFETY: from `init`, and nobody has it any more.
        drop(unsafe { Box::from_raw(job) });
    }
}

unsafe extern "C" fn queue(_: *mut ThreadData, unit: Unit) -> c_int {
    // SAFETY: fio leaves a queued unit and its buffer alone until it is told of it.
    match with(|job| unsafe { job.queue(unit) }) {
        Some(true) => abi::QUEUED,
        Some(false) => abi::COMPLETED,
        None => {
            if let Some(host) = HOST.get() {
                // SAFETY: it is fio's.
                unsafe { unit.answer(host.layout, libc::EINVAL as c_uint, 0) };
            }
            abi::COMPLETED
        }
    }
}

unsafe extern "C" fn commit(_: *mut ThreadData) -> c_int {
    with(Job::commit);
    0
}

unsafe extern "C" fn getevents(
    _: *mut ThreadData,
    min: c_uint,
    max: c_uint,
    timeout: *const libc::timespec,
) -> c_int {
    // SAFETY: fio passes a time or none.
    let timeout = unsafe { timeout.as_ref() }
        .map(|time| Duration::new(time.tv_sec as u64, time.tv_nsec as u32));
    match with(|job| job.reap(min as usize, max as usize, timeout)) {
        Some(Ok(count)) => count as c_int,
        Some(Err(error)) => -error.raw(),
        None => -libc::EINVAL,
    }
}

unsafe extern "C" fn event(_: *mut ThreadData, index: c_int) -> Unit {
    with(|job| job.reaped(index as usize)).flatten().unwrap_or(Unit(null_mut()))
}

unsafe extern "C" fn open_file(td: *mut ThreadData, file: *mut File) -> c_int {
    let Some(host) = HOST.get() else { return libc::EINVAL };
    // SAFETY: fio's own function, with what fio has passed.
    unsafe { (host.open)(td, file) }
}

unsafe extern "C" fn close_file(td: *mut ThreadData, file: *mut File) -> c_int {
    let Some(host) = HOST.get() else { return libc::EINVAL };
    // SAFETY: the file is fio's.
    let descriptor = unsafe { abi::descriptor(file) };
    with(|job| job.forget(descriptor));
    // SAFETY: fio's own function, with what fio has passed.
    unsafe { (host.close)(td, file) }
}
