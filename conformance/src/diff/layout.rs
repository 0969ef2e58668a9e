//! What every program finds when it starts: descriptors at fixed numbers, memory at fixed
//! addresses. A program can then be written down before anything of it exists.

/// Memory of the SQEs: one slot each, a buffer and then a page of what its pointers name.
pub const ARENA: u64 = 0x2000_0000_0000;
pub const SLOT: u64 = 0x2000;
pub const SLOTS: u64 = 64;
/// From a slot's start to its second page.
pub const AUX: u64 = 0x1000;
/// Read-only memory.
pub const READ_ONLY: u64 = ARENA + 0x20_0000;
/// Memory that may not be touched.
pub const FORBIDDEN: u64 = ARENA + 0x30_0000;
/// One page of memory, the page after it unmapped.
pub const EDGE: u64 = ARENA + 0x40_0000;
/// Registered buffers lie here.
pub const REGISTERED: u64 = ARENA + 0x60_0000;
pub const REGISTERED_LEN: u64 = 0x4000;
pub const REGISTERED_COUNT: u64 = 4;
/// Addresses of sockets, written by the world: 64 bytes each.
pub const ADDRESSES: u64 = ARENA + 0x70_0000;
pub const ADDRESS_LEN: u64 = 64;
/// Where register calls have their arguments: the first [`TOLD`] bytes are compared afterwards. What
/// the two sides answer there in words of their own goes to [`UNTOLD`].
pub const PLACE: u64 = ADDRESSES + 0x800;
pub const TOLD: u64 = 0x100;
pub const UNTOLD: u64 = PLACE + 0x200;
/// All of it.
pub const PLACE_LEN: u64 = 0x400;
/// Words that threads wait for: each on a line of its own, its value its number.
pub const FUTEXES: u64 = ARENA + 0x72_0000;
pub const FUTEX_LEN: u64 = 64;
/// A page that a ring shares with its program.
pub const REGION: u64 = ARENA + 0x74_0000;
/// What is lent to a ring: for its queues, then for its SQEs.
pub const LENT: u64 = ARENA + 0x78_0000;
pub const LENT_LEN: u64 = 0x8000;
/// Provided buffers, [`BUFFERS_LEN`] for each group, [`BUFFER_LEN`] for each buffer.
pub const BUFFERS: u64 = ARENA + 0x80_0000;
pub const BUFFERS_LEN: u64 = 0x2000;
pub const BUFFER_LEN: u64 = 0x400;
pub const BUFFERS_IN_GROUP: u64 = BUFFERS_LEN / BUFFER_LEN;
/// Rings of provided buffers, a page for each group.
pub const BUFFER_RINGS: u64 = ARENA + 0x90_0000;
pub const BUFFER_RING_LEN: u64 = 0x1000;
/// Groups: provided one by one, a ring, a ring whose buffers are used up bit by bit, one more ring
/// to be registered and unregistered, and one there never is.
pub const CLASSIC: u16 = 0;
pub const RING: u16 = 1;
pub const INCREMENTAL: u16 = 2;
pub const SPARE: u16 = 3;
pub const GROUPS: u64 = 4;
pub const NO_GROUP: u16 = 7;
/// Nothing is mapped here.
pub const WILD: u64 = 0x6660_0000_0000;

/// Stand-ins for descriptors that are known only when a ring exists.
pub const RING_MARK: i32 = 0x7ff0_0001;
pub const RING2_MARK: i32 = 0x7ff0_0002;
/// And for children: one that has ended, one that sleeps.
pub const ENDED_MARK: i32 = 0x7ff0_0003;
pub const ASLEEP_MARK: i32 = 0x7ff0_0004;

/// Files of the scratch folder with open descriptors: number, name, flags of open, length.
pub const FILES: [(i32, &str, i32, usize); 6] = [
    (200, "a", libc::O_RDWR, 8192),
    (201, "b", libc::O_RDWR, 4096),
    (202, "c", libc::O_RDWR | libc::O_APPEND, 300),
    (203, "d", libc::O_RDONLY, 5000),
    (204, "e", libc::O_WRONLY, 100),
    // A hole: what is read there comes from no disk.
    (DIRECT, "f", libc::O_RDWR | libc::O_DIRECT, 0x8000),
];
pub const FOLDER: i32 = 205;
pub const PATH_ONLY: i32 = 206;
/// A file past the page cache.
pub const DIRECT: i32 = 207;
pub const CLOSED: i32 = 199;

/// Names that programs make, move and remove: what is there at the start.
pub const NAMES: [(&str, Start); 8] = [
    ("n0", Start::File),
    ("n1", Start::File),
    ("n2", Start::Folder),
    ("n3", Start::Nothing),
    ("n4", Start::FullFolder),
    ("n5", Start::Nothing),
    // New names of n1, and links to nowhere: nobody opens them.
    ("l0", Start::Nothing),
    ("l1", Start::Nothing),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    Nothing,
    File,
    Folder,
    FullFolder,
}

