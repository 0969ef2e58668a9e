//! What has been decided about a request, one bit each. What its SQE says has the same bit here, so that
//! all of it is taken over at once.

use sysring_sys::abi::io_uring::sqe_flags;

/// A link follows (soft).
pub const LINK: u32 = sqe_flags::IO_LINK as u32;
/// A link follows that survives failure.
pub const HARDLINK: u32 = sqe_flags::IO_HARDLINK as u32;
/// Failed: the soft links behind it are cancelled.
pub const FAIL: u32 = 1 << 7;
/// No CQE if it succeeds.
pub const CQE_SKIP: u32 = sqe_flags::CQE_SKIP_SUCCESS as u32;
/// It failed and was to be silent: so are the links it takes down.
pub const SKIP_LINK_CQES: u32 = 1 << 19;
/// Waits for everything before it.
pub const DRAIN: u32 = sqe_flags::IO_DRAIN as u32;
/// Not inline if that could block.
pub const ASYNC: u32 = sqe_flags::ASYNC as u32;
/// `fd` is an index into the registered files.
pub const FIXED_FILE: u32 = sqe_flags::FIXED_FILE as u32;
/// `EAGAIN` is an answer, not a reason to wait.
pub const NOWAIT: u32 = 1 << 8;
/// A LINK_TIMEOUT follows it and is to be started with it.
pub const ARM_LTIMEOUT: u32 = 1 << 9;
/// Its LINK_TIMEOUT runs.
pub const LINK_TIMEOUT: u32 = 1 << 10;
/// Cancelled while a worker had it.
pub const CANCELED: u32 = 1 << 11;
/// Posts more than one CQE.
pub const MULTISHOT: u32 = 1 << 12;
/// Has waited for readiness at least once (for the statistics, and a fair retry).
pub const POLLED: u32 = 1 << 13;
/// The file cannot be polled: next time to a worker.
pub const UNPOLLABLE: u32 = 1 << 14;
/// Operation-specific preparation has copied what must outlive the submitter.
pub const STABLE: u32 = 1 << 15;
/// Is counted among the drain queue's members.
pub const DEFERRED: u32 = 1 << 16;
/// Has taken a buffer from its group.
pub const BUFFER_TAKEN: u32 = 1 << 17;
/// In the ring's list of requests in flight.
pub const LISTED: u32 = 1 << 18;
/// Takes its buffer from a group.
pub const BUFFER_SELECT: u32 = sqe_flags::BUFFER_SELECT as u32;
/// The descriptor is registered with the ring's epoll instance.
pub const ARMED: u32 = 1 << 20;
/// Of several shots this is the last, though all went well.
pub const LAST_SHOT: u32 = 1 << 21;
/// Cancelled where it waited: its turn comes only to complete.
pub const TAKEN_DOWN: u32 = 1 << 22;
/// What came was longer than there was room for, and was to be whole.
pub const TRUNCATED: u32 = 1 << 23;
/// Begins a link that its batch leaves open: the kernel has a worker run it as if it could
/// block.
pub const LEFT_OPEN: u32 = 1 << 24;
/// Is to be issued by those who have its credentials.
pub const ENTRUSTED: u32 = 1 << 25;
/// What a worker does for it ends only when others do something.
pub const MAY_WAIT: u32 = 1 << 26;
/// A worker waits for its file to become ready: the ring's epoll instance could not. Or who was to make
/// the call in a worker's place has seen that it is not.
pub const WATCHED: u32 = 1 << 27;
/// Works with registered files or buffers that are tagged.
pub const TAGGED: u32 = 1 << 28;
/// Has found its registered buffer, and keeps it whatever becomes of the slot.
pub const BUFFER_FOUND: u32 = 1 << 29;
/// The second half of its CQE, of 32 bytes, is in `scratch`.
pub const WIDE_CQE: u32 = 1 << 30;
/// A notification: all that is left is to tell it.
pub const NOTICE: u32 = 1 << 31;
/// What an SQE says even if it is refused: links are kept together, and a silent one's are silent.
pub const KEPT: u32 = LINK | HARDLINK | CQE_SKIP;
/// Its end is more than a CQE of 16 bytes.
pub const ENTANGLED: u32 = LINK
    | HARDLINK
    | FAIL
    | CQE_SKIP
    | WIDE_CQE
    | ARM_LTIMEOUT
    | LINK_TIMEOUT
    | LISTED
    | ARMED
    | DEFERRED
    | TAGGED;
