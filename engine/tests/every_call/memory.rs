//! Memory, and queues, semaphores and memory that processes share.

use sysring_sys::raw::general as g;

use super::world::{
    Arguments, MILLISECOND, apart, make, mapping, pages, pid, pidfd, put, room, text, vague, words,
};

/// Queues and the like of the child's own: those of the machine stay as they are.
fn alone() {
    apart(libc::CLONE_NEWIPC);
}

/// A set of two semaphores.
fn semaphores() -> usize {
    alone();
    make(g::__NR_semget, [0, 2, 0o600])
}

/// A change of the first.
fn change(by: i16) -> usize {
    words([i64::from(by as u16) << 16])
}

fn queue() -> usize {
    alone();
    make(g::__NR_msgget, [0, 0o600])
}

/// With a message in it.
fn filled_queue() -> usize {
    let queue = queue();
    make(g::__NR_msgsnd, [queue, put(room(16), [1, 77]), 8, 0]);
    queue
}

fn segment() -> usize {
    alone();
    make(g::__NR_shmget, [0, 4096, 0o600])
}

/// A POSIX queue that is to be made: a small one, for all of a user's are limited, and go late.
fn new_queue() -> [usize; 4] {
    alone();
    let flags = (libc::O_RDWR | libc::O_CREAT) as usize;
    [text("queue"), flags, 0o600, words([0, 1, 8, 0, 0, 0, 0, 0])]
}

/// One that may be waited for.
fn posix_queue() -> usize {
    make(g::__NR_mq_open, new_queue())
}

/// With a message in it.
fn filled_posix_queue() -> usize {
    let queue = posix_queue();
    make(g::__NR_mq_timedsend, [queue, put(room(8), [77]), 8, 1, 0]);
    queue
}

/// A vector for two words that another vector names, too.
fn vector() -> usize {
    words([put(room(16), [1, 2]) as i64, 16])
}

fn key() -> usize {
    make(g::__NR_pkey_alloc, [0, 0])
}

/// Pages that keep to the first node.
fn bound() -> usize {
    let pages = pages(4096);
    make(g::__NR_mbind, [pages, 4096, libc::MPOL_BIND as usize, words([1]), 64, 0]);
    pages
}

