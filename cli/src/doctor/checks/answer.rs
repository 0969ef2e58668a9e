//! A call's answer as a finding.

use std::io;

use crate::doctor::{Check, Status};
use crate::isolated::{Answer, Refusal};
use crate::kernel;

/// A call that is there or not: what it is used for, and what is done without it where it is absent,
/// and where it is refused.
pub fn call_check(
    name: &'static str,
    answer: Answer,
    with: &str,
    [absent, refused]: [&str; 2],
    advice: &str,
) -> Check {
    match answer.errno() {
        Ok(()) => Check {
            name,
            status: Status::Yes,
            found: "available".into(),
            uses: Some(with.into()),
            advice: None,
        },
        Err(refusal) => Check {
            name,
            status: Status::No,
            found: format!("refused: {}", describe(refusal)),
            uses: Some(missing(refusal, absent, refused)),
            advice: Some(advice.into()),
        },
    }
}

/// What there is without a call. Absent is one that answers `ENOSYS`, and another may take its place;
/// a call that is refused with anything else stays refused.
pub fn missing(refusal: Refusal, absent: &str, refused: &str) -> String {
    match refusal {
        Refusal::Errno(libc::ENOSYS) => absent.to_owned(),
        Refusal::Errno(_) => refused.to_owned(),
        Refusal::Signal(_) => "nothing: the first request that needs it ends the process".into(),
    }
}

/// How a call was refused, in words.
pub fn describe(refusal: Refusal) -> String {
    match refusal {
        Refusal::Errno(errno) => kernel::errno_name(errno),
        Refusal::Signal(signal) => format!("signal {signal} kills the caller"),
    }
}

/// What a call of libc returned: `-1` is an error, in `errno`.
pub fn result(returned: libc::c_long) -> io::Result<()> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
