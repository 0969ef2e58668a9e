//! The structures of `sysring.h`.

/// The ring of events is shared with other processes: see sysring_calls_attach().
pub const SYSRING_SHARED: u32 = 1;

/// What a context is to be like. A field that is 0 has its default.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct sysring_options {
    /// sizeof(struct sysring_options)
    pub size: u32,
    /// SYSRING_SHARED
    pub flags: u32,
    /// Calls that may be pending at a time: one more is refused with -EAGAIN. 0: no limit.
    pub limit: u32,
    /// Bytes of the ring of events, a power of two from 65536 to 2^30. 0: 65536.
    pub ring_size: u32,
    /// Bytes of the overflow area behind it, likewise. 0: 16 MiB.
    pub overflow_size: u32,
    /// 0
    pub reserved: u32,
}

/// The call is made by another thread, whatever it is.
pub const SYSRING_BY_WORKER: u32 = 1;

/// A system call.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct sysring_call {
    /// Its number: SYS_read, ...
    pub number: u32,
    /// SYSRING_BY_WORKER
    pub flags: u32,
    /// Its arguments. Memory stays as the call needs it until the answer is there; paths,
    /// addresses, times and vectors (not what they point to) are free once the call is issued.
    pub arguments: [u64; 6],
    /// Comes back with the answer, as SYSRING_TRACE.
    pub user_data: u64,
    /// Attributes, or NULL.
    pub wanted: *const sysring_wanted,
    /// Filled if the call does not block, with its result and attributes; or NULL.
    pub done: *mut sysring_event,
    /// Where the result goes instead of the ring: eight bytes, aligned to eight, that hold
    /// INT64_MIN until then. Or NULL. Not together with attributes.
    pub slot: *mut i64,
}

/// Attributes that a call is asked for. Those in `required` that cannot be honoured fail the call
/// with -EOPNOTSUPP before it is made; those in `best_effort` are then left out.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct sysring_wanted {
    /// sizeof(struct sysring_wanted). It only grows; what an older library does not know must be 0.
    pub size: u32,
    /// SYSRING_RW_FLAGS: RWF_*
    pub rw_flags: u32,
    /// Masks: 1 << SYSRING_TIMING, ...
    pub required: u64,
    /// The same.
    pub best_effort: u64,
    /// SYSRING_DEADLINE: nanoseconds of CLOCK_MONOTONIC
    pub deadline: u64,
    /// SYSRING_TRACE: any number
    pub trace: u64,
    /// SYSRING_RETRY: how often EINTR and EAGAIN are tried again
    pub retries: u32,
    /// SYSRING_IOPRIO: as for ioprio_set(2)
    pub ioprio: u16,
    /// 0
    pub reserved: u16,
    /// 0: other credentials cannot be had yet
    pub credentials: u32,
    /// 0: extensions cannot be had yet
    pub extension_count: u32,
    /// 0
    pub extensions: u64,
}

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
    /// Which attributes were honoured: 1 << SYSRING_TIMING, ...
    pub handled: u64,
    /// Their values; see sysring_attribute().
    pub values: [u64; 60],
}

/// A context: calls that are pending, and the ring that their answers come to.
#[derive(Debug)]
pub struct sysring_calls(pub(crate) sysring_engine::native::Context);
