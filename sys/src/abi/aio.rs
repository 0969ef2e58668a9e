//! Kernel AIO (`io_submit`), as of Linux 4.18.

/// One request: `struct iocb`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
#[allow(missing_docs)]
pub struct Iocb {
    pub data: u64,
    #[cfg(target_endian = "little")]
    pub key: u32,
    pub rw_flags: u32,
    #[cfg(target_endian = "big")]
    pub key: u32,
    pub opcode: u16,
    pub reqprio: i16,
    pub fildes: u32,
    pub buf: u64,
    pub nbytes: u64,
    pub offset: i64,
    pub reserved2: u64,
    pub flags: u32,
    pub resfd: u32,
}

/// One completion: `struct io_event`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
#[allow(missing_docs)]
pub struct IoEvent {
    pub data: u64,
    pub obj: u64,
    pub res: i64,
    pub res2: i64,
}

/// The head of the completion ring that `io_setup` maps; events follow.
#[repr(C)]
#[allow(missing_docs)]
pub struct AioRing {
    pub id: u32,
    pub nr: u32,
    pub head: u32,
    pub tail: u32,
    pub magic: u32,
    pub compat_features: u32,
    pub incompat_features: u32,
    pub header_length: u32,
}

/// What `magic` holds when the ring has the layout above.
pub const AIO_RING_MAGIC: u32 = 0xa10a_10a1;

/// `opcode`: read, write, and their vectored forms.
pub const IOCB_CMD_PREAD: u16 = 0;
/// See [`IOCB_CMD_PREAD`].
pub const IOCB_CMD_PWRITE: u16 = 1;
/// `opcode`: `fsync`, by a thread of the kernel's.
pub const IOCB_CMD_FSYNC: u16 = 2;
/// `opcode`: `fdatasync`.
pub const IOCB_CMD_FDSYNC: u16 = 3;
/// See [`IOCB_CMD_PREAD`].
pub const IOCB_CMD_PREADV: u16 = 7;
/// See [`IOCB_CMD_PREAD`].
pub const IOCB_CMD_PWRITEV: u16 = 8;
/// `flags`: signal the eventfd in `resfd` when done.
pub const IOCB_FLAG_RESFD: u32 = 1;
/// `flags`: `reqprio` is an I/O priority, in the place of the thread's.
pub const IOCB_FLAG_IOPRIO: u32 = 2;

const _: () = assert!(size_of::<Iocb>() == 64);
const _: () = assert!(size_of::<IoEvent>() == 32);
const _: () = assert!(size_of::<AioRing>() == 32);