/// What a descriptor is, and which streams it reads from and writes to. A stream is anything
/// that can make a request wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    File(usize),
    Reader(u32),
    Writer(u32),
    Socket {
        reads: u32,
        writes: u32,
    },
    Listener(u32),
    /// A socket not connected yet; connecting feeds the listener of stream 0 or 1.
    Fresh(u32),
    Counter(u32),
    Other,
    Bad,
}

/// Streams of listeners, then of what connects to them.
pub const TCP_LISTENER: u32 = 0;
pub const UNIX_LISTENER: u32 = 1;

/// Every descriptor of the world but the rings.
pub const TABLE: [(i32, Kind); 48] = [
    (200, Kind::File(0)),
    (201, Kind::File(1)),
    (202, Kind::File(2)),
    (203, Kind::File(3)),
    (204, Kind::File(4)),
    (DIRECT, Kind::File(5)),
    (FOLDER, Kind::Other),
    (PATH_ONLY, Kind::Other),
    // Pipes: empty, holding 10 bytes, never fed, non-blocking, full.
    (210, Kind::Reader(10)),
    (211, Kind::Writer(10)),
    (212, Kind::Reader(11)),
    (213, Kind::Writer(11)),
    (214, Kind::Reader(12)),
    (215, Kind::Writer(12)),
    (216, Kind::Reader(13)),
    (217, Kind::Writer(13)),
    (218, Kind::Reader(14)),
    (219, Kind::Writer(14)),
    // Ends whose other end is closed.
    (220, Kind::Reader(15)),
    (221, Kind::Writer(16)),
    // Socket pairs: empty, holding 20 bytes, datagrams, TCP, TCP with the peer gone, never fed.
    (230, Kind::Socket { reads: 20, writes: 21 }),
    (231, Kind::Socket { reads: 21, writes: 20 }),
    (232, Kind::Socket { reads: 22, writes: 23 }),
    (233, Kind::Socket { reads: 23, writes: 22 }),
    (234, Kind::Socket { reads: 24, writes: 25 }),
    (235, Kind::Socket { reads: 25, writes: 24 }),
    (236, Kind::Socket { reads: 26, writes: 27 }),
    (237, Kind::Socket { reads: 27, writes: 26 }),
    (238, Kind::Socket { reads: 28, writes: 29 }),
    (240, Kind::Socket { reads: 30, writes: 31 }),
    (241, Kind::Socket { reads: 31, writes: 30 }),
    (250, Kind::Listener(TCP_LISTENER)),
    (251, Kind::Listener(UNIX_LISTENER)),
    (252, Kind::Listener(2)),
    (255, Kind::Fresh(40)),
    (256, Kind::Fresh(41)),
    (257, Kind::Fresh(42)),
    // Eventfds: at 0, at 5, and one for the ring to signal.
    (260, Kind::Counter(50)),
    (261, Kind::Counter(51)),
    (EVENTFD, Kind::Other),
    (EPOLL, Kind::Other),
    (NULL, Kind::Other),
    (INTO, Kind::Writer(17)),
    (223, Kind::Reader(17)),
    (CLOSED, Kind::Bad),
    (-1, Kind::Bad),
    (-7, Kind::Bad),
    (70_000, Kind::Bad),
];
pub const EVENTFD: i32 = 262;
pub const EPOLL: i32 = 265;
/// `/dev/null`.
pub const NULL: i32 = 266;
/// The writing end of a pipe that only splices fill; who reads it is 223.
pub const INTO: i32 = 222;

/// Streams nothing is ever written to: what waits there waits until it is cancelled.
pub const QUIET: [i32; 5] = [214, 240, 241, 252, 260];

/// What may be added to the epoll instance.
pub const WATCHED: [i32; 3] = [210, 230, 200];

/// A splice takes from a registered file.
pub const SPLICE_F_FD_IN_FIXED: u32 = 1 << 31;

/// A TCP socket whose peer has closed.
pub const PEER_GONE: i32 = 238;

/// Files that were opened with `O_NONBLOCK`.
pub const NON_BLOCKING: [i32; 3] = [216, 217, 257];

/// The registered file table at the start; `-1` is an empty slot. Slots from
/// [`FREE_SLOTS`] on are for programs to fill.
pub const FIXED: [i32; 16] =
    [200, 201, 210, 211, 230, 231, 214, 260, -1, -1, -1, -1, -1, -1, -1, -1];
/// The buffers that the second ring has, by their lengths.
pub const SECOND_BUFFERS: [u64; 2] = [REGISTERED_LEN, 4096];
/// Completions with numbers from here on are tags of what was registered.
pub const TAGS: u64 = 0x7a60_0000;
pub const FREE_SLOTS: u32 = 8;

/// What `fd` is.
#[must_use]
pub fn kind(fd: i32) -> Kind {
    TABLE.iter().find(|(number, _)| *number == fd).map_or(Kind::Bad, |(_, kind)| *kind)
}
