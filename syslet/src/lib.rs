//! Syslets: system calls made in place, that become asynchronous only if they block.
//!
//! Inside a [`scope`] a call is made by the thread that asks for it. If it does not block, it costs
//! what it always does and some nanoseconds, and its result is there. If it blocks, another thread
//! takes over the caller in the middle of the call: its stack, its registers, its thread-local
//! storage. The caller goes on there, a few microseconds later, and is told [`Outcome::Pending`]; the
//! thread it left behind finishes the call, and the result comes with [`Scope::wait`].
//!
//! ```
//! use sysring_syslet::{Outcome, scope};
//! # fn read(fd: i32, buffer: &mut [u8]) -> (u32, [usize; 6]) {
//! #     (0, [fd as usize, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0])
//! # }
//! # let ends = { let mut ends = [0; 2]; unsafe { libc::pipe(ends.as_mut_ptr()) }; ends };
//! # if sysring_syslet::available().is_err() { return }
//!
//! let mut buffer = [0; 5];
//! let (number, args) = read(ends[0], &mut buffer); // the empty end of a pipe
//! scope(|s| {
//!     // SAFETY: the buffer outlives the scope, and is not touched before the answer.
//!     match unsafe { s.call(number, args) } {
//!         Outcome::Done(result) => println!("did not block: {result:?}"),
//!         Outcome::Pending(id) => println!("goes on as {id:?}"),
//!     }
//! #   unsafe { libc::write(ends[1], b"later".as_ptr().cast(), 5) };
//!     for done in s.wait(1) {
//!         println!("{:?}: {:?}", done.id, done.result); // Id(0): Ok(5)
//! #       assert_eq!(done.result, Ok(5));
//!     }
//! });
//! assert_eq!(&buffer, b"later");
//! ```
//!
//! Results are the kernel's: a number, or an [`Errno`]. Any system call may be made, those of
//! kernels to come included, but for those that would change the thread they are made by
//! ([`refuses`]). What is to be told of a call beyond that is asked for with it
//! ([`Scope::call_with`]): when it was made and done, by which thread, and whether it was taken over.
//!
//! # Where it works
//! On x86-64 Linux 5.9 or newer, without any privilege. Elsewhere, or where something forbids it
//! ([`Unavailable`]), the same program runs: every call is [`Outcome::Done`], after as long as it
//! takes. [`Scope::moves`] tells.
//!
//! # What is different inside a scope
//! The caller is the same thread to itself and to the C library: thread-local storage, `errno`,
//! locks, `std::thread::current`, rounding modes and panics are as they were. To the kernel it is one
//! of several threads by turns. So inside a scope
//!
//! - `gettid(2)`, CPU clocks of threads and other things that the kernel keeps for each thread are
//!   those of the thread of the moment. [`Scope::go_home`] brings one's own back.
//! - Priority-inheriting locks (`PTHREAD_PRIO_INHERIT`) must not be used: the kernel knows their
//!   owner by its thread. Other locks may, robust ones too.
//! - Credentials, namespaces, and what else is a thread's must not be changed. A scope that ends with
//!   other user or group ids than it began with ends the process.
//! - Signals are held back, but for those that a fault raises, while the program runs; they are
//!   handled while [`Scope::wait`] sleeps, and when the scope ends. A handler that interrupts
//!   [`Scope::wait`] may begin a scope, whose calls run to their end.
//! - The thread is bound to the processor it is on. Threads and processes that are started inside
//!   begin with that, and with signals blocked.
//! - A child of `fork` goes on alone: its calls are not left behind any more, and those that were
//!   pending end as `ECANCELED`, for it.
//!
//! `docs/syslets.md` in the repository has the whole list, and what each rests on.
//!
//! # Threads
//! A scope has a thread for each call that is pending, one in reserve, and one that runs only when
//! its processor is idle, to see that the caller has fallen asleep; a process that has scopes has one
//! that looks every 200 µs while calls are made. All sleep when no calls are made. A scope takes its
//! threads with it when it ends; the process's own stays two seconds.

// What fails says how, in what others see.
#![warn(clippy::missing_errors_doc)]
#![cfg_attr(not(test), no_std)]

mod arch;
#[cfg(target_arch = "x86_64")]
mod atomic;
#[cfg(target_arch = "x86_64")]
mod carrier;
#[cfg(target_arch = "x86_64")]
mod context;
#[cfg(target_arch = "x86_64")]
mod detector;
mod inside;
#[cfg(target_arch = "x86_64")]
mod kernel;
#[cfg(target_arch = "x86_64")]
mod late;
#[cfg(target_arch = "x86_64")]
mod life;
#[cfg(target_arch = "x86_64")]
mod locks;
#[cfg(all(test, loom))]
mod model;
#[cfg(target_arch = "x86_64")]
mod monitor;
#[cfg(target_arch = "x86_64")]
mod process;
mod refused;
#[cfg(target_arch = "x86_64")]
mod room;
#[cfg(target_arch = "x86_64")]
mod rseq;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no result ever waits"))]
mod scope;
#[cfg(target_arch = "x86_64")]
mod standbys;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no result ever waits"))]
mod store;
mod support;
#[cfg(target_arch = "x86_64")]
mod thread;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no result ever waits"))]
mod told;

pub use refused::refuses;
pub use scope::{Builder, Completion, Completions, Id, Outcome, Scope, scope};
pub use support::{Unavailable, available};
pub use sysring_events::attr;
pub use sysring_sys::{Errno, Result};
