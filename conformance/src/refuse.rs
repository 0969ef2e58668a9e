//! How a machine refuses io_uring to the programs that are tried.

use std::process::Command;

use sysring_refuse::{Filter, IO_URING};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Refusal {
    /// As Docker's default profile and `kernel.io_uring_disabled` do.
    Eperm,
    /// As gVisor and kernels before 5.1 do.
    Enosys,
}

impl Refusal {
    /// The errno the three calls answer.
    #[must_use]
    pub fn errno(self) -> i32 {
        match self {
            Refusal::Eperm => libc::EPERM,
            Refusal::Enosys => libc::ENOSYS,
        }
    }

    /// Has `command` run on such a machine.
    pub fn on(self, command: &mut Command) -> &mut Command {
        Filter::refusing(&IO_URING, self.errno() as u16).on(command)
    }
}
