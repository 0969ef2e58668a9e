//! The io_uring ABI, as of Linux 7.1: numbers and shared structures, nothing that acts.
#![allow(missing_docs)] // The names are the field's own; `io_uring_enter(2)` and its kin explain them.

/// A submission queue entry, 64 bytes. The unions of the C declaration are one field each here,
/// named for their first member; each operation says what it reads from them.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Sqe {
    pub opcode: u8,
    pub flags: u8,
    pub ioprio: u16,
    pub fd: i32,
    /// `off`, `addr2`, or `cmd_op` in its low half.
    pub off: u64,
    /// `addr`, `splice_off_in`, or `level` and `optname`.
    pub addr: u64,
    pub len: u32,
    /// `rw_flags` and the other operations' flags.
    pub op_flags: u32,
    pub user_data: u64,
    /// `buf_index` or `buf_group`.
    pub buf_index: u16,
    pub personality: u16,
    /// `splice_fd_in`, `file_index`, `optlen`, or `addr_len` in its low half.
    pub file_index: u32,
    /// `addr3`, `attr_ptr` or `optval`.
    pub addr3: u64,
    pub pad2: u64,
}

/// A completion queue entry, 16 bytes.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Cqe {
    pub user_data: u64,
    pub res: i32,
    pub flags: u32,
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct SqOffsets {
    pub head: u32,
    pub tail: u32,
    pub ring_mask: u32,
    pub ring_entries: u32,
    pub flags: u32,
    pub dropped: u32,
    pub array: u32,
    pub resv1: u32,
    pub user_addr: u64,
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct CqOffsets {
    pub head: u32,
    pub tail: u32,
    pub ring_mask: u32,
    pub ring_entries: u32,
    pub overflow: u32,
    pub cqes: u32,
    pub flags: u32,
    pub resv1: u32,
    pub user_addr: u64,
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Params {
    pub sq_entries: u32,
    pub cq_entries: u32,
    pub flags: u32,
    pub sq_thread_cpu: u32,
    pub sq_thread_idle: u32,
    pub features: u32,
    pub wq_fd: u32,
    pub resv: [u32; 3],
    pub sq_off: SqOffsets,
    pub cq_off: CqOffsets,
}

/// What `IORING_ENTER_EXT_ARG` points to.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct GeteventsArg {
    pub sigmask: u64,
    pub sigmask_sz: u32,
    pub min_wait_usec: u32,
    pub ts: u64,
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct ProbeOp {
    pub op: u8,
    pub resv: u8,
    pub flags: u16,
    pub resv2: u32,
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Probe {
    pub last_op: u8,
    pub ops_len: u8,
    pub resv: u16,
    pub resv2: [u32; 3],
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct FilesUpdate {
    pub offset: u32,
    pub resv: u32,
    pub fds: u64,
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct RsrcRegister {
    pub nr: u32,
    pub flags: u32,
    pub resv2: u64,
    pub data: u64,
    pub tags: u64,
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct RsrcUpdate2 {
    pub offset: u32,
    pub resv: u32,
    pub data: u64,
    pub tags: u64,
    pub nr: u32,
    pub resv2: u32,
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct RsrcUpdate {
    pub offset: u32,
    pub resv: u32,
    pub data: u64,
}

/// An entry of a ring of buffers. The last two bytes of the first one are the ring's tail.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct BufEntry {
    pub addr: u64,
    pub len: u32,
    pub bid: u16,
    pub resv: u16,
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct BufReg {
    pub ring_addr: u64,
    pub ring_entries: u32,
    pub bgid: u16,
    pub flags: u16,
    pub min_left: u32,
    pub resv: [u32; 5],
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct BufStatus {
    pub buf_group: u32,
    pub head: u32,
    pub resv: [u32; 8],
}

/// What a multishot `RECVMSG` puts before name, control data and payload.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct RecvmsgOut {
    pub namelen: u32,
    pub controllen: u32,
    pub payloadlen: u32,
    pub flags: u32,
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct SyncCancelReg {
    pub addr: u64,
    pub fd: i32,
    pub flags: u32,
    pub timeout_sec: i64,
    pub timeout_nsec: i64,
    pub opcode: u8,
    pub pad: [u8; 7],
    pub pad2: [u64; 3],
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct FileIndexRange {
    pub off: u32,
    pub len: u32,
    pub resv: u64,
}

/// One thing that a ring is allowed.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Restriction {
    pub opcode: u16,
    /// A register call, an operation, or SQE flags.
    pub what: u8,
    pub resv: u8,
    pub resv2: [u32; 3],
}

/// Before the restrictions of a task.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct TaskRestriction {
    pub flags: u16,
    pub nr_res: u16,
    pub resv: [u32; 3],
}

/// What a wait is told through registered memory (`IORING_ENTER_EXT_ARG_REG`).
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct RegWait {
    pub tv_sec: i64,
    pub tv_nsec: i64,
    pub min_wait_usec: u32,
    pub flags: u32,
    pub sigmask: u64,
    pub sigmask_sz: u32,
    pub pad: [u32; 3],
    pub pad2: [u64; 2],
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct RegionDesc {
    pub user_addr: u64,
    pub size: u64,
    pub flags: u32,
    pub id: u32,
    pub mmap_offset: u64,
    pub resv: [u64; 4],
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct MemRegionReg {
    /// Of a [`RegionDesc`].
    pub region_uptr: u64,
    pub flags: u64,
    pub resv: [u64; 2],
}

/// An instruction of classic BPF (`struct sock_filter`).
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct BpfInstruction {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// What `BPF_FILTER` is given: a command, of which the rest is the only one there is.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Bpf {
    pub cmd_type: u16,
    pub cmd_flags: u16,
    pub resv: u32,
    pub opcode: u32,
    pub flags: u32,
    pub filter_len: u32,
    pub pdu_size: u8,
    pub filter_resv: [u8; 3],
    pub filter_ptr: u64,
    pub resv2: [u64; 5],
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct ClockRegister {
    pub clockid: u32,
    pub resv: [u32; 3],
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct CloneBuffers {
    pub src_fd: u32,
    pub flags: u32,
    pub src_off: u32,
    pub dst_off: u32,
    pub nr: u32,
    pub pad: [u32; 3],
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Napi {
    pub busy_poll_to: u32,
    pub prefer_busy_poll: u8,
    pub opcode: u8,
    pub pad: [u8; 2],
    pub op_param: u32,
    pub resv: u32,
}

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct QueryHead {
    pub next_entry: u64,
    pub query_data: u64,
    pub query_op: u32,
    pub size: u32,
    pub result: i32,
    pub resv: [u32; 3],
}

/// What a query for what there is answers.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct QueryOpcodes {
    pub nr_request_opcodes: u32,
    pub nr_register_opcodes: u32,
    pub feature_flags: u64,
    pub ring_setup_flags: u64,
    pub enter_flags: u64,
    pub sqe_flags: u64,
    pub nr_query_opcodes: u32,
    pub pad: u32,
}

const _: () = assert!(size_of::<Sqe>() == 64);
const _: () = assert!(size_of::<Cqe>() == 16);
const _: () = assert!(size_of::<SqOffsets>() == 40);
const _: () = assert!(size_of::<CqOffsets>() == 40);
const _: () = assert!(size_of::<Params>() == 120);
const _: () = assert!(size_of::<GeteventsArg>() == 24);
const _: () = assert!(size_of::<Probe>() == 16);
const _: () = assert!(size_of::<ProbeOp>() == 8);
const _: () = assert!(size_of::<RsrcRegister>() == 32);
const _: () = assert!(size_of::<RsrcUpdate2>() == 32);
const _: () = assert!(size_of::<SyncCancelReg>() == 64);
const _: () = assert!(size_of::<BufEntry>() == 16);
const _: () = assert!(size_of::<BufReg>() == 40);
const _: () = assert!(size_of::<BufStatus>() == 40);
const _: () = assert!(size_of::<RecvmsgOut>() == 16);
const _: () = assert!(size_of::<Restriction>() == 16);
const _: () = assert!(size_of::<RegWait>() == 64);
const _: () = assert!(size_of::<BpfInstruction>() == 8);
const _: () = assert!(size_of::<Bpf>() == 72);
const _: () = assert!(size_of::<RegionDesc>() == 64);
const _: () = assert!(size_of::<MemRegionReg>() == 32);
const _: () = assert!(size_of::<ClockRegister>() == 16);
const _: () = assert!(size_of::<CloneBuffers>() == 32);
const _: () = assert!(size_of::<Napi>() == 16);
const _: () = assert!(size_of::<QueryHead>() == 40);
const _: () = assert!(size_of::<QueryOpcodes>() == 48);
const _: () = assert!(size_of::<TaskRestriction>() == 16);
const _: () = assert!(core::mem::offset_of!(Sqe, user_data) == 32);
const _: () = assert!(core::mem::offset_of!(Sqe, addr3) == 48);

/// `IORING_OP_*`.
pub mod op {
    pub const NOP: u8 = 0;
    pub const READV: u8 = 1;
    pub const WRITEV: u8 = 2;
    pub const FSYNC: u8 = 3;
    pub const READ_FIXED: u8 = 4;
    pub const WRITE_FIXED: u8 = 5;
    pub const POLL_ADD: u8 = 6;
    pub const POLL_REMOVE: u8 = 7;
    pub const SYNC_FILE_RANGE: u8 = 8;
    pub const SENDMSG: u8 = 9;
    pub const RECVMSG: u8 = 10;
    pub const TIMEOUT: u8 = 11;
    pub const TIMEOUT_REMOVE: u8 = 12;
    pub const ACCEPT: u8 = 13;
    pub const ASYNC_CANCEL: u8 = 14;
    pub const LINK_TIMEOUT: u8 = 15;
    pub const CONNECT: u8 = 16;
    pub const FALLOCATE: u8 = 17;
    pub const OPENAT: u8 = 18;
    pub const CLOSE: u8 = 19;
    pub const FILES_UPDATE: u8 = 20;
    pub const STATX: u8 = 21;
    pub const READ: u8 = 22;
    pub const WRITE: u8 = 23;
    pub const FADVISE: u8 = 24;
    pub const MADVISE: u8 = 25;
    pub const SEND: u8 = 26;
    pub const RECV: u8 = 27;
    pub const OPENAT2: u8 = 28;
    pub const EPOLL_CTL: u8 = 29;
    pub const SPLICE: u8 = 30;
    pub const PROVIDE_BUFFERS: u8 = 31;
    pub const REMOVE_BUFFERS: u8 = 32;
    pub const TEE: u8 = 33;
    pub const SHUTDOWN: u8 = 34;
    pub const RENAMEAT: u8 = 35;
    pub const UNLINKAT: u8 = 36;
    pub const MKDIRAT: u8 = 37;
    pub const SYMLINKAT: u8 = 38;
    pub const LINKAT: u8 = 39;
    pub const MSG_RING: u8 = 40;
    pub const FSETXATTR: u8 = 41;
    pub const SETXATTR: u8 = 42;
    pub const FGETXATTR: u8 = 43;
    pub const GETXATTR: u8 = 44;
    pub const SOCKET: u8 = 45;
    pub const URING_CMD: u8 = 46;
    pub const SEND_ZC: u8 = 47;
    pub const SENDMSG_ZC: u8 = 48;
    pub const READ_MULTISHOT: u8 = 49;
    pub const WAITID: u8 = 50;
    pub const FUTEX_WAIT: u8 = 51;
    pub const FUTEX_WAKE: u8 = 52;
    pub const FUTEX_WAITV: u8 = 53;
    pub const FIXED_FD_INSTALL: u8 = 54;
    pub const FTRUNCATE: u8 = 55;
    pub const BIND: u8 = 56;
    pub const LISTEN: u8 = 57;
    pub const RECV_ZC: u8 = 58;
    pub const EPOLL_WAIT: u8 = 59;
    pub const READV_FIXED: u8 = 60;
    pub const WRITEV_FIXED: u8 = 61;
    pub const PIPE: u8 = 62;
    pub const NOP128: u8 = 63;
    pub const URING_CMD128: u8 = 64;
    /// How many there are (`IORING_OP_LAST`).
    pub const COUNT: usize = 65;
}

/// `IORING_REGISTER_*`: the register call's operations.
pub mod register {
    pub const BUFFERS: u32 = 0;
    pub const UNREGISTER_BUFFERS: u32 = 1;
    pub const FILES: u32 = 2;
    pub const UNREGISTER_FILES: u32 = 3;
    pub const EVENTFD: u32 = 4;
    pub const UNREGISTER_EVENTFD: u32 = 5;
    pub const FILES_UPDATE: u32 = 6;
    pub const EVENTFD_ASYNC: u32 = 7;
    pub const PROBE: u32 = 8;
    pub const PERSONALITY: u32 = 9;
    pub const UNREGISTER_PERSONALITY: u32 = 10;
    pub const RESTRICTIONS: u32 = 11;
    pub const ENABLE_RINGS: u32 = 12;
    pub const FILES2: u32 = 13;
    pub const FILES_UPDATE2: u32 = 14;
    pub const BUFFERS2: u32 = 15;
    pub const BUFFERS_UPDATE: u32 = 16;
    pub const IOWQ_AFF: u32 = 17;
    pub const UNREGISTER_IOWQ_AFF: u32 = 18;
    pub const IOWQ_MAX_WORKERS: u32 = 19;
    pub const RING_FDS: u32 = 20;
    pub const UNREGISTER_RING_FDS: u32 = 21;
    pub const PBUF_RING: u32 = 22;
    pub const UNREGISTER_PBUF_RING: u32 = 23;
    pub const SYNC_CANCEL: u32 = 24;
    pub const FILE_ALLOC_RANGE: u32 = 25;
    pub const PBUF_STATUS: u32 = 26;
    pub const NAPI: u32 = 27;
    pub const UNREGISTER_NAPI: u32 = 28;
    pub const CLOCK: u32 = 29;
    pub const CLONE_BUFFERS: u32 = 30;
    pub const SEND_MSG_RING: u32 = 31;
    pub const ZCRX_IFQ: u32 = 32;
    pub const RESIZE_RINGS: u32 = 33;
    pub const MEM_REGION: u32 = 34;
    pub const QUERY: u32 = 35;
    pub const ZCRX_CTRL: u32 = 36;
    pub const BPF_FILTER: u32 = 37;
    /// How many there are (`IORING_REGISTER_LAST`).
    pub const COUNT: usize = 38;
    /// Or-ed into the operation: the descriptor is a registered ring index.
    pub const USE_REGISTERED_RING: u32 = 1 << 31;
}

/// `IORING_SETUP_*`.
pub mod setup {
    pub const IOPOLL: u32 = 1 << 0;
    pub const SQPOLL: u32 = 1 << 1;
    pub const SQ_AFF: u32 = 1 << 2;
    pub const CQSIZE: u32 = 1 << 3;
    pub const CLAMP: u32 = 1 << 4;
    pub const ATTACH_WQ: u32 = 1 << 5;
    pub const R_DISABLED: u32 = 1 << 6;
    pub const SUBMIT_ALL: u32 = 1 << 7;
    pub const COOP_TASKRUN: u32 = 1 << 8;
    pub const TASKRUN_FLAG: u32 = 1 << 9;
    pub const SQE128: u32 = 1 << 10;
    pub const CQE32: u32 = 1 << 11;
    pub const SINGLE_ISSUER: u32 = 1 << 12;
    pub const DEFER_TASKRUN: u32 = 1 << 13;
    pub const NO_MMAP: u32 = 1 << 14;
    pub const REGISTERED_FD_ONLY: u32 = 1 << 15;
    pub const NO_SQARRAY: u32 = 1 << 16;
    pub const HYBRID_IOPOLL: u32 = 1 << 17;
    pub const CQE_MIXED: u32 = 1 << 18;
    pub const SQE_MIXED: u32 = 1 << 19;
    pub const SQ_REWIND: u32 = 1 << 20;
}

/// `IORING_FEAT_*`.
pub mod feat {
    pub const SINGLE_MMAP: u32 = 1 << 0;
    pub const NODROP: u32 = 1 << 1;
    pub const SUBMIT_STABLE: u32 = 1 << 2;
    pub const RW_CUR_POS: u32 = 1 << 3;
    pub const CUR_PERSONALITY: u32 = 1 << 4;
    pub const FAST_POLL: u32 = 1 << 5;
    pub const POLL_32BITS: u32 = 1 << 6;
    pub const SQPOLL_NONFIXED: u32 = 1 << 7;
    pub const EXT_ARG: u32 = 1 << 8;
    pub const NATIVE_WORKERS: u32 = 1 << 9;
    pub const RSRC_TAGS: u32 = 1 << 10;
    pub const CQE_SKIP: u32 = 1 << 11;
    pub const LINKED_FILE: u32 = 1 << 12;
    pub const REG_REG_RING: u32 = 1 << 13;
    pub const RECVSEND_BUNDLE: u32 = 1 << 14;
    pub const MIN_TIMEOUT: u32 = 1 << 15;
    pub const RW_ATTR: u32 = 1 << 16;
    pub const NO_IOWAIT: u32 = 1 << 17;
}

/// `IORING_ENTER_*`.
pub mod enter {
    pub const GETEVENTS: u32 = 1 << 0;
    pub const SQ_WAKEUP: u32 = 1 << 1;
    pub const SQ_WAIT: u32 = 1 << 2;
    pub const EXT_ARG: u32 = 1 << 3;
    pub const REGISTERED_RING: u32 = 1 << 4;
    pub const ABS_TIMER: u32 = 1 << 5;
    pub const EXT_ARG_REG: u32 = 1 << 6;
    pub const NO_IOWAIT: u32 = 1 << 7;
}

/// `IOSQE_*`.
pub mod sqe_flags {
    pub const FIXED_FILE: u8 = 1 << 0;
    pub const IO_DRAIN: u8 = 1 << 1;
    pub const IO_LINK: u8 = 1 << 2;
    pub const IO_HARDLINK: u8 = 1 << 3;
    pub const ASYNC: u8 = 1 << 4;
    pub const BUFFER_SELECT: u8 = 1 << 5;
    pub const CQE_SKIP_SUCCESS: u8 = 1 << 6;
    pub const ALL: u8 = 0x7f;
}

/// `IORING_CQE_F_*`.
pub mod cqe_flags {
    pub const BUFFER: u32 = 1 << 0;
    pub const MORE: u32 = 1 << 1;
    pub const SOCK_NONEMPTY: u32 = 1 << 2;
    pub const NOTIF: u32 = 1 << 3;
    pub const BUF_MORE: u32 = 1 << 4;
    pub const SKIP: u32 = 1 << 5;
    pub const CQE32: u32 = 1 << 15;
    pub const BUFFER_SHIFT: u32 = 16;
}

/// `IORING_SQ_*`: the flags word of the submission ring.
pub mod sq_flags {
    pub const NEED_WAKEUP: u32 = 1 << 0;
    pub const CQ_OVERFLOW: u32 = 1 << 1;
    pub const TASKRUN: u32 = 1 << 2;
}

/// `IORING_CQ_*`: the flags word of the completion ring.
pub mod cq_flags {
    pub const EVENTFD_DISABLED: u32 = 1 << 0;
}

/// `IORING_TIMEOUT_*`.
pub mod timeout {
    pub const ABS: u32 = 1 << 0;
    pub const UPDATE: u32 = 1 << 1;
    pub const BOOTTIME: u32 = 1 << 2;
    pub const REALTIME: u32 = 1 << 3;
    pub const ETIME_SUCCESS: u32 = 1 << 5;
    pub const MULTISHOT: u32 = 1 << 6;
    pub const IMMEDIATE_ARG: u32 = 1 << 7;
}

/// `IORING_LINK_TIMEOUT_UPDATE`, kept beside the others it shares a word with.
pub const LINK_TIMEOUT_UPDATE: u32 = 1 << 4;

/// `IORING_POLL_*`: in `len` of a poll.
pub mod poll {
    pub const ADD_MULTI: u32 = 1 << 0;
    pub const UPDATE_EVENTS: u32 = 1 << 1;
    pub const UPDATE_USER_DATA: u32 = 1 << 2;
    pub const ADD_LEVEL: u32 = 1 << 3;
}

/// `IORING_ASYNC_CANCEL_*`.
pub mod cancel {
    pub const ALL: u32 = 1 << 0;
    pub const FD: u32 = 1 << 1;
    pub const ANY: u32 = 1 << 2;
    pub const FD_FIXED: u32 = 1 << 3;
    pub const USERDATA: u32 = 1 << 4;
    pub const OP: u32 = 1 << 5;
}

/// `IORING_RECVSEND_*` and kin: in `ioprio` of send and receive.
pub mod recvsend {
    pub const POLL_FIRST: u16 = 1 << 0;
    pub const FIXED_BUF: u16 = 1 << 2;
    pub const BUNDLE: u16 = 1 << 4;
    pub const RECV_MULTISHOT: u16 = 1 << 1;
    pub const SEND_ZC_REPORT_USAGE: u16 = 1 << 3;
    pub const SEND_VECTORIZED: u16 = 1 << 5;
}

/// `IORING_URING_CMD_*`.
pub mod uring_cmd {
    pub const FIXED: u32 = 1 << 0;
    pub const MULTISHOT: u32 = 1 << 1;
}

/// `SOCKET_URING_OP_*`: commands to sockets.
pub mod socket_op {
    pub const SIOCINQ: u32 = 0;
    pub const SIOCOUTQ: u32 = 1;
    pub const GETSOCKOPT: u32 = 2;
    pub const SETSOCKOPT: u32 = 3;
    pub const TX_TIMESTAMP: u32 = 4;
    pub const GETSOCKNAME: u32 = 5;
}

/// What a notification says of data that was copied after all (`IORING_NOTIF_USAGE_ZC_COPIED`).
pub const NOTIF_USAGE_ZC_COPIED: u32 = 1 << 31;

/// `IOU_PBUF_RING_*`.
pub mod pbuf_ring {
    pub const MMAP: u16 = 1;
    pub const INC: u16 = 2;
}

/// `IORING_ACCEPT_*`: in `ioprio` of accept.
pub mod accept {
    pub const MULTISHOT: u16 = 1 << 0;
    pub const DONTWAIT: u16 = 1 << 1;
    pub const POLL_FIRST: u16 = 1 << 2;
}

/// `IORING_REGISTER_SRC_REGISTERED` and `IORING_REGISTER_DST_REPLACE`.
pub mod clone_buffers {
    pub const SRC_REGISTERED: u32 = 1 << 0;
    pub const DST_REPLACE: u32 = 1 << 1;
}

/// `IO_URING_NAPI_*`.
pub mod napi {
    pub const REGISTER_OP: u8 = 0;
    pub const STATIC_ADD_ID: u8 = 1;
    pub const STATIC_DEL_ID: u8 = 2;
    pub const TRACKING_DYNAMIC: u32 = 0;
    pub const TRACKING_STATIC: u32 = 1;
    pub const TRACKING_INACTIVE: u32 = 255;
}

/// `IO_URING_BPF_*`.
pub mod bpf {
    pub const CMD_FILTER: u16 = 1;
    pub const DENY_REST: u32 = 1 << 0;
    pub const SZ_STRICT: u32 = 1 << 1;
}

/// `IORING_RESTRICTION_*`.
pub mod restriction {
    pub const REGISTER_OP: u16 = 0;
    pub const SQE_OP: u16 = 1;
    pub const SQE_FLAGS_ALLOWED: u16 = 2;
    pub const SQE_FLAGS_REQUIRED: u16 = 3;
    /// How many there are (`IORING_RESTRICTION_LAST`).
    pub const COUNT: usize = 4;
}

/// Flags that stand alone.
pub const FSYNC_DATASYNC: u32 = 1;
pub const FILE_INDEX_ALLOC: u32 = !0;
pub const REGISTER_FILES_SKIP: i32 = -2;
pub const RSRC_REGISTER_SPARSE: u32 = 1;
pub const REG_WAIT_TS: u32 = 1;
pub const MEM_REGION_TYPE_USER: u32 = 1;
pub const MEM_REGION_REG_WAIT_ARG: u64 = 1;
pub const MSG_RING_CQE_SKIP: u32 = 1;
pub const MSG_RING_FLAGS_PASS: u32 = 2;
pub const MSG_DATA: u64 = 0;
pub const MSG_SEND_FD: u64 = 1;
pub const OP_SUPPORTED: u16 = 1;

/// Offsets at which a ring is mapped.
pub const OFF_SQ_RING: u64 = 0;
pub const OFF_CQ_RING: u64 = 0x800_0000;
pub const OFF_SQES: u64 = 0x1000_0000;
pub const OFF_PARAM_REGION: u64 = 0x2000_0000;
pub const OFF_PBUF_RING: u64 = 0x8000_0000;
pub const OFF_PBUF_SHIFT: u32 = 16;
pub const OFF_MMAP_MASK: u64 = 0xf800_0000;

/// The largest queues the kernel makes.
pub const MAX_ENTRIES: u32 = 32768;
pub const MAX_CQ_ENTRIES: u32 = 2 * MAX_ENTRIES;
