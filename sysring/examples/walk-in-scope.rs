//! Adds up the sizes below a directory, as `du` does: one logical thread that recurs, lists and calls
//! lstat. What is in the cache is answered on the spot; what is not is waited for together.

use std::{
    collections::HashMap, ffi::CStr, ffi::CString, fs::File, mem::zeroed, os::fd::*, rc::Rc,
};
use sysring::syslet::{Id, Outcome, Scope, scope};

/// What to do with a result. It owns what the call uses.
trait Then: FnOnce(&mut Walk, &Scope, usize) + 'static {}
impl<F: FnOnce(&mut Walk, &Scope, usize) + 'static> Then for F {}

struct Walk {
    pending: HashMap<Id, Box<dyn Then>>,
    sum: (u64, i64),
}

impl Walk {
    fn call(&mut self, s: &Scope, number: i64, [a, b, c, d]: [usize; 4], then: impl Then) {
        // SAFETY: the memory lives until the call is answered, or the scope has ended.
        match unsafe { s.call(number as u32, [a, b, c, d, 0, 0]) } {
            Outcome::Done(result) => _ = result.map(|n| then(self, s, n)),
            Outcome::Pending(id) => drop(self.pending.insert(id, Box::new(then))),
        }
    }

    fn list(&mut self, s: &Scope, dir: Rc<OwnedFd>, mut buf: Vec<u8>) {
        let args = [dir.as_raw_fd() as usize, buf.as_mut_ptr() as usize, buf.len(), 0];
        self.call(s, libc::SYS_getdents64, args, move |walk, s, len| {
            let mut rest = &buf[..len];
            while let Some(&[low, high]) = rest.get(16..18) {
                let name = CStr::from_bytes_until_nul(&rest[19..]).unwrap();
                if name != c"." && name != c".." {
                    walk.stat(s, dir.clone(), name.to_owned());
                }
                rest = &rest[usize::from(u16::from_ne_bytes([low, high]))..];
            }
            _ = (len > 0).then(|| walk.list(s, dir, buf));
        });
    }

    fn stat(&mut self, s: &Scope, dir: Rc<OwnedFd>, name: CString) {
        // SAFETY: zeroes are numbers.
        let mut stat = Box::new(unsafe { zeroed::<libc::stat>() });
        let (dir_fd, path, to) = (dir.as_raw_fd() as usize, name.as_ptr() as usize, &raw mut *stat);
        let args = [dir_fd, path, to as usize, libc::AT_SYMLINK_NOFOLLOW as usize];
        self.call(s, libc::SYS_newfstatat, args, move |walk, s, _| {
            walk.sum = (walk.sum.0 + 1, walk.sum.1 + stat.st_size);
            if stat.st_mode & libc::S_IFMT == libc::S_IFDIR {
                let args = [dir_fd, path, (libc::O_DIRECTORY | libc::O_NOFOLLOW) as usize, 0];
                walk.call(s, libc::SYS_openat, args, move |walk, s, fd| {
                    drop((dir, name));
                    // SAFETY: a new descriptor, which is ours.
                    walk.list(s, Rc::new(unsafe { OwnedFd::from_raw_fd(fd as _) }), vec![0; 32768]);
                });
            }
        });
    }
}

fn main() {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: walk-in-scope DIRECTORY");
        std::process::exit(2);
    };
    let root = File::open(path).expect("opens");
    let mut walk = Walk { pending: HashMap::new(), sum: (0, 0) };
    scope(|s| {
        walk.list(s, Rc::new(root.into()), vec![0; 32768]);
        while let Some(done) = s.wait(1).next() {
            let then = walk.pending.remove(&done.id).unwrap();
            _ = done.result.map(|n| then(&mut walk, s, n));
        }
    });
    println!("{} entries, {} bytes", walk.sum.0, walk.sum.1);
}
