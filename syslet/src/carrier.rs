//! Carriers: the kernel threads that run a context, finish its calls, or wait to take over.
//!
//! The caller's own thread is the *home* carrier. The others are made by the context when it needs
//! one more, so that they have its credentials, namespaces, filters and priority. What is not the
//! context uses no libc and no thread-local storage.

use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};

use sysring_sys::abi::{NSEC_PER_SEC, Timespec};
use sysring_sys::raw::general as g;
use sysring_sys::{Errno, Result, call};

use crate::arch::{self, Request};
use crate::context::{Context, in_call};
use crate::kernel;
use crate::room::{self, Seat};
use crate::standbys::{Standby, Summons};
use crate::store::Slot;

/// It lies at the top of its seat, and its thread's own stack below it: calls are made there, so that
/// the context's stack is free to go on elsewhere.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Carrier {
    context: AtomicPtr<Context>,
    /// Where the result of the call goes that the context has left.
    pub slot: AtomicPtr<Slot>,
    /// What is asked of the call that this thread makes: by the context, while it runs here, for this
    /// thread itself, which looks when it has been left behind. Otherwise nothing.
    pub asked: AtomicU64,
    /// What it is while it waits to take over.
    pub standby: Standby,
    /// 1 when the context has left this thread for its home.
    parted: AtomicU32,
    /// The thread; 0 when it is gone, which the kernel says.
    tid: AtomicU32,
}

impl Carrier {
    /// The carrier that the calling thread is, which was there before.
    pub fn is_this_thread(&self) {
        self.tid.store(call::gettid() as u32, Relaxed);
    }

    /// Prepares the seat of a thread.
    pub fn sit(seat: Seat, context: &Context) -> &Carrier {
        // SAFETY: the seat's memory is mapped, zeroed, and nobody else's; zeroes are a carrier.
        let carrier = unsafe { &*seat.top::<Carrier>() };
        carrier.context.store(ptr::from_ref(context).cast_mut(), Relaxed);
        carrier
    }

    pub fn context(&self) -> &Context {
        // SAFETY: the context outlives its carriers.
        unsafe { &*self.context.load(Relaxed) }
    }

    /// Starts a thread on a seat: `start` is given the carrier's address.
    ///
    /// # Errors
    /// `EAGAIN` or `ENOMEM`: no thread to be had.
    pub fn start(&self, start: extern "C" fn(usize) -> !) -> Result<()> {
        // The kernel stores the id before the thread runs, and clears it when the thread is gone.
        let flags = g::CLONE_VM
            | g::CLONE_FS
            | g::CLONE_FILES
            | g::CLONE_SIGHAND
            | g::CLONE_THREAD
            | g::CLONE_SYSVSEM
            | g::CLONE_PARENT_SETTID
            | g::CLONE_CHILD_CLEARTID;
        let (me, tid) = (ptr::from_ref(self) as usize, self.tid.as_ptr() as usize);
        // SAFETY: the stack is the seat's; the thread is joined before the room goes. It begins with
        // its maker's signal mask, which blocks all that could run a handler.
        let made =
            unsafe { sysring_sys::arch::clone_thread(flags as usize, me, tid, tid, start, me) };
        Errno::from_ret(made).map(drop)
    }

    /// The thread; 0 when it is gone, or none was started.
    pub fn thread(&self) -> u32 {
        // Acquire: what the thread did is done.
        self.tid.load(Acquire)
    }

    /// Waits until the thread is gone, for so many nanoseconds at most; whether it is.
    pub fn join_within(&self, ns: i64) -> bool {
        let until = call::now(call::CLOCK_MONOTONIC) + ns;
        loop {
            let (tid, left) = (self.thread(), until - call::now(call::CLOCK_MONOTONIC));
            if tid == 0 || left <= 0 {
                return tid == 0;
            }
            let left = Timespec { tv_sec: 0, tv_nsec: left.min(NSEC_PER_SEC - 1) };
            let _ = call::futex_wait(&self.tid, tid, Some(&left));
        }
    }

