//! A context: a logical thread, and the kernel threads that carry it by turns.
//!
//! One word says who has the context. It is even while the context runs (USER) and odd while it is
//! inside a call (IN_CALL); the thread that enters a call makes it odd, and whoever makes it even
//! again by a compare-and-exchange goes on as the context: the thread that came back from the
//! call, or a standby. The loser finishes the call and hands the result in. The word never repeats,
//! so a standby that comes late changes nothing: a wrong guess costs time, never correctness.
//!
//! Standbys are found and woken by one *hunter* at a time, who holds the token until the woken
//! standby has tried.

use core::ptr;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};

use sysring_sys::call;

use crate::arch;
use crate::carrier::Carrier;
use crate::kernel;
use crate::monitor;
use crate::room::Room;
use crate::store::{Slot, Store};
use crate::thread::Before;

/// Who wants to be woken by the next call.
pub mod watcher {
    /// The idle thread on the context's processor.
    pub const DETECTOR: u32 = 1;
    /// The process's monitor.
    pub const MONITOR: u32 = 2;
}

/// It lies at the start of its [`Room`], which begins as zeroes.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Context {
    // What a call touches.
    /// Who has the context; see above.
    pub state: AtomicU64,
    /// Watchers that sleep ([`watcher`]).
    pub attention: AtomicU32,
    /// Whose turn it is to look for a standby: 1 while somebody does.
    token: AtomicU32,
    /// Where the context left its stack, while it is inside a call.
    pub stack: AtomicUsize,
    /// The thread that runs the context.
    pub carrier: AtomicPtr<Carrier>,
    /// The bases of FS and GS, which go with the context.
    pub fs: AtomicUsize,
    pub gs: AtomicUsize,

    /// The state in which a standby has been looked for already.
    hunted: AtomicU64,
    /// The state in which none was there; who becomes one looks here. 0: it does not matter.
    wanted: AtomicU64,
    /// What the monitor saw last.
    pub seen: AtomicU64,
    /// Threads that wait to take over.
    parked: AtomicPtr<Carrier>,
    /// The slot of the next call that blocks; null: none may be taken over.
    pub spare: AtomicPtr<Slot>,
    /// The context sleeps until a result comes: 1.
    pub waiting: AtomicU32,
    /// 1 while the detector sleeps.
    pub detector: AtomicU32,
    /// Calls are for threads of one processor ([`arch::enter_local`]).
    pub local: AtomicBool,
    /// All threads but the home are to end.
    pub over: AtomicBool,
    /// How often the context has changed its thread.
    pub moves: AtomicU64,
    /// Names given to calls that blocked.
    pub named: AtomicU64,
    /// The process; another one after `fork`.
    pub process: AtomicU32,
    /// The next of the process's contexts, for the monitor.
    pub next: AtomicPtr<Context>,

    /// All results.
    pub store: Store,
    /// Where everything lies, and the threads so far.
    pub room: Room,
    /// The caller's thread, as it was.
    pub before: Before,
}

/// Whether a state word says IN_CALL.
pub const fn in_call(state: u64) -> bool {
    state & 1 != 0
}

impl Context {
    /// Whether the context has been in one call long enough to be seen there, and nobody has
    /// done anything about it.
    pub fn needs_help(&self, state: u64) -> bool {
        in_call(state) && state != self.hunted.load(Relaxed)
    }

    /// Wakes a standby to take the context over, if it still is in the call that `state` names; false:
    /// another hunt is under way.
    pub fn hunt(&self, state: u64) -> bool {
        let mine = self.try_token();
        if mine {
            self.hunt_with_token(state);
        }
        mine
    }

    fn hunt_with_token(&self, state: u64) {
        loop {
            self.hunted.store(state, Relaxed);
            if let Some(standby) = self.pop() {
                // The token goes with it.
                return standby.send_to(state);
            }
            self.drop_token();
            // Sequentially consistent, as in `park`: either the next standby sees that it is wanted,
            // or it is seen here. Who takes the word back sees to it.
            self.wanted.store(state, SeqCst);
            let somebody = !self.parked.load(SeqCst).is_null();
            if !somebody || self.wanted.swap(0, SeqCst) == 0 || !self.token_for(state) {
                return;
            }
        }
    }

