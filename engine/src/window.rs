//! The ring descriptor as a window on memory that the application is to map.
//!
//! `mmap` of a ring's descriptor is served where the call is seen. Where a library has the engine and
//! nobody sees it, an epoll instance cannot be mapped. So when memory has been made that an
//! application maps by itself (a ring of buffers, a region for waits), the descriptor's number shows
//! a memory file in its place, until the application comes with the ring the next time. Who has the
//! descriptor in an epoll set notices nothing: the set has the open file, which is kept.
//!
//! Meanwhile the descriptor looks readable to `poll`, and `epoll_ctl` cannot add it (`EPERM`).

use sysring_sys::raw::general as g;
use sysring_sys::{Fd, Result, call};

use crate::descriptors;
use crate::locked::Locked;
use crate::ring::fd_of;

impl Locked<'_> {
    /// Shows a memory file to who maps the ring's descriptor. Where that fails, `mmap` will.
    pub fn open_window(&mut self, memory: Option<Fd>) {
        let fd = fd_of(self.ring);
        let Some(memory) = memory.filter(|_| descriptors::leads_to(fd, self.ring)) else { return };
        self.close_window();
        let Ok(aside) = descriptors::duplicate(fd) else { return };
        if replace(fd, memory).is_ok() {
            self.readiness.aside = aside;
            self.readiness.out_of_place = true;
        } else {
            descriptors::let_go(aside);
        }
    }

    /// Puts the descriptor back, unless it has been closed, and the number may be another's.
    pub fn close_window(&mut self) {
        let aside = core::mem::replace(&mut self.readiness.aside, Fd::NONE);
        if !aside.is_valid() {
            return;
        }
        let fd = fd_of(self.ring);
        if descriptors::leads_to(fd, self.ring) && is_memory(fd) {
            let _ = replace(fd, aside);
        }
        descriptors::let_go(aside);
    }
}

/// Has a number mean another open file, and be closed by `execve` or not as before.
fn replace(number: Fd, by: Fd) -> Result<Fd> {
    let closes = call::fcntl(number, g::F_GETFD, 0)? & g::FD_CLOEXEC as usize != 0;
    call::dup3(by, number, if closes { g::O_CLOEXEC } else { 0 })
}

/// Only memory files have seals.
fn is_memory(fd: Fd) -> bool {
    call::fcntl(fd, g::F_GET_SEALS, 0).is_ok()
}
