//! Who may take the context over, and who looks for one of them.
//!
//! Standbys wait on a list. One *hunter* at a time looks there, a watcher or a thread that has just
//! become a standby: it takes the token, which goes to the standby that it wakes, and is given back
//! when that one has tried. A hunter that finds nobody leaves word that somebody is wanted.

use core::ptr;

use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use crate::atomic::{AtomicPtr, AtomicU32, AtomicU64, Bell, give_way, put};

/// What a standby is woken for. It has the token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Summons {
    /// To take the context from the call that this state names, unless the scope is over.
    Take(u64),
    /// To receive the context, whose home it is. It is on the list still.
    Receive,
}

const TAKE: u32 = 1;
const RECEIVE: u32 = 2;

/// A thread that waits to take over.
#[derive(Debug)]
pub struct Standby {
    /// The next on the list.
    next: AtomicPtr<Standby>,
    /// The call that it is to take the context from.
    target: AtomicU64,
    /// What it is to do.
    summons: Bell,
}

impl Standby {
    /// Wakes it to receive the context.
    pub fn receive(&self) {
        self.summons.ring(RECEIVE);
    }

    /// Wakes it because the scope is over.
    pub fn dismiss(&self) {
        self.summons.ring(TAKE);
    }

    fn send_to(&self, state: u64) {
        self.target.store(state, Relaxed);
        self.summons.ring(TAKE);
    }

    /// Sleeps until it is woken.
    pub fn await_summons(&self) -> Summons {
        match self.summons.answer() {
            RECEIVE => Summons::Receive,
            _ => Summons::Take(self.target.load(Relaxed)),
        }
    }
}

/// The standbys of a context.
#[derive(Debug)]
pub struct Standbys {
    /// 1 while somebody hunts, or tries to take over.
    token: AtomicU32,
    /// The state in which a standby has been looked for already.
    hunted: AtomicU64,
    /// The state in which none was there; who becomes one looks here. 0: it does not matter.
    wanted: AtomicU64,
    /// Those that wait.
    list: AtomicPtr<Standby>,
}

impl Standbys {
    /// Whether nobody has looked for a standby in this state.
    pub fn unhunted(&self, state: u64) -> bool {
        state != self.hunted.load(Relaxed)
    }

    /// In this state nobody is to be looked for.
    pub fn leave_alone(&self, state: u64) {
        self.hunted.store(state, Relaxed);
    }

    /// Wakes a standby to take the context over, if it still is in the call that `state` names, as
    /// `word` says; false: another hunt is under way.
    pub fn hunt(&self, word: &AtomicU64, state: u64) -> bool {
        let mine = self.try_token();
        if mine {
            self.hunt_with_token(word, state, None);
        }
        mine
    }

    fn hunt_with_token(&self, word: &AtomicU64, state: u64, me: Option<&Standby>) {
        loop {
            self.hunted.store(state, Relaxed);
            if let Some(standby) = self.pop() {
                // The token goes with it.
                return standby.send_to(state);
            }
            // Before the word is left: who finds it has nobody to wait for but another hunter.
            self.drop_token();
            // The next standby's exchange on the list comes after the one here, and then he sees that
            // he is wanted; or before, and he is seen here. Who takes the word back sees to it.
            // Release: he sees the context in that call, too.
            put!(self.wanted, state);
            let nobody = ptr::null_mut();
            let none = self.list.compare_exchange(nobody, nobody, AcqRel, Acquire).is_ok();
            if none || self.wanted.swap(0, AcqRel) == 0 || !self.token_for(word, state, me) {
                return;
            }
        }
    }

    /// Puts a thread on the list, and wakes one if one is wanted.
    pub fn park(&self, word: &AtomicU64, standby: &Standby) {
        let me = ptr::from_ref(standby).cast_mut();
        let mut head = self.list.load(Relaxed);
        loop {
            standby.next.store(head, Relaxed);
            // Release pairs with the Acquire in `pop`: the link is seen. Acquire: see above.
            match self.list.compare_exchange_weak(head, me, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        let wanted = self.wanted.swap(0, AcqRel);
        if wanted != 0 && self.token_for(word, wanted, Some(standby)) {
            self.hunt_with_token(word, wanted, Some(standby));
        }
    }

    /// Takes a thread from the list. Only who holds the token does: so the head cannot go and come
    /// back in between.
    fn pop(&self) -> Option<&Standby> {
        let mut head = self.list.load(Acquire);
        loop {
            // SAFETY: standbys live as long as the context.
            let first = unsafe { head.as_ref() }?;
            let next = first.next.load(Relaxed);
            match self.list.compare_exchange_weak(head, next, AcqRel, Acquire) {
                Ok(_) => return Some(first),
                Err(now) => head = now,
            }
        }
    }

    /// Takes one thread off the list, wherever it stands. Who calls has the token.
    pub fn unpark(&self, standby: &Standby) {
        let me = ptr::from_ref(standby).cast_mut();
        let mut link = &self.list;
        loop {
            let here = link.load(Acquire);
            if here == me {
                let next = standby.next.load(Relaxed);
                // Only the head may have changed: somebody was put before it.
                if link.compare_exchange(here, next, AcqRel, Relaxed).is_ok() {
                    return;
                }
                continue;
            }
            // SAFETY: standbys live as long as the context.
            let Some(other) = (unsafe { here.as_ref() }) else { return };
            link = &other.next;
        }
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.list.load(Relaxed).is_null()
    }

    fn try_token(&self) -> bool {
        // Acquire pairs with the Release of `drop_token`: what the last thief did is seen.
        self.token.swap(1, Acquire) == 0
    }

    /// Waits until no hunt is under way, and lets none begin.
    pub fn take_token(&self) {
        while !self.try_token() {
            give_way();
        }
    }

    /// Waits for the token, unless the context leaves the call that `state` names meanwhile, or the
    /// waiting thread is itself a standby that has been woken: then it has the token, and whoever
    /// woke it for another call looks again.
    fn token_for(&self, word: &AtomicU64, state: u64, me: Option<&Standby>) -> bool {
        while word.load(Relaxed) == state && !me.is_some_and(|me| me.summons.has_rung()) {
            if self.try_token() {
                return true;
            }
            give_way();
        }
        false
    }

    /// Lets others hunt again.
    pub fn drop_token(&self) {
        put!(self.token, 0);
    }
}

#[cfg(loom)]
impl Standby {
    pub fn new() -> Standby {
        Standby {
            next: AtomicPtr::new(ptr::null_mut()),
            target: AtomicU64::new(0),
            summons: Bell::default(),
        }
    }
}

#[cfg(loom)]
impl Standbys {
    pub fn new() -> Standbys {
        Standbys {
            token: AtomicU32::new(0),
            hunted: AtomicU64::new(0),
            wanted: AtomicU64::new(0),
            list: AtomicPtr::new(ptr::null_mut()),
        }
    }
}
