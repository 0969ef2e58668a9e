//! Personalities: credentials that requests can be run with after the process has others.
//!
//! The kernel keeps a reference to them; here a thread keeps them, by being made where they were
//! registered and by never changing its own. Whatever is to be done with them is done by that
//! thread, or by others that it starts: only what has an identity can pass it on.

use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};

use sysring_sys::call::Credentials;
use sysring_sys::{Errno, Result, call};

use crate::crew::Crew;
use crate::driver;
use crate::sync::Mutex;

/// Different credentials that a process may have registered at one time: each costs a thread.
const MOST: usize = 64;

/// Whether a thread is there that has some credentials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeper {
    Here,
    /// Who submits at this moment has them, and is about to start one.
    ToCome,
    /// No more, and none is to come.
    Lost,
}

/// Some credentials, and who has them.
#[derive(Debug)]
pub struct Personality {
    /// Entries in tables, requests. Zero: not in use.
    refs: AtomicU32,
    /// The one in use, and one that is being retired: its table of descriptors is no longer the
    /// process's.
    crews: [Crew; 2],
    /// Which is the one.
    latest: AtomicUsize,
    /// No thread was to be had that would keep them.
    lost: AtomicBool,
    /// How often a crew had to go.
    replaced: AtomicU32,
    credentials: UnsafeCell<Credentials>,
}

// SAFETY: `credentials` is written under `CHOOSING` while nobody has the personality, and read by
// those who have it, or under `CHOOSING`.
unsafe impl Sync for Personality {}

static ALL: [Personality; MOST] = [const {
    Personality {
        refs: AtomicU32::new(0),
        crews: [const { Crew::new() }; 2],
        latest: AtomicUsize::new(0),
        lost: AtomicBool::new(false),
        replaced: AtomicU32::new(0),
        credentials: UnsafeCell::new(Credentials::UNKNOWN),
    }
}; MOST];

static CHOOSING: Mutex<()> = Mutex::new(());

