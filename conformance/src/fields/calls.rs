//! The three system calls with wrong arguments.

use sysring_sys::User;
use sysring_sys::abi::io_uring::{Params, enter, register, setup};

use crate::raw::{Backend, Ring};

type Say<'a> = &'a mut dyn FnMut(&str, String);

/// Where there is no memory to be lent.
const LENT: [u64; 5] = [0, 0x1000, 0xdead_0040, 0x8000_0000_0000, 0xffff_ffff_ffff_f000];

const WILD: [u64; 5] = [0, 1, 0xdead_0000, 0x8000_0000_0000, u64::MAX];

pub fn all(backend: &dyn Backend, only: &str, say: Say<'_>) {
    if "setup".contains(only) {
        setups(backend, say);
    }
    if "enter".contains(only) {
        enters(backend, say);
    }
    if "register".contains(only) {
        registers(backend, say);
        super::registers::all(backend, say);
    }
}

fn setups(backend: &dyn Backend, say: Say<'_>) {
    let mut try_one = |what: String, entries: u32, mut params: Params| {
        let fd = backend.setup(entries, User::of(&raw mut params));
        let made = fd >= 0;
        if made {
            backend.close(fd as i32);
        }
        let answer = if made {
            format!("a ring of {} and {}", params.sq_entries, params.cq_entries)
        } else {
            fd.to_string()
        };
        say(&what, answer);
    };
    let sizes =
        [0, 1, 3, 4, 4096, 4097, 32768, 32769, 1_000_000, 0x7fff_ffff, 0x8000_0000, u32::MAX];
    for flags in [0, setup::CLAMP] {
        for entries in sizes {
            let params = Params { flags, ..Params::default() };
            try_one(format!("setup of {entries} with {flags:#x}"), entries, params);
            for cq_entries in sizes {
                let flags = flags | setup::CQSIZE;
                let params = Params { flags, cq_entries, ..Params::default() };
                let what = format!("setup of {entries} and {cq_entries} with {flags:#x}");
                try_one(what, entries, params);
            }
        }
    }
    for bit in 0..32 {
        // Flags one of the two does not know are compared by the coverage table, not here.
        let flag = 1 << bit;
        let absent = sysring_engine::SETUP_FLAGS & flag == 0 && flag <= setup::SQ_REWIND;
        // Newer than the kernels this is run on.
        let too_new = flag & (setup::SQE_MIXED | setup::SQ_REWIND) != 0;
        if absent || too_new {
            continue;
        }
        for other in [0, setup::SINGLE_ISSUER, setup::SQPOLL, setup::DEFER_TASKRUN] {
            let params = Params { flags: flag | other, cq_entries: 16, ..Params::default() };
            try_one(format!("setup with flags {:#x}", flag | other), 8, params);
        }
    }
    for word in 0..3 {
        let mut params = Params::default();
        params.resv[word] = 1;
        try_one(format!("setup with reserved word {word}"), 8, params);
    }
    for wq_fd in [0, 300, u32::MAX] {
        let params = Params { flags: setup::ATTACH_WQ, wq_fd, ..Params::default() };
        try_one(format!("setup attached to {wq_fd}"), 8, params);
    }
    for cq in LENT {
        for sq in LENT {
            let mut params = Params { flags: setup::NO_MMAP, ..Params::default() };
            (params.cq_off.user_addr, params.sq_off.user_addr) = (cq, sq);
            try_one(format!("setup in memory at {cq:#x} and {sq:#x}"), 8, params);
        }
    }
    for cpu in [0, 1, 100_000] {
        let flags = setup::SQPOLL | setup::SQ_AFF;
        let params = Params { flags, sq_thread_cpu: cpu, ..Params::default() };
        try_one(format!("setup bound to processor {cpu}"), 8, params);
    }
    for address in WILD {
        let answer = backend.setup(8, User::new(address));
        say(&format!("setup with parameters at {address:#x}"), answer.to_string());
    }
}

fn enters(backend: &dyn Backend, say: Say<'_>) {
    let Ok(ring) = Ring::new(backend, 8, Params::default()) else { return };
    for bit in 0..32 {
        let flag = 1 << bit;
        let answer = backend.enter(ring.fd, 0, 0, flag, 0, 0);
        say(&format!("enter with flags {flag:#x}"), answer.to_string());
    }
    for fd in [-1, 0, 399, 100_000, i32::MIN] {
        say(&format!("enter of {fd}"), backend.enter(fd, 0, 0, 0, 0, 0).to_string());
        let registered = backend.enter(fd, 0, 0, enter::REGISTERED_RING, 0, 0);
        say(&format!("enter of registered {fd}"), registered.to_string());
    }
    for address in WILD {
        for size in [0, 1, 8, 16, 24, 25, usize::MAX] {
            for flags in [enter::GETEVENTS, enter::GETEVENTS | enter::EXT_ARG] {
                let answer = backend.enter(ring.fd, 0, 0, flags, address, size);
                let what = format!("enter with {flags:#x} and {size} bytes at {address:#x}");
                say(&what, answer.to_string());
            }
        }
    }
    say("enter to submit more than there is", backend.enter(ring.fd, 1000, 0, 0, 0, 0).to_string());
}

fn registers(backend: &dyn Backend, say: Say<'_>) {
    for number in 0..=register::COUNT as u32 {
        // What is newer than Linux 6.18 is not there to be compared with.
        let known =
            sysring_engine::register::table::row(number).is_some() && number <= register::QUERY;
        if !known && number < register::COUNT as u32 {
            continue;
        }
        for address in WILD {
            for count in [0, 1, 2, 8, 16, 32, 64, 100_000, u32::MAX] {
                // Each on a ring of its own: one call may forbid the next.
                let Ok(ring) = Ring::new(backend, 8, Params::default()) else { return };
                let answer = backend.register(ring.fd, number, address, count);
                let what = format!("register {number} with {count} at {address:#x}");
                say(&what, answer.to_string());
            }
        }
    }
    for fd in [-1, 0, 399, 100_000] {
        let answer = backend.register(fd, register::PROBE, 0, 0);
        say(&format!("register on {fd}"), answer.to_string());
    }
}
