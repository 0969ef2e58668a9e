//! `docs/calls.md`: how each system call is made.

use std::fmt::Write as _;

use sysring_engine::native::attributes_of;
use sysring_engine::native::table::{How, Keep, NONE, ROWS, Row};
use sysring_events::attr::{
    Attribute, Cache, Checksum, Credentials, Deadline, Full, Retry, RwFlags,
};

const HEAD: &str = "\
# How system calls are made

Written by `cargo xtask coverage` from the table that native calls (`sysring::calls`) are made by, on
x86-64; `cargo xtask test` fails when it is not up to date.

*How* is what is tried first, on the thread that issues the call, and what follows where that would
block:

- *at once*: the call never waits for others, nor for a device;
- *at once, mostly cached*: it may have to wait for a disk, and nothing can tell before. It is made
  where it is issued: to hand a single call of this kind to another thread costs three times what
  the call does. Ask for a worker where that matters;
- *at once, by its thread*: the call is about the thread that makes it; no other does;
- a form that does not block, or a moment in which the file does not;
- *kernel AIO*: for a file or disk opened with `O_DIRECT`, where `RWF_NOWAIT` would wait for the device.
  What is issued together reaches the kernel in one call, but for the first four where the device has
  nothing to do meanwhile; the device cannot be called back. A worker makes the call where AIO would have
  to wait itself (a block is to be allocated, the device's queue is full), where there is none to be had
  (`fs.aio-max-nr`), where the process listens for file events (inotify, fanotify), which AIO raises none
  of, and at the file's own position, which AIO does not know. Which files are opened so is remembered by
  number: of one that was another file's before, the first transfer may wait in place;
- *readiness*: the engine waits for the descriptor with epoll, and tries again: no thread waits;
- *a sleeper*: a thread of its own waits in the call, and can be called back; *a worker*: a thread
  that makes calls one after the other, which end by themselves;
- *refused*: `EOPNOTSUPP`.

What is not in the table goes to a worker: every number works.

A seccomp filter meets the form that is tried: where it refuses that, the call is made as it was
asked for; one that refuses only the call and not its form (`openat`, and not `openat2`) refuses
nothing here. (Operations of a ring are made by the call that they are named for.)

*Kept* is the argument (counted from 1) that is a descriptor of which a pending call has a
duplicate: the number may be closed. *Copied* are the arguments that may be used again once the call
is pending; what others point to stays as it is until the answer is there.

*Attributes* are those that the call can be asked for besides timing, path, I/O priority, place, trace
and extensions, which all take but those that are refused. One that is asked for a deadline and may
wait where it is issued (what is *mostly cached*; an `open`; a transfer of a file that cannot be asked
not to wait) is made by a worker. The cache is told of regular files and disks that can be asked, and of
opens that create nothing, unless the call goes to a worker at once. `Calls::issue_sync` knows neither
deadline nor cache nor credentials.

| number | call | how | kept | copied | attributes | note |
|---|---|---|---|---|---|---|
";

pub fn page() -> String {
    let mut page = String::from(HEAD);
    for (number, row) in ROWS.iter().enumerate() {
        if let Some(row) = row {
            // A string takes whatever is written to it.
            let _ = writeln!(page, "{}", line(number, row));
        }
    }
    page
}

fn line(number: usize, row: &Row) -> String {
    let kept = if row.fd == NONE { String::new() } else { (row.fd + 1).to_string() };
    let copied: Vec<String> = row.keeps.iter().map(|keep| copied(*keep)).collect();
    let (name, copied, note) = (row.name, copied.join(", "), row.note);
    let (how, asked) = (how(row.how), attributes(number as u32));
    format!("| {number} | `{name}` | {how} | {kept} | {copied} | {asked} | {note} |")
}

fn attributes(number: u32) -> String {
    const NAMES: [(u64, &str); 7] = [
        (Deadline::MASK, "deadline"),
        (Retry::MASK, "retry"),
        (Credentials::MASK, "credentials"),
        (Full::MASK, "full"),
        (RwFlags::MASK, "rw flags"),
        (Checksum::MASK, "checksum"),
        (Cache::MASK, "cache"),
    ];
    let mask = attributes_of(number);
    let names = NAMES.into_iter().filter(|&(bit, _)| mask & bit != 0).map(|(_, name)| name);
    names.collect::<Vec<_>>().join(", ")
}

fn how(how: How) -> &'static str {
    match how {
        How::Inline => "at once",
        How::Cached => "at once, mostly cached",
        How::Own => "at once, by its thread",
        How::Attempt(_, form) => form,
        How::Worker | How::Unknown => "a worker",
        How::Sleeper => "a sleeper",
        How::Refused => "refused",
    }
}

fn copied(keep: Keep) -> String {
    let what = match keep {
        Keep::Path(_) => "path",
        Keep::Structure(..) | Keep::Sized(..) => "structure",
        Keep::Vector(..) => "vector",
        Keep::Message(_) => "header and vector",
    };
    format!("{} ({what})", keep.argument() + 1)
}
