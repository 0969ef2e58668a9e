//! Adds up the sizes below a directory, as `du` does: one logical thread that recurs, lists and calls
//! lstat. What is in the cache is answered on the spot; what is not is waited for together.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::{collections::HashMap, ffi::CStr, ffi::CString, fs::File, mem::zeroed, rc::Rc};
use sysring::syslet::{Id, Outcome, Scope, scope};

/// What to do with a result. It owns what the call uses.
type Then = Box<dyn FnOnce(&mut Walk, &Scope, usize)>;
#[derive(Default)]
struct Walk {
    pending: HashMap<Id, Then>,
    sum: (u64, i64),
}

impl Walk {
    fn call(&mut self, s: &Scope, number: i64, [a, b, c, d]: [usize; 4], then: Then) {
        // SAFETY: the memory lives until the call is answered, or the scope has ended.
        match unsafe { s.call(number as u32, [a, b, c, d, 0, 0]) } {
            Outcome::Done(result) => _ = result.map(|n| then(self, s, n)),
            Outcome::Pending(id) => drop(self.pending.insert(id, then)),
        }
    }

    fn open(&mut self, s: &Scope, dir: Rc<OwnedFd>, name: CString) {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let args = [dir.as_raw_fd() as usize, name.as_ptr() as usize, flags as usize, 0];
        let then = move |walk: &mut Walk, s: &Scope, fd| {
            drop((dir, name));
            // SAFETY: a new descriptor, which is ours.
            walk.list(s, Rc::new(unsafe { OwnedFd::from_raw_fd(fd as i32) }), vec![0; 32 << 10]);
        };
        self.call(s, libc::SYS_openat, args, Box::new(then));
    }

    fn list(&mut self, s: &Scope, dir: Rc<OwnedFd>, mut buf: Vec<u8>) {
        let args = [dir.as_raw_fd() as usize, buf.as_mut_ptr() as usize, buf.len(), 0];
        let then = move |walk: &mut Walk, s: &Scope, len| {
            let mut rest = &buf[..len];
            while let Some(&[low, high]) = rest.get(16..18) {
                let name = CStr::from_bytes_until_nul(&rest[19..]).unwrap();
                if name != c"." && name != c".." {
                    walk.stat(s, &dir, name.to_owned());
                }
                rest = &rest[usize::from(u16::from_ne_bytes([low, high]))..];
            }
            if len > 0 {
                walk.list(s, dir, buf);
            }
        };
        self.call(s, libc::SYS_getdents64, args, Box::new(then));
    }

    fn stat(&mut self, s: &Scope, dir: &Rc<OwnedFd>, name: CString) {
        // SAFETY: zeroes are numbers.
        let (dir, mut stat) = (dir.clone(), Box::new(unsafe { zeroed::<libc::stat>() }));
        let (at, to) = (dir.as_raw_fd() as usize, &raw mut *stat as usize);
        let args = [at, name.as_ptr() as usize, to, libc::AT_SYMLINK_NOFOLLOW as usize];
        let then = move |walk: &mut Walk, s: &Scope, _| {
            walk.sum = (walk.sum.0 + 1, walk.sum.1 + stat.st_size);
            if stat.st_mode & libc::S_IFMT == libc::S_IFDIR {
                walk.open(s, dir, name);
            }
        };
        self.call(s, libc::SYS_newfstatat, args, Box::new(then));
    }
}

fn main() {
    let root = File::open(std::env::args().nth(1).expect("a directory to walk")).expect("opens");
    let mut walk = Walk::default();
    scope(|s| {
        walk.open(s, Rc::new(root.into()), c".".into());
        while s.pending() > 0 {
            for done in s.wait(1) {
                let then = walk.pending.remove(&done.id).unwrap();
                _ = done.result.map(|n| then(&mut walk, s, n));
            }
        }
    });
    println!("{} entries, {} bytes", walk.sum.0, walk.sum.1);
}
