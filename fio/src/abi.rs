//! fio's interface for engines, as far as one has to know it: where its structures have what.
//!
//! Offsets are those of 64-bit Linux, in releases 3.30 to 3.42. They depend on no option of fio's
//! `configure`, and changed once, when a unit's sequence number grew to 64 bits.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

/// A job's data, of which nothing is known here but its address.
#[repr(C)]
pub struct ThreadData {
    _opaque: [u8; 0],
}

/// An open file of a job.
#[repr(C)]
pub struct File {
    _opaque: [u8; 0],
}

/// One transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Unit(pub *mut u8);

/// What a unit is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Read,
    Write,
    Trim,
    Sync,
    DataSync,
    /// One that this engine does not know.
    Other,
}

/// What `queue` answers.
pub const COMPLETED: c_int = 0;
pub const QUEUED: c_int = 1;

pub type Hook = unsafe extern "C" fn(*mut ThreadData) -> c_int;
pub type FileHook = unsafe extern "C" fn(*mut ThreadData, *mut File) -> c_int;

/// An engine. The slots behind the last named field moved once; where each is, says a [`Layout`].
#[repr(C)]
pub struct Engine {
    list: [usize; 2],
    pub name: *const c_char,
    pub version: c_int,
    pub flags: c_int,
    dlhandle: *mut c_void,
    setup: Option<Hook>,
    pub init: Option<Hook>,
    post_init: Option<Hook>,
    prep: Option<unsafe extern "C" fn(*mut ThreadData, Unit) -> c_int>,
    pub queue: Option<unsafe extern "C" fn(*mut ThreadData, Unit) -> c_int>,
    pub commit: Option<Hook>,
    pub getevents: Option<
        unsafe extern "C" fn(*mut ThreadData, c_uint, c_uint, *const libc::timespec) -> c_int,
    >,
    pub event: Option<unsafe extern "C" fn(*mut ThreadData, c_int) -> Unit>,
    /// `errdetails`, then perhaps `cancel`, then what [`Layout::cleanup`] counts from; more than any
    /// release has, and all others of no use here.
    rest: [usize; REST],
}

const REST: usize = 32;

impl Engine {
    pub const fn new() -> Engine {
        Engine {
            list: [0; 2],
            name: std::ptr::null(),
            version: 0,
            flags: 0,
            dlhandle: std::ptr::null_mut(),
            setup: None,
            init: None,
            post_init: None,
            prep: None,
            queue: None,
            commit: None,
            getevents: None,
            event: None,
            rest: [0; REST],
        }
    }

    /// Sets the slots that moved: how a job ends, and how files are opened, closed and measured.
    pub fn set_rest(
        &mut self,
        layout: &Layout,
        cleanup: unsafe extern "C" fn(*mut ThreadData),
        [open, close, size]: [FileHook; 3],
    ) {
        let first = layout.cleanup;
        self.rest[first] = cleanup as usize;
        self.rest[first + 1] = open as usize;
        self.rest[first + 2] = close as usize;
        // Behind `invalidate` and `unlink_file`.
        self.rest[first + 5] = size as usize;
    }
}

/// Where a release has what.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// The number that fio compares with its own.
    pub version: c_int,
    /// Which of the slots behind `event` is `cleanup`.
    cleanup: usize,
    /// How far a unit's fields behind its sequence number are from where they used to be.
    shift: usize,
}

const fn layout(version: c_int) -> Layout {
    Layout { version, cleanup: 2, shift: 0 }
}

/// Without `cancel`, and with the longer number.
const NEWER: Layout = Layout { version: 39, cleanup: 1, shift: 8 };

/// The releases 3.N, by their last number.
const RELEASES: [(std::ops::RangeInclusive<u32>, Layout); 6] = [
    (30..=33, layout(31)),
    (34..=35, layout(32)),
    (36..=37, layout(33)),
    (38..=39, layout(36)),
    (40..=40, layout(37)),
    (41..=42, NEWER),
];

/// Which release has been started, and what it looks like.
///
/// # Errors
/// One that is not known, or no fio.
pub fn host() -> Result<&'static Layout, String> {
    // SAFETY: a string that ends. fio's executable shows the text of its version.
    let text = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"fio_version_string".as_ptr()) };
    if text.is_null() {
        return Err("this program does not say that it is fio".to_owned());
    }
    // SAFETY: fio has a string there.
    let text = unsafe { CStr::from_ptr(text.cast()) }.to_string_lossy();
    of_version(&text)
        .ok_or_else(|| format!("{text} is not known; the engine serves fio 3.30 to 3.42"))
}

