//! Which way a program's io_uring calls can go: to the kernel, or through a filter to the engine.

use std::io;

use sysring_refuse::Filter;

use super::answer::describe;
use crate::doctor::{Check, Status};
use crate::isolated;
use crate::kernel::{self, Support};

pub fn io_uring() -> io::Result<Check> {
    Ok(match kernel::probe()? {
        Support::Works if kernel::is_served() => Check {
            name: "io_uring",
            status: Status::Info,
            found: format!("served by sysring, with {} operations", kernel::operations()?),
            uses: Some("the engine that serves this process already".into()),
            advice: None,
        },
        Support::Works => Check {
            name: "io_uring",
            status: Status::Yes,
            found: format!("works, with {} operations", kernel::operations()?),
            uses: Some("the kernel's io_uring, without sysring in between".into()),
            advice: None,
        },
        Support::Refused(cause) => Check {
            name: "io_uring",
            status: Status::No,
            found: cause.to_string(),
            uses: Some("sysring's engine, in userspace".into()),
            advice: Some(cause.advice().into()),
        },
    })
}

/// May a process filter its own calls? The engine is reached by such a filter.
pub fn seccomp() -> io::Result<Check> {
    /// A number that no architecture uses, so that the filter refuses nothing real.
    const NO_CALL: u32 = 0x0fff_ffff;
    let filter = Filter::refusing(&[NO_CALL], libc::ENOSYS as u16);
    let installed = isolated::ask_errno(|| filter.install())?;
    Ok(match installed.errno() {
        Ok(()) => Check {
            name: "seccomp",
            status: Status::Yes,
            found: match kernel::status_field("Seccomp_filters").as_deref() {
                None | Some("0") => "filters can be installed".into(),
                Some("1") => "filters can be installed; one is active already".into(),
                Some(count) => format!("filters can be installed; {count} are active already"),
            },
            uses: Some("a filter that hands the io_uring calls to the engine".into()),
            advice: None,
        },
        Err(refusal) => Check {
            name: "seccomp",
            status: Status::No,
            found: format!("filters cannot be installed: {}", describe(refusal)),
            uses: Some("nothing: the engine cannot be reached by unmodified programs".into()),
            advice: Some(
                "allow seccomp(2) and prctl(2) in the sandbox; the kernel needs \
                 CONFIG_SECCOMP_FILTER"
                    .into(),
            ),
        },
    })
}

pub fn no_new_privs() -> Check {
    let set = kernel::status_field("NoNewPrivs").as_deref() == Some("1");
    Check {
        name: "no_new_privs",
        status: Status::Info,
        found: if set { "set already" } else { "not set" }.into(),
        uses: (!set).then(|| "the engine sets it: set-uid programs do not gain privileges".into()),
        advice: None,
    }
}