pub static CALLS: &[Arguments] = &[
    (g::__NR_mmap, |_| vec![0, 8192, 3, 0x22, usize::MAX, 0]),
    (g::__NR_munmap, |_| vec![pages(8192), 8192]),
    (g::__NR_munmap, |_| vec![0x7000_0000_0000, 4096]),
    (g::__NR_mprotect, |_| vec![pages(8192), 4096, 1]),
    (g::__NR_mremap, |_| vec![pages(4096), 4096, 8192, libc::MREMAP_MAYMOVE as usize]),
    (g::__NR_brk, |_| vec![0]),
    (g::__NR_msync, |_| vec![pages(4096), 4096, libc::MS_SYNC as usize]),
    (g::__NR_madvise, |_| vec![pages(8192), 8192, 4]),
    (g::__NR_madvise, |_| vec![0, 0, 4]),
    (g::__NR_process_madvise, |_| {
        let pages = [pages(8192) as i64, 8192];
        vec![pidfd(pid()), put(vague(16), pages), 1, libc::MADV_COLD as usize, 0]
    }),
    (g::__NR_mincore, |_| vec![pages(8192), 8192, room(2)]),
    (g::__NR_mincore, |_| vec![0x7000_0000_0000, 4096, room(1)]),
    (g::__NR_mlock, |_| vec![pages(4096), 4096]),
    (g::__NR_mlock2, |_| vec![pages(4096), 4096, 1]),
    (g::__NR_munlock, |_| vec![pages(4096), 4096]),
    (g::__NR_mlockall, |_| vec![(libc::MCL_CURRENT | libc::MCL_ONFAULT) as usize]),
    (g::__NR_munlockall, |_| vec![]),
    (g::__NR_remap_file_pages, |_| vec![mapping(8192, libc::MAP_SHARED), 4096, 0, 1, 0]),
    (g::__NR_memfd_secret, |_| vec![0]),
    (g::__NR_mseal, |_| vec![pages(4096), 4096, 0]),
    (g::__NR_map_shadow_stack, |_| vec![0, 4096, 0]),
    (g::__NR_pkey_alloc, |_| vec![0, 0]),
    (g::__NR_pkey_free, |_| vec![key()]),
    (g::__NR_pkey_mprotect, |_| vec![pages(4096), 4096, 1, key()]),
    (g::__NR_membarrier, |_| vec![0, 0, 0]),
    (g::__NR_mbind, |_| vec![pages(4096), 4096, libc::MPOL_BIND as usize, words([1]), 64, 0]),
    (g::__NR_get_mempolicy, |_| vec![room(4), room(128), 1024, 0, 0]),
    (g::__NR_set_mempolicy, |_| vec![libc::MPOL_DEFAULT as usize, 0, 0]),
    (g::__NR_set_mempolicy_home_node, |_| vec![bound(), 4096, 0, 0]),
    (g::__NR_move_pages, |_| vec![0, 1, words([put(room(8), [1]) as i64]), 0, room(4), 0]),
    (g::__NR_migrate_pages, |_| vec![0, 64, words([1]), words([1])]),
    (g::__NR_process_vm_readv, |_| {
        let to = words([room(16) as i64, 16]);
        vec![pid(), to, 1, vector(), 1, 0]
    }),
    (g::__NR_process_vm_writev, |_| {
        let to = words([room(16) as i64, 16]);
        vec![pid(), vector(), 1, to, 1, 0]
    }),
    (g::__NR_userfaultfd, |_| vec![g::UFFD_USER_MODE_ONLY as usize]),
    (g::__NR_semget, |_| {
        alone();
        vec![0, 2, 0o600]
    }),
    (g::__NR_semctl, |_| vec![semaphores(), 0, libc::SETVAL as usize, 3]),
    (g::__NR_semctl, |_| vec![semaphores(), 0, libc::IPC_STAT as usize, vague(104)]),
    (g::__NR_semop, |_| vec![semaphores(), change(1), 1]),
    (g::__NR_semop, |_| vec![usize::MAX, words([0]), 1]),
    (g::__NR_semtimedop, |_| vec![semaphores(), change(1), 1, 0]),
    (g::__NR_semtimedop, |_| vec![semaphores(), change(-1), 1, words(MILLISECOND)]),
    (g::__NR_msgget, |_| {
        alone();
        vec![0, 0o600]
    }),
    (g::__NR_msgctl, |_| vec![filled_queue(), libc::IPC_STAT as usize, vague(120)]),
    (g::__NR_msgsnd, |_| vec![queue(), put(room(16), [1, 77]), 8, 0]),
    (g::__NR_msgrcv, |_| vec![filled_queue(), room(16), 8, 0, 0]),
    (g::__NR_msgrcv, |_| vec![usize::MAX, room(100), 50, 0, 0]),
    (g::__NR_shmget, |_| {
        alone();
        vec![0, 4096, 0o600]
    }),
    (g::__NR_shmctl, |_| vec![segment(), libc::IPC_STAT as usize, vague(112)]),
    (g::__NR_shmat, |_| vec![segment(), 0, 0]),
    (g::__NR_shmdt, |_| vec![make(g::__NR_shmat, [segment(), 0, 0])]),
    (g::__NR_mq_open, |_| new_queue().to_vec()),
    (g::__NR_mq_unlink, |_| {
        posix_queue();
        vec![text("queue")]
    }),
    (g::__NR_mq_timedsend, |_| vec![posix_queue(), put(room(8), [77]), 8, 1, words([0, 0])]),
    (g::__NR_mq_timedreceive, |_| vec![filled_posix_queue(), room(8), 8, room(4), 0]),
    (g::__NR_mq_timedreceive, |_| vec![posix_queue(), room(8), 8, room(4), words([1, 0])]),
    (g::__NR_mq_notify, |_| vec![posix_queue(), 0]),
    (g::__NR_mq_getsetattr, |_| vec![filled_posix_queue(), 0, room(64)]),
];