fn of_version(text: &str) -> Option<&'static Layout> {
    // What was built between two releases may look like neither of them.
    let number: u32 = text.strip_prefix("fio-3.")?.parse().ok()?;
    let found = RELEASES.iter().find(|(releases, _)| releases.contains(&number));
    found.map(|(_, layout)| layout)
}

/// A function for files that fio shows.
pub fn generic(name: &CStr) -> Result<FileHook, String> {
    // SAFETY: a string that ends.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    if address.is_null() {
        return Err(format!("this fio does not show {}", name.to_string_lossy()));
    }
    // SAFETY: in all releases that are known, those with these names take a job and a file.
    Ok(unsafe { std::mem::transmute::<*mut c_void, FileHook>(address) })
}

/// Where a file has its descriptor.
const DESCRIPTOR: usize = 20;

/// The descriptor of a file; of one that is not open a negative number.
///
/// # Safety
/// `file` is one of fio's.
pub unsafe fn descriptor(file: *const File) -> c_int {
    // SAFETY: passed on to the caller.
    unsafe { file.byte_add(DESCRIPTOR).cast::<c_int>().read() }
}

const FILE: usize = 32;
const DIRECTION: usize = 44;
/// These come behind the sequence number.
const OFFSET: usize = 72;
const BUFFER: usize = 104;
const LENGTH: usize = 112;
const REST_OF_IT: usize = 136;
const ERROR: usize = 144;

impl Unit {
    /// # Safety
    /// A unit of fio's that has a `T` there.
    unsafe fn get<T: Copy>(self, at: usize) -> T {
        // SAFETY: passed on to the caller.
        unsafe { self.0.add(at).cast::<T>().read() }
    }

    /// Which file, what, from or to where and how much: descriptor, direction, address, length and
    /// offset in the file.
    ///
    /// # Safety
    /// A unit that fio has queued, and its layout.
    pub unsafe fn order(self, layout: &Layout) -> Order {
        // SAFETY: the layout says what is there, and a unit that is queued has an open file.
        unsafe {
            Order {
                descriptor: descriptor(self.get::<*const File>(FILE)),
                direction: match self.get::<c_int>(DIRECTION) {
                    0 => Direction::Read,
                    1 => Direction::Write,
                    2 => Direction::Trim,
                    3 => Direction::Sync,
                    4 => Direction::DataSync,
                    _ => Direction::Other,
                },
                address: self.get(BUFFER + layout.shift),
                length: self.get::<u64>(LENGTH + layout.shift) as usize,
                offset: self.get(OFFSET + layout.shift),
            }
        }
    }

    /// Notes what became of it: an error number or 0, and how many bytes were not moved.
    ///
    /// # Safety
    /// A unit that fio waits for, and its layout.
    pub unsafe fn answer(self, layout: &Layout, error: c_uint, missing: u64) {
        // SAFETY: the layout says what is there, and until it is told of it fio leaves it alone.
        unsafe {
            self.0.add(REST_OF_IT + layout.shift).cast::<u64>().write(missing);
            self.0.add(ERROR + layout.shift).cast::<c_uint>().write(error);
        }
    }
}

/// What a unit asks for.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub descriptor: c_int,
    pub direction: Direction,
    pub address: usize,
    pub length: usize,
    pub offset: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_known_by_name() {
        assert_eq!(of_version("fio-3.33").map(|l| l.version), Some(31));
        assert_eq!(of_version("fio-3.38").map(|l| l.version), Some(36));
        assert_eq!(of_version("fio-3.41"), Some(&NEWER));
        for unknown in ["fio-3.29", "fio-3.43", "fio-3.33-5-g0a1b2c", "fio-4.33", "fio", ""] {
            assert_eq!(of_version(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn an_engine_has_its_slots_where_fio_looks() {
        use std::mem::offset_of;
        assert_eq!(offset_of!(Engine, version), 24);
        assert_eq!(offset_of!(Engine, queue), 9 * 8);
        assert_eq!(offset_of!(Engine, rest) + 2 * 8, 15 * 8, "cleanup, with errdetails and cancel");
        assert_eq!(size_of::<Engine>(), (13 + REST) * 8);
    }
}
