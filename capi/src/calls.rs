//! Contexts and calls.

use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::slice;

use sysring_engine::native::{
    Call, Context, ForeignHandler, Handlers, Issued, Options, Order, Placement,
};
use sysring_events::attr::Answers;
use sysring_events::{Config, Event, Ring, Seen};
use sysring_sys::abi::signal::SigSet;
use sysring_sys::call;
use sysring_sys::{Errno, Fd, Result, User};

use crate::attributes::wanted;
use crate::types::{
    SYSRING_CALL_BY_WORKER, SYSRING_OPTION_SHARED, sysring_call, sysring_calls, sysring_event,
    sysring_options,
};

/// As `sysring.h` has it.
type CHandler = unsafe extern "C" fn(*mut c_void, u32, *const u64, u64) -> u64;

pub(crate) fn status(result: Result<()>) -> c_int {
    result.map_or_else(Errno::to_res, |()| 0)
}

/// Options as a program gave them.
///
/// # Safety
/// They are null, or there.
unsafe fn options(given: *const sysring_options) -> Result<Options> {
    let mut options = Options::default();
    if given.is_null() {
        return Ok(options);
    }
    // SAFETY: the caller's promise.
    let given = unsafe { whole(given) }?;
    if given.flags & !SYSRING_OPTION_SHARED != 0 {
        return Err(Errno::EINVAL);
    }
    let or = |given: u32, default| if given == 0 { default } else { given as usize };
    options.limit = given.limit;
    options.events = Config {
        size: or(given.ring_size, options.events.size),
        overflow: or(given.overflow_size, options.events.overflow),
        shared: given.flags & SYSRING_OPTION_SHARED != 0,
    };
    // SAFETY: the caller's promise.
    options.handlers = unsafe { handlers(&given) }?;
    Ok(options)
}

/// Options of this version, of what may be those of an earlier or a later one.
///
/// # Safety
/// They are as long as they say.
unsafe fn whole(given: *const sysring_options) -> Result<sysring_options> {
    /// No version of the structure will be longer.
    const LONGEST: usize = 4096;
    const KNOWN: usize = size_of::<sysring_options>();
    // SAFETY: all of them begin with their size.
    let size = unsafe { given.cast::<u32>().read() } as usize;
    match size {
        ..8 => return Err(Errno::EINVAL),
        LONGEST.. => return Err(Errno::E2BIG),
        // Half of a pointer is none.
        _ if !size.is_multiple_of(8) => return Err(Errno::EINVAL),
        _ => {}
    }
    let words = given.cast::<u64>();
    // SAFETY: inside what they are long.
    let mut rest = (KNOWN / 8..size / 8).map(|at| unsafe { words.add(at).read() });
    if rest.any(|word| word != 0) {
        return Err(Errno::E2BIG);
    }
    let mut options = MaybeUninit::<sysring_options>::zeroed();
    // SAFETY: as above; zeroes are defaults, and a null pointer.
    unsafe {
        options.as_mut_ptr().cast::<u64>().copy_from_nonoverlapping(words, size.min(KNOWN) / 8);
        Ok(options.assume_init())
    }
}

/// The handlers of a program's own attributes.
///
/// # Safety
/// There are as many as the options say.
unsafe fn handlers(given: &sysring_options) -> Result<Handlers> {
    let mut handlers = Handlers::default();
    if given.extension_count != 0 && given.extensions.is_null() {
        return Err(Errno::EINVAL);
    }
    for at in 0..given.extension_count as usize {
        // SAFETY: the caller's promise.
        let extension = unsafe { *given.extensions.add(at) };
        let handler = extension.handler.filter(|_| extension.reserved == 0);
        let handler = handler.ok_or(Errno::EINVAL)?;
        // SAFETY: the same function: a pointer is a word.
        let handler = unsafe { core::mem::transmute::<CHandler, ForeignHandler>(handler) };
        // SAFETY: that it may be called by who issues calls is said to who gives it.
        unsafe { handlers.add_foreign(extension.number, handler, extension.data as usize) }?;
    }
    Ok(handlers)
}

