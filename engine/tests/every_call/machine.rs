//! Mounts, names of the machine, and what else is all processes' business: in namespaces of the
//! child's own, or only asked.

use sysring_sys::raw::general as g;

use super::world::{
    Arguments, CWD, World, apart, make, nobody, put, room, text, unseen, vague, words,
};

/// Linux 6.19.
const LISTNS: u32 = 470;

/// A file system that is not yet made, and one that is.
fn fsopen() -> usize {
    apart(libc::CLONE_NEWNS);
    make(g::__NR_fsopen, [c"tmpfs".as_ptr() as usize, 0])
}

fn filesystem() -> usize {
    let new = fsopen();
    make(g::__NR_fsconfig, [new, g::fsconfig_command::FSCONFIG_CMD_CREATE as usize, 0, 0, 0]);
    new
}

/// A copy of a mount, that is mounted nowhere.
fn tree(w: &World) -> usize {
    make(g::__NR_open_tree, [CWD, w.mounted(), g::OPEN_TREE_CLONE as usize])
}

/// The number of the mount that the file is on.
fn mount(w: &World) -> i64 {
    let status = unseen([0u64; 32]);
    let unique = 0x4000;
    make(g::__NR_statx, [CWD, w.path("file"), 0, unique, status]);
    // SAFETY: what has just been written; `stx_mnt_id` is at 0x90.
    unsafe { *((status + 0x90) as *const i64) }
}

const READ_ONLY: [i64; 4] = [1, 0, 0, 0];

/// A clock of the kernel's, which no more is asked of.
const CLOCK: [i64; 8] = [1 | 64 << 32, 0, 0, 0, 0, 1 << 5 | 1 << 6, 0, 0];

/// An array with one value of eight bytes.
const ARRAY: [i64; 2] = [2 | 4 << 32, 8 | 1 << 32];

pub static CALLS: &[Arguments] = &[
    (g::__NR_mount, |w| {
        w.mounts();
        vec![text("none"), w.path("empty"), text("tmpfs"), 0, 0]
    }),
    (g::__NR_umount2, |w| vec![w.mounted(), 0]),
    (g::__NR_pivot_root, |w| {
        w.mounts();
        let root = w.path(".");
        make(g::__NR_mount, [root, root, 0, libc::MS_BIND as usize, 0]);
        vec![root, w.path("empty")]
    }),
    (g::__NR_open_tree, |w| vec![CWD, w.path("file"), 0]),
    (g::__NR_open_tree, |w| vec![CWD, w.mounted(), g::OPEN_TREE_CLONE as usize]),
    (g::__NR_open_tree_attr, |w| {
        vec![CWD, w.mounted(), g::OPEN_TREE_CLONE as usize, words(READ_ONLY), 32]
    }),
    (g::__NR_move_mount, |w| {
        let from = tree(&w);
        vec![from, text(""), CWD, w.path("empty"), libc::MOVE_MOUNT_F_EMPTY_PATH as usize]
    }),
    (g::__NR_fsopen, |_| {
        apart(libc::CLONE_NEWNS);
        vec![text("tmpfs"), 0]
    }),
    (g::__NR_fsconfig, |_| {
        vec![fsopen(), g::fsconfig_command::FSCONFIG_CMD_CREATE as usize, 0, 0, 0]
    }),
    (g::__NR_fsmount, |_| vec![filesystem(), 0, 0]),
    (g::__NR_fspick, |w| vec![CWD, w.mounted(), 0]),
    (g::__NR_mount_setattr, |w| vec![CWD, w.mounted(), 0, words(READ_ONLY), 32]),
    (g::__NR_statmount, |w| vec![words([24, mount(&w), 1]), vague(4096), 4096, 0]),
    // The first of all, of which there are more.
    (g::__NR_listmount, |_| vec![words([24, -1, 0]), room(8), 1, 0]),
    (LISTNS, |_| vec![words([32, 0, 0, 0]), room(8), 1, 0]),
    (g::__NR_sethostname, |_| {
        apart(libc::CLONE_NEWUTS);
        vec![text("name"), 4]
    }),
    (g::__NR_setdomainname, |_| {
        apart(libc::CLONE_NEWUTS);
        vec![text("name"), 4]
    }),
    (g::__NR_uname, |_| vec![room(400)]),
    (g::__NR_sysinfo, |_| vec![vague(112)]),
    (g::__NR_getrandom, |_| vec![vague(32), 32, 0]),
    (g::__NR_vhangup, |_| {
        // Of a session without a terminal.
        make(g::__NR_setsid, []);
        vec![]
    }),
    // `Q_SYNC` of all file systems with quotas, and which they have.
    (g::__NR_quotactl, |_| vec![0x8000_0100, 0, 0, 0]),
    (g::__NR_quotactl_fd, |w| vec![w.file(), 0x8000_0400, 0, room(8)]),
    // A file that is no place to swap to, and one that is not swapped to.
    (g::__NR_swapon, |w| vec![w.path("file"), 0]),
    (g::__NR_swapoff, |w| vec![w.path("file")]),
    (g::__NR_acct, |w| {
        nobody();
        vec![w.path("file")]
    }),
    (g::__NR_delete_module, |_| vec![text("sysring_none"), libc::O_NONBLOCK as usize]),
    (g::__NR_syslog, |_| vec![10, 0, 0]),
    (g::__NR_bpf, |_| vec![0, words(ARRAY), 16]),
    (g::__NR_perf_event_open, |_| vec![put(room(64), CLOCK), 0, usize::MAX, usize::MAX, 0]),
    (g::__NR_nfsservctl, |_| vec![]),
];

/// The last are gone, whatever they are given.
#[cfg(target_arch = "x86_64")]
pub static OLD_CALLS: &[Arguments] = &[
    (g::__NR_uselib, |w| vec![w.path("file")]),
    (g::__NR__sysctl, |_| vec![]),
    (g::__NR_create_module, |_| vec![]),
    (g::__NR_get_kernel_syms, |_| vec![]),
    (g::__NR_query_module, |_| vec![]),
    (g::__NR_getpmsg, |_| vec![]),
    (g::__NR_putpmsg, |_| vec![]),
    (g::__NR_afs_syscall, |_| vec![]),
    (g::__NR_tuxcall, |_| vec![]),
    (g::__NR_security, |_| vec![]),
    (g::__NR_vserver, |_| vec![]),
    (g::__NR_epoll_ctl_old, |_| vec![]),
    (g::__NR_epoll_wait_old, |_| vec![]),
];

#[cfg(not(target_arch = "x86_64"))]
pub static OLD_CALLS: &[Arguments] = &[];

/// What no test calls as it is meant to be called, and why.
pub static NOT_CALLED: &[(u32, &str)] = &[
    (g::__NR_sync, "waits for all disks of the machine, which others may keep busy for minutes"),
    (g::__NR_reboot, "ends the machine"),
    (g::__NR_kexec_load, "places another kernel in the machine"),
    (g::__NR_kexec_file_load, "places another kernel in the machine"),
    (g::__NR_init_module, "needs a module that was built for this very kernel, and changes it"),
    (g::__NR_finit_module, "needs a module that was built for this very kernel, and changes it"),
];
