//! A scope's way to its context.

#[cfg(not(target_arch = "x86_64"))]
pub use nowhere::*;
#[cfg(target_arch = "x86_64")]
pub use somewhere::*;

#[cfg(target_arch = "x86_64")]
mod somewhere {
    use core::ptr;
    use core::sync::atomic::Ordering::{Relaxed, SeqCst};
    use core::time::Duration;

    use sysring_sys::abi::{NSEC_PER_SEC, Timespec};
    use sysring_sys::{Errno, call, kick};

    use crate::arch::{self, Request};
    use crate::context::Context;
    use crate::scope::{Builder, Scope};
    use crate::store::Slot;
    use crate::support::Unavailable;
    use crate::told::Told;
    use crate::{carrier, kernel, life};

    /// A context, as a scope has it.
    #[derive(Debug)]
    pub struct Inside {
        context: *const Context,
        outermost: bool,
    }

    /// Begins a scope, inside another one if there is one.
    pub fn enter(builder: &Builder) -> Result<Inside, Unavailable> {
        if !builder.moves {
            return Err(Unavailable::NotWanted);
        }
        match life::current() {
            // What a handler returns to is what the kernel keeps for the thread that it began on.
            // SAFETY: the context that this thread is.
            Some(context) if unsafe { &*context }.hearing.load(Relaxed) => {
                Err(Unavailable::InHandler)
            }
            Some(context) => Ok(Inside { context, outermost: false }),
            None => Ok(Inside { context: life::begin(builder)?, outermost: true }),
        }
    }

    impl Inside {
        fn context(&self) -> &Context {
            // SAFETY: the context lasts until the outermost scope is dropped, and other scopes are
            // dropped before.
            unsafe { &*self.context }
        }

        /// The result, or none if the call blocked.
        ///
        /// # Safety
        /// The call must be sound.
        #[inline]
        pub unsafe fn call(&self, request: &Request) -> Option<isize> {
            // SAFETY: this thread runs the context, for it has the scope, which is not `Send`. That
            // nothing gives the threads another processor was promised to `Builder::cpu_local`.
            unsafe { arch::enter(self.context, request) }
        }

        /// The same, and if it blocks the thread that is left with it tells what it was asked.
        ///
        /// # Safety
        /// As [`call`](Inside::call).
        pub unsafe fn call_asked(&self, request: &Request, asked: u64) -> Option<isize> {
            // SAFETY: carriers live as long as the context. It is this thread; behind the call it is
            // another one if there is no result.
            let carrier = unsafe { &*self.context().carrier.load(Relaxed) };
            carrier.asked.store(asked, Relaxed);
            // SAFETY: passed on to the caller.
            let result = unsafe { self.call(request) };
            if result.is_some() {
                carrier.asked.store(0, Relaxed);
            }
            result
        }

        /// Whether somebody is there to take over if a call blocks.
        pub fn is_covered(&self) -> bool {
            let context = self.context();
            let (slot, standbys) = (context.spare.load(Relaxed), &context.standbys);
            !slot.is_null() && !standbys.is_empty() && context.is_here()
        }

        /// Puts down who is waiting for the call that has just blocked, what it is called, and what is
        /// to be told of it; prepares for the next.
        pub fn blocked(&self, scope: &Scope, told: &Told) -> u64 {
            let context = self.context();
            let id = context.named.load(Relaxed);
            context.named.store(id + 1, Relaxed);
            // SAFETY: whoever took the context over had this slot, or it would not have.
            let slot = unsafe { &*context.spare.load(Relaxed) };
            slot.owner.set(scope);
            slot.id.set(id);
            slot.told.set(*told);
            context.spare.store(context.store.take().unwrap_or(ptr::null_mut()), Relaxed);
            if context.standbys.is_empty() {
                // Without one, the next call that blocks is waited for.
                let _ = context.room.add_standby(context);
            }
            if cfg!(debug_assertions) {
                life::check_credentials(context);
                life::check_locks(context);
            }
            id
        }

        pub fn moves(&self) -> Result<(), Unavailable> {
            if self.context().is_here() { Ok(()) } else { Err(Unavailable::Forked) }
        }

        pub fn go_home(&self) {
            if self.context().is_here() {
                carrier::go_home(self.context());
            }
        }

        /// Hands results to the scopes that asked, and sleeps until it is `enough`.
        pub fn gather(&self, enough: &dyn Fn() -> bool, most: Option<Duration>) {
            let until = most.map(from_now);
            loop {
                self.hand_out();
                if enough() || self.answer_orphans() {
                    return;
                }
                if self.sleep(until.as_ref()) == Err(Errno::ETIMEDOUT) {
                    return self.hand_out();
                }
            }
        }