    /// Puts a thread on the list of those that wait to take over.
    pub fn park(&self, carrier: &Carrier) {
        let me = ptr::from_ref(carrier).cast_mut();
        let mut head = self.parked.load(Relaxed);
        loop {
            carrier.next.store(head, Relaxed);
            match self.parked.compare_exchange_weak(head, me, SeqCst, Relaxed) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        let wanted = self.wanted.swap(0, SeqCst);
        if wanted != 0 && self.token_for(wanted) {
            self.hunt_with_token(wanted);
        }
    }

    /// Takes a thread from that list. Only who holds the token does: so the head cannot go and come
    /// back in between.
    fn pop(&self) -> Option<&Carrier> {
        let mut head = self.parked.load(Acquire);
        loop {
            // SAFETY: carriers live as long as the context.
            let first = unsafe { head.as_ref() }?;
            let next = first.next.load(Relaxed);
            match self.parked.compare_exchange_weak(head, next, SeqCst, Acquire) {
                Ok(_) => return Some(first),
                Err(now) => head = now,
            }
        }
    }

    /// Takes one thread off that list, wherever it stands. Who calls has the token.
    pub fn unpark(&self, carrier: &Carrier) {
        let me = ptr::from_ref(carrier).cast_mut();
        let mut link = &self.parked;
        loop {
            let here = link.load(Acquire);
            if here == me {
                let next = carrier.next.load(Relaxed);
                // Only the head may have changed: somebody was put before it.
                if link.compare_exchange(here, next, SeqCst, Relaxed).is_ok() {
                    return;
                }
                continue;
            }
            // SAFETY: carriers live as long as the context.
            let Some(other) = (unsafe { here.as_ref() }) else { return };
            link = &other.next;
        }
    }

    /// Whether nobody waits to take over.
    pub fn lacks_standby(&self) -> bool {
        self.parked.load(Relaxed).is_null()
    }

    fn try_token(&self) -> bool {
        // Acquire pairs with the Release of `drop_token`: what the last thief did is seen.
        self.token.swap(1, Acquire) == 0
    }

    /// Waits until no hunt is under way, and lets none begin.
    pub fn take_token(&self) {
        while !self.try_token() {
            call::sched_yield();
        }
    }

    /// The same, unless the context leaves the call that `state` names meanwhile.
    fn token_for(&self, state: u64) -> bool {
        while self.state.load(Relaxed) == state {
            if self.try_token() {
                return true;
            }
            call::sched_yield();
        }
        false
    }

    pub fn drop_token(&self) {
        self.token.store(0, Release);
    }

    /// The next call is to be left alone.
    pub fn expect_no_help(&self) {
        self.hunted.store(self.state.load(Relaxed) + 1, Relaxed);
    }

    /// Takes the context over, if it still is in the call that `state` names; otherwise returns.
    /// Who calls has the token. `slot` is where the call's result will go.
    pub fn take_over(&self, carrier: &Carrier, state: u64, slot: *mut Slot) {
        // SAFETY: carriers live as long as the context.
        let left_behind = unsafe { &*self.carrier.load(Relaxed) };
        // Read by that thread when it has lost the exchange below, if it does.
        left_behind.slot.store(slot, Relaxed);
        // Pairs with the same exchange in `arch::enter_…`. Acquire: what the context did before its
        // call is seen by this thread, which goes on as it.
        if self.state.compare_exchange(state, state + 1, AcqRel, Relaxed).is_err() {
            return;
        }
        self.carrier.store(ptr::from_ref(carrier).cast_mut(), Relaxed);
        self.moves.store(self.moves.load(Relaxed) + 1, Relaxed);
        self.drop_token();
        // SAFETY: the exchange made the context ours; this stack holds nothing that is needed.
        unsafe { arch::resume(self) }
    }

    /// The result of a call that was left behind.
    pub fn hand_in(&self, slot: *mut Slot, result: isize) {
        // SAFETY: the slot was given to this call when the context left it.
        unsafe { self.store.finish(slot, result) };
        // Sequentially consistent with `finish`, and with the sleeper's announcement and look.
        if self.waiting.load(SeqCst) == 1 && self.waiting.swap(0, SeqCst) == 1 {
            kernel::wake(&self.waiting);
        }
    }

    /// Whether this is the process that made the context, and not a child of its.
    pub fn is_here(&self) -> bool {
        self.process.load(Relaxed) == call::getpid() as u32
    }
}

/// Wakes the watchers that went to sleep: a call begins. Runs on the carrier's stack, and the context
/// may be taken over meanwhile.
pub extern "C" fn attend(context: &Context) {
    let asleep = context.attention.swap(0, SeqCst);
    if asleep & watcher::DETECTOR != 0 {
        context.detector.store(0, Relaxed);
        kernel::wake(&context.detector);
    }
    if asleep & watcher::MONITOR != 0 {
        monitor::wake();
    }
}