impl Personality {
    /// The credentials the calling thread has at this moment, and a thread that keeps them.
    ///
    /// # Errors
    /// `EAGAIN` or `ENOMEM`: no thread to be had. `ENOMEM`: too many different ones.
    fn take() -> Result<&'static Personality> {
        let personality = Personality::of_caller()?;
        personality.attend().inspect_err(|_| personality.put())?;
        Ok(personality)
    }

    /// The credentials the calling thread has at this moment, held. Nobody else may have them.
    ///
    /// # Errors
    /// `ENOMEM`: too many different ones.
    pub fn of_caller() -> Result<&'static Personality> {
        let mine = call::credentials();
        let _choosing = CHOOSING.lock();
        let same = |p: &&Personality| mine.are_whole() && *p.credentials() == mine;
        if let Some(known) = ALL.iter().filter(same).find(|p| p.hold() || p.revive()) {
            return Ok(known);
        }
        // Acquire pairs with the Release in `put`: nobody reads the credentials any more.
        let free =
            |p: &&Personality| p.refs.load(Acquire) == 0 && p.crews.iter().all(Crew::is_gone);
        let new = ALL.iter().find(free).ok_or(Errno::ENOMEM)?;
        // SAFETY: nobody has it, and nobody else chooses.
        unsafe { *new.credentials.get() = mine };
        // Release pairs with the Acquire in `hold`: the credentials are there, and that they are not lost.
        new.lost.store(false, Relaxed);
        new.refs.store(1, Release);
        Ok(new)
    }

    /// Sees that there is a thread with the credentials, which are the caller's.
    ///
    /// # Errors
    /// `EAGAIN` or `ENOMEM`: none to be had.
    fn attend(&'static self) -> Result<()> {
        if self.keeper() == Keeper::Here {
            return Ok(());
        }
        // What others have to do for those who have these credentials, it does.
        driver::prepare()?;
        let _choosing = CHOOSING.lock();
        if !self.crew().is_open() {
            self.muster()?;
        }
        // Release pairs with the Acquire in `keeper`.
        self.lost.store(false, Release);
        Ok(())
    }

    /// Begins a crew with the caller's credentials and its table of descriptors. While nobody chooses.
    ///
    /// # Errors
    /// `EAGAIN`: of the crews before, none has come to its end. `EAGAIN` or `ENOMEM`: no thread.
    fn muster(&'static self) -> Result<()> {
        let free = self.crews.iter().position(Crew::is_gone).ok_or(Errno::EAGAIN)?;
        self.crews[free].muster(self)?;
        self.latest.store(free, Relaxed);
        Ok(())
    }

    /// Who has the credentials.
    #[must_use]
    pub fn crew(&self) -> &Crew {
        // Relaxed: both are always there, and one that has closed takes nothing.
        &self.crews[self.latest.load(Relaxed) % 2]
    }

    /// What a thread of a crew of this one's is told when it starts.
    pub fn post(&'static self, crew: &Crew) -> usize {
        ptr::from_ref(self) as usize + usize::from(ptr::eq(crew, &self.crews[1]))
    }

    /// What it was told.
    ///
    /// # Safety
    /// [`post`](Personality::post) has said so.
    pub unsafe fn at_post(post: usize) -> (&'static Crew, &'static Personality) {
        // SAFETY: `post` has put the number of the crew into a bit that is 0 in the address.
        let personality = unsafe { &*((post & !1) as *const Personality) };
        (&personality.crews[post & 1], personality)
    }

    /// The process has another table of descriptors, the calling thread's. Where that has the
    /// credentials, it starts others with both; else nobody is there who could. While nobody chooses.
    fn replace(&'static self, mine: &Credentials) {
        let before = self.crew();
        if !before.is_open() {
            return;
        }
        // Release pairs with the first Acquire in `keeper`; and the lock of the crew, which retires below,
        // brings it to who finds that closed.
        self.replaced.fetch_add(1, Release);
        // First of all, for who finds this one closed asks what has become of it (`keeper`).
        // Relaxed: the credentials change only while somebody chooses.
        if self.refs.load(Relaxed) != 0 {
            let same = mine.are_whole() && self.credentials() == mine;
            // Release pairs with the Acquire in `keeper`.
            self.lost.store(!same || self.muster().is_err(), Release);
        }
        // What comes to it now is refused, and comes again.
        before.retire();
    }

    /// The same if somebody else than the caller has it. Where there is no thread to be had, what
    /// needs it will fail when its turn comes.
    pub fn attend_if_wanted(&'static self) {
        // Relaxed: a number, and a word about what is not there.
        if self.refs.load(Relaxed) > 1 && self.attend().is_err() {
            self.lost.store(true, Relaxed);
        }
    }

    /// Who has the credentials, if anybody.
    #[must_use]
    pub fn keeper(&self) -> Keeper {
        loop {
            // Acquire pairs with the Release in `replace`, and keeps what is looked at below behind it.
            let replaced = self.replaced.load(Acquire);
            if self.crew().is_open() {
                return Keeper::Here;
            }
            // Who closed it had said before whether they are lost, and its lock has brought that along.
            // Acquire pairs with the Release that clears it: a new crew is there then.
            let lost = self.lost.load(Acquire);
            // Such another may be there since the first look, however it came.
            if self.crew().is_open() {
                return Keeper::Here;
            }
            if lost {
                return Keeper::Lost;
            }
            // Unless it came and went: its lock has brought along that it was replaced.
            if self.replaced.load(Relaxed) == replaced {
                return Keeper::ToCome;
            }
        }
    }

    fn credentials(&self) -> &Credentials {
        // SAFETY: see `Sync`.
        unsafe { &*self.credentials.get() }
    }

    /// Whether the calling thread has the same.
    #[must_use]
    pub fn is_present(&self) -> bool {
        let own = self.credentials();
        own.are_whole() && *own == call::credentials()
    }

    /// Whether the workers of a crew have the same.
    #[must_use]
    pub fn is_of(&self, crew: &Crew) -> bool {
        let own = self.credentials();
        own.are_whole() && crew.has(own)
    }

    /// One more has it, unless nobody has.
    pub fn hold(&self) -> bool {
        // Acquire pairs with the Release in `take` and `revive`: the credentials are there.
        let one_more = |refs| if refs == 0 { None } else { Some(refs + 1) };
        self.refs.fetch_update(Acquire, Relaxed, one_more).is_ok()
    }

    /// One has it again, if its threads have not ended yet. While nobody else chooses.
    fn revive(&self) -> bool {
        // Relaxed: it leaves 0 only while somebody chooses. Release pairs with the Acquire in `hold`.
        let recalled = self.refs.load(Relaxed) == 0 && self.crew().recall();
        if recalled {
            self.refs.store(1, Release);
        }
        recalled
    }

    /// One less has it; without any, its threads end after a while.
    pub fn put(&self) {
        // Release pairs with the Acquire in `take`: the credentials were read before.
        if self.refs.fetch_sub(1, Release) == 1 {
            let _choosing = CHOOSING.lock();
            // Relaxed: it leaves 0 only under this lock.
            if self.refs.load(Relaxed) != 0 || self.crew().is_gone() {
                return;
            }
            match self.credentials().are_whole() {
                true => self.crew().dismiss(),
                // Nobody will be found to have the same.
                false => self.crew().retire(),
            }
        }
    }
}