/// Puts a context where C can hold on to it: there is no allocator, so it has a page.
fn place(context: Result<Context>, out: *mut *mut sysring_calls) -> Result<()> {
    let context = context?;
    let page = call::map_anonymous(size_of::<sysring_calls>(), false)?.cast::<sysring_calls>();
    // SAFETY: the page is new, and `out` the caller's promise.
    unsafe {
        page.write(sysring_calls(context));
        out.write(page);
    }
    Ok(())
}

/// Makes a context; `options` may be NULL. 0, or -EINVAL: sizes or flags that cannot be, an extension
/// without number or handler; -E2BIG: options of a later version; -EEXIST: two extensions of one number;
/// -ENOSPC: more than four; -ENOMEM, -EMFILE, -ENFILE.
///
/// # Safety
/// `out` may be written; `options` is NULL or there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_calls_create(
    out: *mut *mut sysring_calls,
    options: *const sysring_options,
) -> c_int {
    // SAFETY: the caller's promise.
    let options = unsafe { self::options(options) };
    status(options.and_then(|options| place(Context::new(&options), out)))
}

/// Makes a context whose answers come to the ring of events of another one, here or in another
/// process: `fd` is that of sysring_events_fd(). 0, or -EINVAL: no such ring; -EPROTONOSUPPORT,
/// -EOPNOTSUPP: one of another version; -EXDEV: made in another pid namespace; -EBADF, -ENOMEM, -EMFILE;
/// of the options as sysring_calls_create().
///
/// # Safety
/// As of `sysring_calls_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_calls_attach(
    out: *mut *mut sysring_calls,
    fd: c_int,
    options: *const sysring_options,
) -> c_int {
    // SAFETY: the caller's promise.
    let options = unsafe { self::options(options) };
    let context = options.and_then(|options| {
        let context = Context::on(Ring::attach(Fd::new(fd))?, options.limit)?;
        Ok(context.with_handlers(options.handlers))
    });
    status(place(context, out))
}

/// Cancels what is pending, waits until nothing is, and frees the context.
///
/// # Safety
/// It was made by one of the above, and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_calls_destroy(calls: *mut sysring_calls) {
    if calls.is_null() {
        return;
    }
    // SAFETY: the caller's promise.
    unsafe {
        (*calls).0.settle();
        calls.drop_in_place();
        let _ = call::munmap(calls as usize, size_of::<sysring_calls>());
    }
}

/// The call and how it is to be issued.
pub(crate) fn parts(call: &sysring_call) -> Result<(Call, Order)> {
    if call.flags & !SYSRING_CALL_BY_WORKER != 0 {
        return Err(Errno::EINVAL);
    }
    let worker = call.flags & SYSRING_CALL_BY_WORKER != 0;
    let order = Order {
        placement: if worker { Placement::Worker } else { Placement::Inline },
        user_data: call.user_data,
        slot: User::of(call.slot),
    };
    Ok((Call { nr: call.number, args: call.arguments.map(|word| word as usize) }, order))
}

/// Fills what the caller gave for a call that is done.
///
/// # Safety
/// `to` is null, or may be written.
unsafe fn fill(to: *mut sysring_event, result: i64, answers: &Answers<'_>) {
    // SAFETY: the caller's promise.
    let Some(to) = (unsafe { to.as_mut() }) else { return };
    let event = Event::new(0, result).with(answers);
    // SAFETY: the structure is 64 words, and `words` gives 4 and the values of known attributes.
    let words = unsafe { slice::from_raw_parts_mut(core::ptr::from_mut(to).cast::<u64>(), 64) };
    for (word, value) in words.iter_mut().zip(event.words()) {
        *word = value;
    }
}

