//! What there is to be had, asked without making a ring.

use sysring_door::choice;
use sysring_door::{self as door, Engine as Serves};
use sysring_sys::abi::io_uring::{QueryHead, QueryOpcodes, register};
use sysring_sys::{Errno, User};

use crate::Engine;
use crate::task::NO_RING;

/// What an io_uring can do: numbers of calls, and flags as bits. For programs that decide before they
/// make a ring; a [`Builder`](crate::Builder) needs none of it.
///
/// ```
/// use sysring::{Abilities, Engine, Errno};
///
/// # fn main() -> Result<(), Errno> {
/// const SETUP_SQPOLL: u64 = 1 << 1;
/// match Abilities::of(Engine::Auto) {
///     Ok(abilities) => {
///         assert!(abilities.setup_flags() & SETUP_SQPOLL != 0);
///         println!("{} operations", abilities.operations());
///     }
///     Err(Errno::EINVAL | Errno::EBADF) => println!("before Linux 6.18"),
///     Err(e) => return Err(e),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Abilities(QueryOpcodes);

impl Abilities {
    /// Asks who would serve (`IORING_REGISTER_QUERY`, Linux 6.18).
    ///
    /// # Errors
    /// - `EINVAL`, before Linux 6.13 `EBADF`: the kernel is older than Linux 6.18.
    /// - `ENOSYS`, `EPERM`, `EACCES`: it refuses io_uring.
    /// - `ENOSYS`: there is no engine in this build.
    pub fn of(engine: Engine) -> Result<Abilities, Errno> {
        // Asked in any case: an engine that `sysring run` has placed is found with it.
        let chosen = choice::engine();
        let serves = match engine {
            Engine::Auto => chosen,
            Engine::Kernel => Serves::Kernel,
            Engine::User => Serves::User,
        };
        let mut answer = QueryOpcodes::default();
        let mut head = QueryHead {
            query_data: (&raw mut answer).addr() as u64,
            size: size_of::<QueryOpcodes>() as u32,
            ..QueryHead::default()
        };
        let address = User::of(&raw mut head).cast();
        door::register(serves, NO_RING, register::QUERY, address, 0)?;
        Errno::from_ret(head.result as isize)?;
        Ok(Abilities(answer))
    }

    /// How many operations there are: their codes are below this.
    /// ([`Register::operations`](crate::Register::operations) says which of them.)
    #[must_use]
    pub fn operations(&self) -> u32 {
        self.0.nr_request_opcodes
    }

    /// How many calls of `io_uring_register(2)` there are: their numbers are below this.
    #[must_use]
    pub fn registrations(&self) -> u32 {
        self.0.nr_register_opcodes
    }

    /// Features of rings (`IORING_FEAT_*`), as [`Report::features`](crate::Report::features) tells them.
    #[must_use]
    pub fn features(&self) -> u64 {
        self.0.feature_flags
    }

    /// Flags that rings can be made with (`IORING_SETUP_*`).
    #[must_use]
    pub fn setup_flags(&self) -> u64 {
        self.0.ring_setup_flags
    }

    /// Flags of `io_uring_enter(2)` (`IORING_ENTER_*`).
    #[must_use]
    pub fn enter_flags(&self) -> u64 {
        self.0.enter_flags
    }

    /// Flags of entries (`IOSQE_*`).
    #[must_use]
    pub fn entry_flags(&self) -> u64 {
        self.0.sqe_flags
    }
}