    /// Waits until the thread is gone.
    pub fn join(&self) {
        loop {
            match self.thread() {
                0 => return,
                tid => {
                    let _ = call::futex_wait(&self.tid, tid, None);
                }
            }
        }
    }
}

/// What a standby's thread does from its first moment.
pub extern "C" fn standby_thread(carrier: usize) -> ! {
    // SAFETY: `Carrier::start` was given this by a carrier, which lives until the thread is joined;
    // scopes exist only where FSGSBASE does.
    let carrier = unsafe {
        arch::clear_fs_base();
        &*(carrier as *const Carrier)
    };
    // SAFETY: that part of the seat is for this.
    let _ = unsafe { kernel::set_signal_stack(&Seat::of(carrier).signal_stack()) };
    stand_by(carrier)
}

/// Where a thread comes to that was left with a call: `arch::enter` calls it with the result.
pub extern "C" fn orphaned(carrier: &Carrier, result: isize) -> ! {
    let context = carrier.context();
    let asked = carrier.asked.swap(0, Relaxed);
    // Without a slot it is the call that the context went home from, which nobody asks for.
    let slot = carrier.slot.load(Relaxed);
    // SAFETY: the slot was given to this call when the context left it.
    if let Some(answered) = unsafe { slot.as_ref() } {
        answered.noted.note(asked);
        context.hand_in(slot, result);
    }
    stand_by(carrier)
}

/// Waits to take over, for as long as the scope lasts. Who is woken has the token.
fn stand_by(carrier: &Carrier) -> ! {
    let context = carrier.context();
    loop {
        context.standbys.park(&context.state, &carrier.standby);
        let summons = carrier.standby.await_summons();
        if context.over.load(Relaxed) {
            // SAFETY: `Carrier::start` made it by a bare `clone`, and who joins it is told by the kernel.
            unsafe { call::exit_thread() };
        }
        match summons {
            Summons::Receive => receive(carrier),
            Summons::Take(state) => {
                let slot = context.spare.load(Relaxed);
                if !slot.is_null() {
                    context.take_over(carrier, state, slot);
                }
            }
        }
        context.standbys.drop_token();
    }
}

/// The caller's own thread takes the context back, which is about to make a call for that.
fn receive(carrier: &Carrier) -> ! {
    let context = carrier.context();
    context.standbys.unpark(&carrier.standby);
    loop {
        let state = context.state.load(Relaxed);
        if in_call(state) {
            context.take_over(carrier, state, ptr::null_mut());
        }
        call::sched_yield();
    }
}

/// Brings the context back to the thread that it began on, once that has finished its own call.
pub fn go_home(context: &Context) {
    let home = context.room.home();
    let here = context.carrier.load(Relaxed);
    if ptr::eq(here, home) {
        return;
    }
    // SAFETY: carriers live as long as the context.
    let here = unsafe { &*here };
    // Nobody else takes the context on its way. `take_over` gives the token back.
    context.standbys.take_token();
    here.parted.store(0, Relaxed);
    home.standby.receive();
    let wait = Request {
        number: g::__NR_futex as usize,
        args: [
            here.parted.as_ptr() as usize,
            (g::FUTEX_WAIT | g::FUTEX_PRIVATE_FLAG) as usize,
            0,
            0,
            0,
            0,
        ],
    };
    // SAFETY: this thread runs the context; the call sleeps on a word of ours. A signal may end it
    // (a fault's, sent by somebody): then it is made again.
    while unsafe {
        context.standbys.leave_alone(context.state.load(Relaxed) + 1);
        arch::enter(context, &wait).is_some()
    } {}
    here.parted.store(1, Relaxed);
    kernel::wake(&here.parted);
}

/// How many bytes a carrier's own data take of its seat.
const _: () = assert!(size_of::<Carrier>() <= room::SEAT / 64);
