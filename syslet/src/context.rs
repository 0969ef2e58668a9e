//! A context: a logical thread, and the kernel threads that carry it by turns.
//!
//! One word says who has the context. It is even while the context runs (USER) and odd while it is
//! inside a call (IN_CALL); the thread that enters a call makes it odd, and whoever makes it even
//! again by a compare-and-exchange goes on as the context: the thread that came back from the
//! call, or a standby. The loser finishes the call and hands the result in. The word never repeats,
//! so a standby that comes late changes nothing: a wrong guess costs time, never correctness.

use core::ptr;
use core::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicUsize};

use crate::arch;
use crate::atomic::AtomicU64;
use crate::carrier::Carrier;
use crate::kernel;
use crate::monitor;
use crate::process;
use crate::room::Room;
use crate::standbys::Standbys;
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
    /// All threads are bound to one processor.
    pub local: AtomicBool,
    /// Where the context left its stack, while it is inside a call.
    pub stack: AtomicUsize,
    /// The thread that runs the context.
    pub carrier: AtomicPtr<Carrier>,
    /// The bases of FS and GS, which go with the context.
    pub fs: AtomicUsize,
    pub gs: AtomicUsize,

    /// What the monitor saw last.
    pub seen: AtomicU64,
    /// Threads that wait to take over.
    pub standbys: Standbys,
    /// The slot of the next call that blocks; null: none may be taken over.
    pub spare: AtomicPtr<Slot>,
    /// The context sleeps until a result comes: 1.
    pub waiting: AtomicU32,
    /// It does, and signals are let through: what runs meanwhile is a handler.
    pub hearing: AtomicBool,
    /// 1 while the detector sleeps.
    pub detector: AtomicU32,
    /// All threads but the home are to end.
    pub over: AtomicBool,
    /// How often the context has changed its thread.
    pub moves: AtomicU64,
    /// Names given to calls that blocked.
    pub named: AtomicU64,
    /// The process's [`number`](process::number); another one after `fork`.
    pub process: AtomicI32,
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
    /// Whether the context is in a call, and nobody has looked for a standby yet.
    pub fn needs_help(&self, state: u64) -> bool {
        in_call(state) && self.standbys.unhunted(state)
    }

    /// Wakes a standby to take the context over, if it still is in the call that `state` names.
    pub fn hunt(&self, state: u64) {
        // Where another hunt is under way, who calls looks again.
        self.standbys.hunt(&self.state, state);
    }

    /// Takes the context over, if it still is in the call that `state` names; otherwise returns.
    /// Who calls has the token. `slot` is where the call's result will go.
    pub fn take_over(&self, carrier: &Carrier, state: u64, slot: *mut Slot) {
        // SAFETY: carriers live as long as the context.
        let left_behind = unsafe { &*self.carrier.load(Relaxed) };
        // Read by that thread when it has lost the exchange below, if it does.
        left_behind.slot.store(slot, Relaxed);
        // Pairs with the same exchange in `arch::enter`. Acquire: what the context did before its
        // call is seen by this thread, which goes on as it.
        if self.state.compare_exchange(state, state + 1, AcqRel, Relaxed).is_err() {
            return;
        }
        self.carrier.store(ptr::from_ref(carrier).cast_mut(), Relaxed);
        // SAFETY: the slot is a free one of the store's, which the context has; and it is us now.
        if let Some(slot) = unsafe { slot.as_ref() } {
            slot.carrier.set(left_behind);
            slot.cancelled.set(false);
        }
        self.moves.store(self.moves.load(Relaxed) + 1, Relaxed);
        self.standbys.drop_token();
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
        self.process.load(Relaxed) == process::number()
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
