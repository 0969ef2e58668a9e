//! Kernel AIO.

use super::sys;
use crate::Result;
use crate::abi::Timespec;
use crate::abi::aio::{IoEvent, Iocb};
use crate::abi::signal::{SIGSET_SIZE, SigSet};

/// The kernel's handle of an AIO context: also the address of its mapped completion ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AioContext(pub usize);

/// `io_setup(2)`.
pub fn io_setup(events: u32) -> Result<AioContext> {
    let mut context = 0usize;
    // SAFETY: the kernel writes the handle.
    unsafe { sys!(__NR_io_setup, events as usize, &raw mut context as usize) }?;
    Ok(AioContext(context))
}

/// `io_destroy(2)`: cancels or waits for what is in flight.
///
/// # Safety
/// Nobody looks at the context's mapped completion ring afterwards.
pub unsafe fn io_destroy(context: AioContext) -> Result<()> {
    // SAFETY: a handle the kernel checks; the caller vouches for the ring.
    unsafe { sys!(__NR_io_destroy, context.0) }.map(drop)
}

/// `io_submit(2)`; how many of the requests were taken.
///
/// # Safety
/// What the requests have written to, until they complete, is memory of the caller's alone, or the
/// application's, which asked for it.
pub unsafe fn io_submit(context: AioContext, requests: &[*const Iocb]) -> Result<usize> {
    // SAFETY: the kernel checks the requests' addresses, and copies them during the call; the caller
    // vouches for what is written to.
    unsafe { sys!(__NR_io_submit, context.0, requests.len(), requests.as_ptr() as usize) }
}

/// `io_getevents(2)`; how many completions were stored.
pub fn io_getevents(
    context: AioContext,
    at_least: usize,
    events: &mut [IoEvent],
    timeout: Option<&Timespec>,
) -> Result<usize> {
    let timeout = timeout.map_or(0, |t| core::ptr::from_ref(t) as usize);
    // SAFETY: `events` is writable for its length.
    unsafe {
        sys!(
            __NR_io_getevents,
            context.0,
            at_least,
            events.len(),
            events.as_mut_ptr() as usize,
            timeout
        )
    }
}

/// `io_pgetevents(2)`, Linux 4.18: as `io_getevents`, with `mask` in place of the thread's signal
/// mask while it waits (`None`: as it is).
pub fn io_pgetevents(
    context: AioContext,
    at_least: usize,
    events: &mut [IoEvent],
    timeout: Option<&Timespec>,
    mask: Option<&SigSet>,
) -> Result<usize> {
    let timeout = timeout.map_or(0, |t| core::ptr::from_ref(t) as usize);
    let with_size = [mask.map_or(0, |m| core::ptr::from_ref(m) as usize), SIGSET_SIZE];
    let mask = if mask.is_some() { with_size.as_ptr() as usize } else { 0 };
    // SAFETY: `events` is writable for its length; the rest is null or live references.
    unsafe {
        sys!(
            __NR_io_pgetevents,
            context.0,
            at_least,
            events.len(),
            events.as_mut_ptr() as usize,
            timeout,
            mask
        )
    }
}
