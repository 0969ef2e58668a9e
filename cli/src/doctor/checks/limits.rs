//! The process's limits.

use crate::doctor::{Check, Status};
use crate::run::limit;

pub fn descriptors() -> Check {
    let limit = limit::now();
    let floor = sysring_engine::descriptors::FLOOR.raw();
    let enough = limit::ENOUGH;
    let status = match limit.rlim_max {
        hard if hard < limit::LEAST => Status::No,
        hard if hard < enough => Status::Limited,
        _ => Status::Info,
    };
    let uses = if status == Status::No {
        format!("nothing: the engine's numbers begin at {floor}, so `run` serves no io_uring")
    } else {
        format!("numbers from {floor} up for the engine; `run` raises a limit below {enough}")
    };
    Check {
        name: "descriptors",
        status,
        found: describe_limit(&limit),
        uses: Some(uses),
        advice: (status != Status::Info)
            .then(|| format!("as root: raise the hard limit (ulimit -Hn) to {enough}")),
    }
}

pub fn threads() -> Check {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes into a local.
    unsafe { libc::getrlimit(libc::RLIMIT_NPROC, &mut limit) };
    Check {
        name: "threads",
        status: Status::Info,
        found: describe_limit(&limit),
        uses: None,
        advice: None,
    }
}

fn describe_limit(limit: &libc::rlimit) -> String {
    let number = |n| match n {
        libc::RLIM_INFINITY => "unlimited".to_owned(),
        n => n.to_string(),
    };
    format!("limit {}, hard limit {}", number(limit.rlim_cur), number(limit.rlim_max))
}