        fn hand_out(&self) {
            self.context().store.take_finished(|slot| {
                // SAFETY: a scope waits for its calls before it ends.
                let owner = unsafe { &*slot.owner.replace(ptr::null()) };
                owner.arrive(slot);
            });
        }

        /// In a child of `fork`: the calls are the parent's, and here their end is `ECANCELED`.
        fn answer_orphans(&self) -> bool {
            let context = self.context();
            if context.is_here() {
                return false;
            }
            context.store.each_owned(|slot| {
                slot.result.store(Errno::ECANCELED.to_res() as isize, Relaxed);
                slot.told.set(slot.told.get().of_another_process());
                // SAFETY: a scope waits for its calls before it ends; the child has a copy of it.
                let owner = unsafe { &*slot.owner.replace(ptr::null()) };
                owner.arrive(slot);
            });
            true
        }

        /// Tells a call to end before its time.
        pub fn cancel(&self, scope: &Scope, id: u64) -> Result<(), Errno> {
            let context = self.context();
            if !context.is_here() {
                return Err(Errno::ENOENT);
            }
            self.hand_out();
            let mine = |slot: &&Slot| ptr::eq(slot.owner.get(), scope);
            let slot = context.store.find(id).filter(mine).ok_or(Errno::ENOENT)?;
            if !context.before.lets_kicks_through() || !kick::prepare() {
                return Err(Errno::EOPNOTSUPP);
            }
            slot.cancelled.set(true);
            // SAFETY: carriers live as long as the context.
            let thread = unsafe { &*slot.carrier.get() }.thread();
            // It is still in that call, or hands in, or waits to take over, where a signal does
            // nothing: it cannot be the context before this thread makes a call.
            kick::kick(call::getpid(), thread as i32)
        }

        fn sleep(&self, until: Option<&Timespec>) -> Result<(), Errno> {
            let context = self.context();
            // Sequentially consistent, with the look below: as in `Context::hand_in`.
            context.waiting.store(1, SeqCst);
            let slept = if context.store.has_finished() {
                Ok(())
            } else {
                context.hearing.store(true, Relaxed);
                let sleep = || kernel::sleep_while(&context.waiting, 1, until);
                let slept = context.before.hearing(sleep);
                context.hearing.store(false, Relaxed);
                slept
            };
            context.waiting.store(0, Relaxed);
            slept
        }

        pub fn give_back(&self, slot: &Slot) {
            let context = self.context();
            context.store.give_back(slot);
            if context.spare.load(Relaxed).is_null() {
                context.spare.store(context.store.take().unwrap_or(ptr::null_mut()), Relaxed);
            }
        }
    }

    impl Drop for Inside {
        fn drop(&mut self) {
            if self.outermost {
                life::end(self.context());
            }
        }
    }

    fn from_now(most: Duration) -> Timespec {
        let most = i64::try_from(most.as_nanos()).unwrap_or(i64::MAX);
        let at = call::now(call::CLOCK_MONOTONIC).saturating_add(most);
        Timespec { tv_sec: at / NSEC_PER_SEC, tv_nsec: at % NSEC_PER_SEC }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod nowhere {
    use core::time::Duration;

    use crate::arch::Request;
    use sysring_sys::Errno;

    use crate::scope::{Builder, Scope};
    use crate::store::Slot;
    use crate::support::Unavailable;
    use crate::told::Told;

    /// There is no context: this is never made.
    #[derive(Debug)]
    pub enum Inside {}

    pub fn enter(builder: &Builder) -> Result<Inside, Unavailable> {
        Err(if builder.moves { Unavailable::Architecture } else { Unavailable::NotWanted })
    }

    impl Inside {
        pub unsafe fn call(&self, _: &Request) -> Option<isize> {
            match *self {}
        }

        pub unsafe fn call_asked(&self, _: &Request, _: u64) -> Option<isize> {
            match *self {}
        }

        pub fn is_covered(&self) -> bool {
            match *self {}
        }

        pub fn blocked(&self, _: &Scope, _: &Told) -> u64 {
            match *self {}
        }

        pub fn moves(&self) -> Result<(), Unavailable> {
            match *self {}
        }

        pub fn go_home(&self) {
            match *self {}
        }

        pub fn gather(&self, _: &dyn Fn() -> bool, _: Option<Duration>) {
            match *self {}
        }

        pub fn cancel(&self, _: &Scope, _: u64) -> Result<(), Errno> {
            match *self {}
        }

        pub fn give_back(&self, _: &Slot) {
            match *self {}
        }
    }
}
