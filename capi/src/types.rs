//! The structures of `sysring.h`.

use core::ffi::c_void;

/// The ring of events is shared with other processes: see sysring_calls_attach().
pub const SYSRING_OPTION_SHARED: u32 = 1;

/// What a context is to be like. A field that is 0 has its default.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct sysring_options {
    /// sizeof(struct sysring_options). It only grows: of a shorter one (a multiple of 8) the rest has its
    /// defaults; what an older library does not know must be 0.
    pub size: u32,
    /// SYSRING_OPTION_SHARED
    pub flags: u32,
    /// Calls that may be pending at a time: one more is refused with -EAGAIN. 0: no limit.
    pub limit: u32,
    /// Bytes of the ring of events, a power of two from 65536 to 2^30. 0: 65536.
    pub ring_size: u32,
    /// Bytes of the overflow area behind it, likewise. 0: 16 MiB.
    pub overflow_size: u32,
    /// How many attributes of the program's own calls may be asked for: 4 at most.
    pub extension_count: u32,
    /// They: read by sysring_calls_create() and sysring_calls_attach(), and not later. Or NULL.
    pub extensions: *const sysring_extension,
}

/// An attribute of the program's own, by number.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct sysring_extension {
    /// Any but 0, and no two the same.
    pub number: u32,
    /// 0
    pub reserved: u32,
    /// Called when a call is issued that is asked for it, by the thread that issues it, before the call
    /// is made: with `data`, the call's number and its six arguments, and the argument of struct
    /// sysring_asked_extension. What it returns comes with the call's answer: see
    /// sysring_extension_answer(). It must not use the context.
    pub handler: Option<
        unsafe extern "C" fn(
            data: *mut c_void,
            number: u32,
            arguments: *const u64,
            argument: u64,
        ) -> u64,
    >,
    /// For the handler.
    pub data: *mut c_void,
}

/// A call is asked for an attribute of the program's own.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct sysring_asked_extension {
    /// Its number.
    pub number: u32,
    /// 1: the call fails with -EOPNOTSUPP, and is not made, if the context has no such attribute.
    pub required: u32,
    /// For the handler.
    pub argument: u64,
}

/// The call is made by another thread, whatever it is.
pub const SYSRING_CALL_BY_WORKER: u32 = 1;

/// A system call.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct sysring_call {
    /// Its number: SYS_read, ...
    pub number: u32,
    /// SYSRING_CALL_BY_WORKER
    pub flags: u32,
    /// Its arguments. Memory stays as the call needs it until the answer is there; paths,
    /// addresses, times and vectors (not what they point to) are free once the call is issued.
    pub arguments: [u64; 6],
    /// Comes back with the answer, as SYSRING_ATTR_TRACE.
    pub user_data: u64,
    /// Attributes, or NULL.
    pub wanted: *const sysring_wanted,
    /// Filled if the call does not block, with its result and attributes; or NULL.
    pub done: *mut sysring_event,
    /// Where the result goes instead of the ring: eight bytes, aligned to eight, that hold
    /// INT64_MIN until then. Or NULL. Not together with attributes.
    pub slot: *mut i64,
}

/// A call of a batch or a chain, and what became of it: see sysring_step_init().
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct sysring_step {
    /// The library's.
    pub opaque: [u64; 11],
}

/// Attributes that a call is asked for. Those in `required` that cannot be honoured fail the call
/// with -EOPNOTSUPP before it is made; those in `best_effort` are then left out.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct sysring_wanted {
    /// sizeof(struct sysring_wanted). It only grows; what an older library does not know must be 0.
    pub size: u32,
    /// SYSRING_ATTR_RW_FLAGS: RWF_*
    pub rw_flags: u32,
    /// Masks: 1 << SYSRING_ATTR_TIMING, ...
    pub required: u64,
    /// The same.
    pub best_effort: u64,
    /// SYSRING_ATTR_DEADLINE: nanoseconds of CLOCK_MONOTONIC
    pub deadline: u64,
    /// SYSRING_ATTR_TRACE: any number
    pub trace: u64,
    /// SYSRING_ATTR_RETRY: how often EINTR and EAGAIN are tried again
    pub retries: u32,
    /// SYSRING_ATTR_IOPRIO: as for ioprio_set(2)
    pub ioprio: u16,
    /// 0
    pub reserved: u16,
    /// SYSRING_ATTR_CREDENTIALS: a number of sysring_credentials_register()
    pub credentials: u32,
    /// SYSRING_ATTR_EXTENSIONS: how many, 4 at most
    pub extension_count: u32,
    /// SYSRING_ATTR_EXTENSIONS: they
    pub extensions: *const sysring_asked_extension,
}

/// Bytes of the longest event there can be: enough for sysring_next_long().
pub const SYSRING_EVENT_LONGEST: u32 = 4096;

/// An answer: what docs/events.md says of a record.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct sysring_event {
    /// Bytes that are used.
    pub length: u32,
    /// 0 for an answer.
    pub kind: u16,
    /// 0
    pub flags: u16,
    /// Which call: what sysring_issue() gave. 0 in `done`.
    pub id: u64,
    /// The value, or the negated error number.
    pub result: i64,
    /// Which attributes were honoured: 1 << SYSRING_ATTR_TIMING, ...
    pub handled: u64,
    /// Their values; see sysring_attribute().
    pub values: [u64; 60],
}

/// A context: calls that are pending, and the ring that their answers come to.
#[derive(Debug)]
pub struct sysring_calls(pub(crate) sysring_engine::native::Context);
