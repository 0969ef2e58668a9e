//! Which of the engine's system calls must have been made to fail: a run in which none did has
//! proved nothing.

use std::collections::BTreeMap;

use linux_raw_sys::general as nr;

/// The kinds of calls that programs lead to, each often enough that some of a few thousand fail.
const REACHED: &[(&str, u32)] = &[
    ("accept4", nr::__NR_accept4),
    ("connect", nr::__NR_connect),
    ("epoll_create1", nr::__NR_epoll_create1),
    ("epoll_ctl", nr::__NR_epoll_ctl),
    ("eventfd2", nr::__NR_eventfd2),
    ("fcntl", nr::__NR_fcntl),
    ("io_submit", nr::__NR_io_submit),
    ("mmap", nr::__NR_mmap),
    ("openat", nr::__NR_openat),
    ("ppoll", nr::__NR_ppoll),
    ("preadv2", nr::__NR_preadv2),
    ("pwritev2", nr::__NR_pwritev2),
    ("recvmsg", nr::__NR_recvmsg),
    ("sendmsg", nr::__NR_sendmsg),
    ("splice", nr::__NR_splice),
    ("statx", nr::__NR_statx),
];

/// So many programs lead to all of them, if of a thousand calls so many fail.
const ENOUGH: u64 = 5000;
const SHARE: u64 = 30;

/// What was not made to fail, and had to be.
pub fn lacking(failed: &BTreeMap<usize, u64>, programs: u64, share: u64) -> Option<String> {
    if failed.is_empty() {
        return Some("no system call was made to fail".to_owned());
    }
    if programs < ENOUGH || share < SHARE {
        return None;
    }
    let lacking: Vec<&str> = REACHED
        .iter()
        .filter(|(_, nr)| !failed.contains_key(&(*nr as usize)))
        .map(|(name, _)| *name)
        .collect();
    (!lacking.is_empty()).then(|| format!("no call was made to fail of {}", lacking.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_failures_is_none() {
        assert!(lacking(&BTreeMap::new(), 1, SHARE).is_some());
        let mut failed = BTreeMap::from([(nr::__NR_mmap as usize, 1)]);
        assert_eq!(lacking(&failed, 1, SHARE), None);
        assert!(lacking(&failed, ENOUGH, SHARE).unwrap().contains("splice"));
        assert_eq!(lacking(&failed, ENOUGH, 1), None);
        failed.extend(REACHED.iter().map(|(_, nr)| (*nr as usize, 1)));
        assert_eq!(lacking(&failed, ENOUGH, SHARE), None);
    }
}
