//! How files can be read and written without a thread that waits.

use std::io;

use super::answer::{describe, missing, result};
use crate::doctor::{Check, Status};
use crate::isolated::{self, Refusal};
use crate::kernel;

pub fn aio() -> io::Result<Check> {
    let setup = isolated::ask_errno(|| {
        let mut context: libc::c_ulong = 0;
        // SAFETY: writes the id of a context into a local; the child's exit frees it.
        result(unsafe { libc::syscall(libc::SYS_io_setup, 1, &mut context) })
    })?;
    let most = kernel::read_number("/proc/sys/fs/aio-max-nr");
    let used = kernel::read_number("/proc/sys/fs/aio-nr");
    let counts = match (most, used) {
        (Some(most), Some(used)) => {
            format!("; {} of aio-max-nr = {most} events are left", most.saturating_sub(used))
        }
        _ => String::new(),
    };
    Ok(match setup.errno() {
        Ok(()) => Check {
            name: "aio",
            status: Status::Yes,
            found: format!("kernel AIO works{counts}"),
            uses: Some("kernel AIO for O_DIRECT files".into()),
            advice: None,
        },
        Err(refusal) => Check {
            name: "aio",
            status: Status::No,
            found: format!("kernel AIO is refused: {}{counts}", describe(refusal)),
            uses: Some("worker threads for O_DIRECT files, which is slower".into()),
            advice: Some(match refusal {
                Refusal::Errno(libc::EAGAIN) => "as root: raise sysctl fs.aio-max-nr".into(),
                _ => "allow io_setup, io_submit, io_getevents and io_destroy in the sandbox".into(),
            }),
        },
    })
}

/// gVisor takes RWF_NOWAIT and blocks all the same. It shows by another flag: one that does not
/// exist, which Linux refuses and gVisor ignores.
pub fn rwf_nowait() -> io::Result<Check> {
    const NO_SUCH_FLAG: libc::c_int = 0x4000_0000;
    let read = isolated::ask_errno(|| {
        let mut pipe = [0; 2];
        // SAFETY: writes two descriptors into a local; the child's exit closes them.
        result(unsafe { libc::pipe(pipe.as_mut_ptr()) }.into())?;
        // SAFETY: writes from a constant of that length.
        result(unsafe { libc::write(pipe[1], b"x".as_ptr().cast(), 1) } as libc::c_long)?;
        let mut byte = 0u8;
        let vector = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        // SAFETY: reads into a local of that length. Not libc's function: it works around errors.
        result(unsafe {
            libc::syscall(libc::SYS_preadv2, pipe[0], &vector, 1, -1i64, 0i64, NO_SUCH_FLAG)
        })
    })?;
    Ok(match read.errno() {
        Err(Refusal::Errno(libc::EOPNOTSUPP | libc::EINVAL)) => Check {
            name: "rwf_nowait",
            status: Status::Yes,
            found: "honest: unknown flags of preadv2 are refused".into(),
            uses: Some("RWF_NOWAIT, to try a read or write without blocking".into()),
            advice: None,
        },
        Ok(()) => Check {
            name: "rwf_nowait",
            status: Status::No,
            found: "taken and ignored: a read may block (gVisor does this)".into(),
            uses: Some(
                "readiness, then a worker; files are read by the caller, who may wait".into(),
            ),
            advice: None,
        },
        Err(refusal) => Check {
            name: "rwf_nowait",
            status: Status::No,
            found: format!("preadv2 is refused: {}", describe(refusal)),
            uses: Some(missing(
                refusal,
                "readiness, then preadv or pwritev by a worker; requests with RWF_* flags fail",
                "nothing in its place: reads and writes answer as preadv2 and pwritev2 do, but for \
                 O_DIRECT files, which kernel AIO serves",
            )),
            advice: Some(match refusal {
                Refusal::Errno(libc::ENOSYS) => {
                    "a kernel of version 4.6 or newer, or preadv2 and pwritev2 allowed in the \
                     sandbox"
                        .into()
                }
                _ => "allow preadv2 and pwritev2 in the sandbox".into(),
            }),
        },
    })
}
