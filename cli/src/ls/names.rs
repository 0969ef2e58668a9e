//! Names of users and groups, and times in words.

use std::collections::HashMap;
use std::ffi::CStr;
use std::time::{SystemTime, UNIX_EPOCH};

use sysring_walk::Time;

use crate::files::time::local;

/// What has been asked for once is known.
pub struct Names {
    numeric: bool,
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    /// Of names, or of numbers alone.
    pub fn new(numeric: bool) -> Names {
        Names { numeric, users: HashMap::new(), groups: HashMap::new() }
    }

    /// The user's name, or the number of one who has none.
    pub fn user(&mut self, id: u32) -> &str {
        let name = if self.numeric { |_| None } else { user };
        self.users.entry(id).or_insert_with(|| name(id).unwrap_or_else(|| id.to_string()))
    }

    pub fn group(&mut self, id: u32) -> &str {
        let name = if self.numeric { |_| None } else { group };
        self.groups.entry(id).or_insert_with(|| name(id).unwrap_or_else(|| id.to_string()))
    }
}

const ROOM: usize = 16 << 10;

fn user(id: u32) -> Option<String> {
    let mut room = vec![0; ROOM];
    let mut found = std::ptr::null_mut();
    // SAFETY: a structure of pointers and numbers, for which zeros are values.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    // SAFETY: all memory is ours and as long as is said.
    unsafe { libc::getpwuid_r(id, &mut entry, room.as_mut_ptr(), room.len(), &mut found) };
    // SAFETY: what was found is `entry`, whose name is a string in `room`.
    (!found.is_null()).then(|| unsafe { text(entry.pw_name) })
}

fn group(id: u32) -> Option<String> {
    let mut room = vec![0; ROOM];
    let mut found = std::ptr::null_mut();
    // SAFETY: as above.
    let mut entry: libc::group = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    unsafe { libc::getgrgid_r(id, &mut entry, room.as_mut_ptr(), room.len(), &mut found) };
    // SAFETY: as above.
    (!found.is_null()).then(|| unsafe { text(entry.gr_name) })
}

/// # Safety
/// `name` must be a string.
unsafe fn text(name: *const libc::c_char) -> String {
    // SAFETY: passed on to the caller.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

/// Half a year, in seconds: who is older shows a year instead of an hour.
const RECENT: i64 = 31_556_952 / 2;

/// Day and hour, or day and year, in the local time.
pub fn when(time: Time) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs() as i64);
    let recent = time.seconds <= now && now - time.seconds < RECENT;
    let format = if recent { c"%b %e %H:%M" } else { c"%b %e  %Y" };
    local(time, format).unwrap_or_else(|| time.seconds.to_string())
}
