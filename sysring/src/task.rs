//! What holds for all rings that a task makes from now on, and for those of its children: for a
//! program that limits itself before it lets others in.
//!
//! What is set cannot be taken back, and the next ring begins with it, whoever makes it. Rings that
//! are there already are as they were.
//!
//! With [`Engine::Auto`] it holds for whoever may serve a ring: for the engine in userspace, whose
//! rings are the process's, and before that for the kernel, unless that refuses io_uring anyway.
//!
//! ```
//! use sysring::{Engine, Errno, Filter, Field, Restrictions, op, task};
//!
//! # fn limit() {
//! // Nothing is done but to read, write and make sockets, and those are the internet's.
//! const OPERATIONS: Restrictions<3> = Restrictions::new()
//!     .operation(op::Read::CODE)
//!     .operation(op::Write::CODE)
//!     .operation(op::Socket::CODE);
//! const SOCKETS: Filter = Filter::new(op::Socket::CODE).one_of(Field::SOCKET_FAMILY, &[2, 10]);
//!
//! let limited = task::restrict(&OPERATIONS, Engine::Auto)
//!     .and_then(|()| task::filter(&SOCKETS, Engine::Auto));
//! match limited {
//!     Ok(()) => {}
//!     Err(Errno::EINVAL | Errno::EBADF) => println!("before Linux 7.0"),
//!     Err(Errno::EACCES) => println!("neither no_new_privs nor CAP_SYS_ADMIN"),
//!     Err(e) => println!("{e}"),
//! }
//! # }
//! ```

use sysring_door::choice;
use sysring_door::{self as door, Engine as Serves};
use sysring_sys::abi::io_uring::{Restriction, TaskRestriction, register};
use sysring_sys::{Errno, User};

use crate::{Engine, Filter, Restrictions};

/// Restricts rings to come: a kind of rule that is not named (operations and their flags, or
/// registrations) stays free (`IORING_REGISTER_RESTRICTIONS` without a ring, Linux 7.0).
///
/// # Errors
/// - `EPERM`: the task is restricted already.
/// - `EACCES`: it could gain privileges: neither `no_new_privs` is set nor has it `CAP_SYS_ADMIN`.
/// - `EINVAL`, before Linux 6.13 `EBADF`: the kernel is older than Linux 7.0; or an operation does not
///   exist.
/// - `ENOMEM`: out of memory.
/// - `ENOSYS`: there is no engine in this build, or no io_uring.
pub fn restrict<const N: usize>(rules: &Restrictions<N>, engine: Engine) -> Result<(), Errno> {
    #[repr(C)]
    struct Argument<const N: usize> {
        head: TaskRestriction,
        rules: [Restriction; N],
    }
    let count = rules.rules().len();
    let nr_res = u16::try_from(count).map_err(|_| Errno::EINVAL)?;
    let head = TaskRestriction { nr_res, ..TaskRestriction::default() };
    let mut argument = Argument { head, rules: [Restriction::default(); N] };
    argument.rules[..count].copy_from_slice(rules.rules());
    each(engine, |serves| {
        let address = User::of(&raw mut argument).cast();
        door::register(serves, NO_RING, register::RESTRICTIONS, address, 1).map(drop)
    })
}

/// Asks this filter about the entries of rings to come, before those that were registered earlier
/// (`IORING_REGISTER_BPF_FILTER` without a ring, Linux 7.0).
///
/// # Errors
/// - `EMSGSIZE`: the operation does not tell what the filter looks at; or tells more, and it is
///   [strict](Filter::strict).
/// - Those of [`restrict`], but for `EPERM`.
pub fn filter(filter: &Filter, engine: Engine) -> Result<(), Errno> {
    each(engine, |serves| {
        let mut argument = filter.described();
        let address = User::of(&raw mut argument).cast();
        door::register(serves, NO_RING, register::BPF_FILTER, address, 1).map(drop)
    })
}

/// In the place of a descriptor.
pub(crate) const NO_RING: i32 = -1;

fn each(engine: Engine, mut call: impl FnMut(Serves) -> Result<(), Errno>) -> Result<(), Errno> {
    // Asked first: an engine that `sysring run` has placed is found with it.
    let chosen = choice::engine();
    let kernel = match engine {
        Engine::Kernel => true,
        Engine::User => false,
        Engine::Auto => chosen == Serves::Kernel,
    };
    if kernel {
        call(Serves::Kernel)?;
    }
    match engine {
        Engine::Kernel => Ok(()),
        Engine::Auto if kernel && cfg!(not(feature = "engine")) => Ok(()),
        _ => call(Serves::User),
    }
}