/// Issues a call. 0: it did not block, `*result` is what it answered: a value, or a negated error
/// number. 1: it is pending, `*result` is its id. Or -EOPNOTSUPP: it makes no sense on another thread
/// or later, or an attribute is required that cannot be honoured; -EAGAIN: as many as the limit
/// allows are pending; -EINVAL: unknown flags, attributes together with a slot, or credentials are
/// required that are not registered; -E2BIG: attributes of a later version, or more than four
/// extensions; -EPERM: an I/O priority that may not be had; -EFAULT: extensions that are not there;
/// -ENOMEM.
///
/// # Safety
/// `calls` is a context, `call` there, `result` may be written, and so may what the call names.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_issue(
    calls: *const sysring_calls,
    call: *const sysring_call,
    result: *mut i64,
) -> c_int {
    let mut answers = Answers::none();
    // SAFETY: the caller's promise.
    let given = unsafe { &*call };
    let issued = parts(given).and_then(|(call, order)| {
        // SAFETY: the caller's promise.
        let wanted = unsafe { wanted(given.wanted) }?;
        // SAFETY: the caller's promise.
        unsafe { (*calls).0.issue_with(&call, &order, &wanted, &mut answers) }
    });
    let (status, value) = match issued {
        Ok(Issued::Done(answer)) => {
            // SAFETY: the caller's promise.
            unsafe { fill(given.done, answer as i64, &answers) };
            (0, answer as i64)
        }
        Ok(Issued::Pending(id)) => (1, id as i64),
        Err(e) => return e.to_res(),
    };
    // SAFETY: the caller's promise.
    unsafe { result.write(value) };
    status
}

/// Makes a call here and now, whether it blocks or not, with its attributes. 0: `*result` is what it
/// answered: a value, or a negated error number. Or it was not made, as of sysring_issue(). A deadline,
/// the cache, credentials and extensions are not supported here.
///
/// # Safety
/// As of `sysring_issue`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_issue_sync(call: *const sysring_call, result: *mut i64) -> c_int {
    let mut answers = Answers::none();
    // SAFETY: the caller's promise.
    let given = unsafe { &*call };
    let answer = parts(given).and_then(|(call, _)| {
        // SAFETY: the caller's promise.
        let wanted = unsafe { wanted(given.wanted) }?;
        // SAFETY: the caller's promise.
        unsafe { Context::make_with(&call, &wanted, &mut answers) }
    });
    match answer {
        Ok(answer) => {
            // SAFETY: the caller's promise.
            unsafe {
                fill(given.done, answer as i64, &answers);
                result.write(answer as i64);
            }
            0
        }
        Err(e) => e.to_res(),
    }
}

/// Has a number for the credentials that the calling thread has now, to be asked for as
/// SYSRING_ATTR_CREDENTIALS: who issues such a call may have others by then. From 1 on; or -EAGAIN or
/// -ENOMEM: no thread to be had, which would keep them; -ENOMEM: this process has registered 64
/// different ones; -EBUSY: all 65535 numbers are in use.
///
/// # Safety
/// `calls` is a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_credentials_register(calls: *const sysring_calls) -> c_int {
    // SAFETY: the caller's promise.
    let number = unsafe { (*calls).0.register_credentials() };
    number.map_or_else(Errno::to_res, |number| number as c_int)
}

/// Takes such a number back. Calls that are pending keep what they have. 0, or -EINVAL: it is
/// nobody's.
///
/// # Safety
/// `calls` is a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_credentials_unregister(
    calls: *const sysring_calls,
    number: u32,
) -> c_int {
    // SAFETY: the caller's promise.
    status(unsafe { (*calls).0.unregister_credentials(number) })
}

/// Waits until `count` answers are there, no longer than `timeout` nanoseconds (-1: for ever). 0, or,
/// where there is none, -ETIME; -EINTR: a signal was handled.
///
/// # Safety
/// `calls` is a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_wait(
    calls: *const sysring_calls,
    count: u32,
    timeout: i64,
) -> c_int {
    let timeout = (timeout >= 0).then_some(timeout);
    // SAFETY: the caller's promise.
    status(unsafe { (*calls).0.wait(count, timeout, None) })
}