/// The calling thread has got a table of descriptors of its own, and the process goes on with that:
/// those who have the credentials share the one before, and others take their place.
pub fn retire() {
    let mine = call::credentials();
    let _choosing = CHOOSING.lock();
    ALL.iter().for_each(|personality| personality.replace(&mine));
}

/// In a child of `fork`: those who had the credentials are the parent's.
pub fn after_fork() {
    CHOOSING.reset();
    for personality in &ALL {
        personality.refs.store(0, Relaxed);
        personality.crews.iter().for_each(Crew::after_fork);
    }
}

/// A ring's personalities by number: from 1 to 65535, given in turn.
#[derive(Debug)]
pub struct Table {
    /// By number, the place in `ALL` plus one; 0 for none. Null until the first is registered.
    places: *mut u8,
    last: u16,
}

const NUMBERS: usize = 1 << 16;

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    pub const fn new() -> Table {
        Table { places: ptr::null_mut(), last: 0 }
    }

    fn places(&mut self) -> &mut [u8] {
        if self.places.is_null() {
            return &mut [];
        }
        // SAFETY: mapped with this length by `register`.
        unsafe { core::slice::from_raw_parts_mut(self.places, NUMBERS) }
    }

    /// A number for the credentials of the calling thread.
    ///
    /// # Errors
    /// `EBUSY`: all numbers are taken. `EAGAIN`, `ENOMEM`.
    pub fn register(&mut self) -> Result<u16> {
        if self.places.is_null() {
            self.places = call::map_anonymous(NUMBERS, false)?;
        }
        let after = usize::from(self.last) + 1;
        let places = self.places();
        let number = (after..NUMBERS).chain(1..after).find(|&n| places[n] == 0);
        let number = number.ok_or(Errno::EBUSY)?;
        let personality = Personality::take()?;
        let place = ALL.iter().position(|p| ptr::eq(p, personality)).unwrap_or(0);
        places[number] = place as u8 + 1;
        self.last = number as u16;
        Ok(self.last)
    }

    /// Takes a number back.
    ///
    /// # Errors
    /// `EINVAL`: it is nobody's.
    pub fn unregister(&mut self, number: u32) -> Result<()> {
        let place = self.places().get_mut(number as usize).filter(|place| **place != 0);
        let place = core::mem::take(place.ok_or(Errno::EINVAL)?);
        ALL[usize::from(place) - 1].put();
        Ok(())
    }

    /// The credentials behind a number, for a request to have.
    ///
    /// # Errors
    /// `EINVAL`: none.
    pub fn get(&mut self, number: u16) -> Result<&'static Personality> {
        let place = self.places().get(usize::from(number)).copied().unwrap_or(0);
        let personality = usize::from(place).checked_sub(1).map(|at| &ALL[at]);
        personality.filter(|p| p.hold()).ok_or(Errno::EINVAL)
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        for place in self.places() {
            if let Some(at) = usize::from(core::mem::take(place)).checked_sub(1) {
                ALL[at].put();
            }
        }
        if !self.places.is_null() {
            // SAFETY: mapped with this length by `register`, and not used again.
            let _ = unsafe { call::munmap(self.places as usize, NUMBERS) };
        }
        *self = Table::new();
    }
}
