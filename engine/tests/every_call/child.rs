//! A call is made in a child: what it changes ends with it, what it answers and writes is told.

use std::cell::RefCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::slice;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::SeqCst;

/// What a call came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    Answer(i64),
    Refused(i64),
    /// It has not come back.
    Blocks,
    /// The process that made it has died of a signal.
    Died(i32),
    /// Why this machine does not let it be made without harm.
    Unable(String),
    /// The test itself is at fault.
    Panicked(String),
}

/// An outcome, and the memory that the call was told of.
pub struct Seen {
    pub outcome: Outcome,
    pub memory: Vec<u8>,
}

/// Bytes for what the calls of one child are told.
const ROOM: usize = 256 * 1024;

/// What is there before a call writes.
const BLANK: u8 = 0xa5;

/// Memory that is at the same address in all children of a test, and in it what they tell.
pub struct Stage {
    told: &'static Told,
}

#[repr(C, align(64))]
struct Told {
    kind: AtomicI64,
    value: AtomicI64,
    /// Bytes in use.
    used: AtomicI64,
    room: [u8; ROOM],
}

/// A child's share of it.
struct Room {
    told: *const Told,
    used: usize,
    /// What is in here differs between processes: only where something was written is told.
    vague: Vec<Range<usize>>,
}

thread_local!(static MINE: RefCell<Option<Room>> = const { RefCell::new(None) });

impl Room {
    fn start(&self) -> *mut u8 {
        // SAFETY: the child's and its parent's, who waits for it.
        unsafe { (&raw const (*self.told).room).cast_mut().cast() }
    }

    fn take(&mut self, len: usize) -> Range<usize> {
        let from = self.used;
        self.used = (from + len).next_multiple_of(16);
        assert!(self.used <= ROOM, "{len} more bytes");
        // SAFETY: inside, as was just seen.
        unsafe { self.start().add(from).write_bytes(BLANK, self.used - from) };
        from..self.used
    }

    /// Leaves of what is vague whether it was written.
    fn blur(&self) {
        for range in &self.vague {
            for at in range.clone().step_by(8) {
                // SAFETY: inside, and at a multiple of eight.
                unsafe {
                    let word = self.start().add(at).cast::<[u8; 8]>();
                    *word = [u8::from(*word != [BLANK; 8]); 8];
                }
            }
        }
    }

    fn tell(&self, kind: i64, value: i64) {
        // SAFETY: lives as long as the process.
        let told = unsafe { &*self.told };
        told.used.store(self.used as i64, SeqCst);
        told.value.store(value, SeqCst);
        told.kind.store(kind, SeqCst);
    }

    fn say(&mut self, kind: i64, text: &str) -> ! {
        self.used = 0;
        let range = self.take(text.len());
        // SAFETY: room for it, and then the end of the child.
        unsafe {
            self.start().add(range.start).copy_from(text.as_ptr(), text.len());
            self.tell(kind, text.len() as i64);
            libc::_exit(0)
        }
    }
}

fn mine<T>(act: impl FnOnce(&mut Room) -> T) -> T {
    MINE.with_borrow_mut(|room| act(room.as_mut().expect("not in a child")))
}

/// Memory that the call may write: what it writes is compared.
pub fn room(len: usize) -> usize {
    mine(|room| room.start() as usize + room.take(len).start)
}

/// The same, of which only is compared whether it was written.
pub fn vague(len: usize) -> usize {
    mine(|room| {
        let range = room.take(len);
        room.vague.push(range.clone());
        room.start() as usize + range.start
    })
}

/// Puts words there.
pub fn put<const N: usize>(at: usize, words: [i64; N]) -> usize {
    // SAFETY: memory of this child, for so many.
    unsafe { (at as *mut [i64; N]).write(words) };
    at
}

/// Ends the child: the call cannot be made here.
pub fn unable(why: &str) -> ! {
    mine(|room| room.say(5, why))
}

impl Stage {
    pub fn new() -> Stage {
        let (prot, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, which stays.
        let told = unsafe {
            let at = libc::mmap(ptr::null_mut(), size_of::<Told>(), prot, flags, -1, 0);
            assert_ne!(at, libc::MAP_FAILED);
            &*at.cast::<Told>()
        };
        Stage { told }
    }

    /// Runs `act` in a child, for so many seconds, and tells what came of it.
    pub fn in_a_child(&self, patience: u32, act: impl FnOnce() -> Outcome) -> Seen {
        self.told.kind.store(0, SeqCst);
        self.told.used.store(0, SeqCst);
        // SAFETY: what the child does is its own; it ends here.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            self.be_the_child(patience, act);
        }
        let mut status = 0;
        // SAFETY: our child.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        self.seen(status)
    }

    fn be_the_child(&self, patience: u32, act: impl FnOnce() -> Outcome) -> ! {
        // SAFETY: descriptors and a timer of the child's own.
        unsafe {
            // Null is also the number of a descriptor, and some calls change what is behind it (a
            // mode, an owner): a file that is nobody's.
            let file = libc::memfd_create(c"nobody's".as_ptr(), 0);
            assert!(file >= 0);
            for fd in 0..3 {
                libc::dup2(file, fd);
            }
            libc::close_range(3, 900, 0);
            libc::alarm(patience);
        }
        MINE.set(Some(Room { told: self.told, used: 0, vague: Vec::new() }));
        let outcome = catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|what| {
            let text = what.downcast::<String>().map_or_else(|_| "panicked".into(), |text| *text);
            Outcome::Panicked(text)
        });
        mine(|room| {
            room.blur();
            match outcome {
                Outcome::Answer(value) => room.tell(1, value),
                Outcome::Refused(value) => room.tell(2, value),
                Outcome::Blocks | Outcome::Died(_) => room.tell(3, 0),
                Outcome::Unable(why) => room.say(5, &why),
                Outcome::Panicked(text) => room.say(6, &text),
            }
        });
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(0) };
    }

    fn seen(&self, status: i32) -> Seen {
        let used = self.told.used.load(SeqCst) as usize;
        // SAFETY: inside, and the child is no more.
        let memory = unsafe { slice::from_raw_parts((&raw const self.told.room).cast(), used) };
        let value = self.told.value.load(SeqCst);
        let text = || String::from_utf8_lossy(&memory[..value as usize]).into_owned();
        let outcome = match self.told.kind.load(SeqCst) {
            _ if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGALRM => {
                Outcome::Blocks
            }
            _ if libc::WIFSIGNALED(status) => Outcome::Died(libc::WTERMSIG(status)),
            1 => Outcome::Answer(value),
            2 => Outcome::Refused(value),
            5 => Outcome::Unable(text()),
            6 => Outcome::Panicked(text()),
            _ => Outcome::Blocks,
        };
        Seen { outcome, memory: memory.to_vec() }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // SAFETY: nobody has a part of it any more.
        unsafe { libc::munmap(ptr::from_ref(self.told).cast_mut().cast(), size_of::<Told>()) };
    }
}