/// As sysring_wait(), with another signal mask while it sleeps: a sigset_t, or NULL for the thread's own.
/// Also -EINVAL: a mask, and a ring that is SYSRING_OPTION_SHARED.
///
/// # Safety
/// `calls` is a context; `mask` is NULL or there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_wait_masked(
    calls: *const sysring_calls,
    count: u32,
    timeout: i64,
    mask: *const c_void,
) -> c_int {
    let timeout = (timeout >= 0).then_some(timeout);
    // SAFETY: the caller's promise. The kernel's set is the first word of the C library's.
    status(unsafe { (*calls).0.wait(count, timeout, mask.cast::<SigSet>().as_ref()) })
}

/// Takes the oldest answer. 1; 0: there is none; -EBADMSG: who shares the ring has overwritten it;
/// -EMSGSIZE: who shares it has pushed an event that is longer than this: it is there still, for
/// sysring_next_long().
///
/// # Safety
/// `calls` is a context, and `event` may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_next(
    calls: *const sysring_calls,
    event: *mut sysring_event,
) -> c_int {
    // SAFETY: the caller's promise: the structure is 64 words, aligned as such.
    let (calls, words) = unsafe { (&*calls, slice::from_raw_parts_mut(event.cast::<u64>(), 64)) };
    taken(calls.0.next(words))
}

/// The same of an event of any length: `event` has room for `size` bytes, a multiple of 8, of which
/// SYSRING_EVENT_LONGEST are always enough. Those of answers are never longer than the structure.
///
/// # Safety
/// `calls` is a context, and `event` may be written as far as `size` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_next_long(
    calls: *const sysring_calls,
    event: *mut sysring_event,
    size: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    let (calls, words) = unsafe { (&*calls, slice::from_raw_parts_mut(event.cast(), size / 8)) };
    taken(calls.0.next(words))
}

fn taken(next: Result<Option<Seen<'_>>>) -> c_int {
    match next {
        Ok(Some(_)) => 1,
        Ok(None) => 0,
        Err(e) => e.to_res(),
    }
}

/// Cancels a pending call. Its answer still comes: -ECANCELED, if this was in time. 0, or -ENOENT: no
/// such call is pending; -EALREADY: a thread is making it and was told to stop, or a device has it;
/// it may yet succeed.
///
/// # Safety
/// `calls` is a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_cancel(calls: *const sysring_calls, id: u64) -> c_int {
    // SAFETY: the caller's promise.
    status(unsafe { (*calls).0.cancel(id) })
}

/// Cancels all that is pending. 0, or the first error.
///
/// # Safety
/// `calls` is a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_cancel_all(calls: *const sysring_calls) -> c_int {
    // SAFETY: the caller's promise.
    status(unsafe { (*calls).0.cancel_all() })
}

/// How many calls are pending that this process has issued.
///
/// # Safety
/// `calls` is a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_pending(calls: *const sysring_calls) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { (*calls).0.pending() }
}

/// Adds one to this eventfd whenever answers have come, from now on; -1: no longer. It is duplicated.
/// 0, or -EBADF: not open; -EINVAL: no eventfd; -EMFILE. What was set before stays then.
///
/// # Safety
/// `calls` is a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_set_eventfd(calls: *const sysring_calls, fd: c_int) -> c_int {
    // SAFETY: the caller's promise.
    status(unsafe { (*calls).0.set_eventfd((fd != -1).then_some(Fd::new(fd))) })
}

/// A new descriptor that is readable while answers are there: for poll(2) and its kin, not to be
/// read. It is the caller's to close. Or -EMFILE.
///
/// # Safety
/// `calls` is a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_descriptor(calls: *const sysring_calls) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { (*calls).0.descriptor() }.map_or_else(Errno::to_res, Fd::raw)
}

/// The memory file of the ring of events, to be passed to other processes; it stays the context's.
/// -ENODATA: it is not SYSRING_OPTION_SHARED.
///
/// # Safety
/// `calls` is a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysring_events_fd(calls: *const sysring_calls) -> c_int {
    // SAFETY: the caller's promise.
    let file = unsafe { &*calls }.0.events().file();
    file.map_or(Errno::ENODATA.to_res(), Fd::raw)
}
