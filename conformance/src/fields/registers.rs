//! The register calls with arguments that are right, from which one word at a time is made wrong.

use sysring_sys::abi::io_uring::{Params, register, setup};

use super::world::FILE;
use crate::raw::{Backend, Ring};

type Say<'a> = &'a mut dyn FnMut(&str, String);

/// What each word is set to, one at a time.
const VALUES: [u32; 12] =
    [0, 1, 2, 3, 4, 8, 0xff, 0x100, 0x1_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX];

/// Counts, or sizes, that each call is tried with.
const COUNTS: [u32; 8] = [0, 1, 2, 3, 31, 32, 33, u32::MAX];

/// On which ring a call is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    /// One that has nothing.
    Plain,
    /// Two files in a table of four, and four tagged buffers.
    Filled,
    Disabled,
    /// One whose owner alone runs its completions.
    Deferred,
    /// None at all.
    Nothing,
}

/// A call with an argument that is right.
struct Call {
    name: &'static str,
    number: u32,
    on: On,
    words: Vec<u32>,
    count: u32,
    /// Words that are left as they are, and not told: addresses.
    fixed: &'static [usize],
    /// Words that are told afterwards.
    told: usize,
}

/// Where arguments, and what they point to, lie.
struct Memory {
    argument: [u32; 64],
    files: [i32; 4],
    vectors: [[u64; 2]; 4],
    tags: [u64; 4],
    answer: [u8; 128],
    pages: u64,
}

pub fn all(backend: &dyn Backend, say: Say<'_>) {
    let mut memory = Memory::new();
    for call in calls(&memory) {
        for count in COUNTS.into_iter().filter(|&count| count != call.count) {
            // A count of arrays goes on behind the argument, where there is something else.
            let sized = ["FILES2", "BUFFERS2", "FILES_UPDATE2", "BUFFERS_UPDATE"];
            if count < 3 || sized.contains(&call.name) {
                let what = format!("{} with {count}", call.name);
                run(backend, &mut memory, &call, &call.words, count, &what, say);
            }
        }
        run(backend, &mut memory, &call, &call.words, call.count, call.name, say);
        for at in (0..call.words.len()).filter(|at| !call.fixed.contains(at)) {
            for value in VALUES {
                let mut words = call.words.clone();
                words[at] = value;
                if !call.does_harm(at, value) {
                    let what = format!("{} word {at} {value:#x}", call.name);
                    run(backend, &mut memory, &call, &words, call.count, &what, say);
                }
            }
        }
    }
}

/// Makes one call twice: what the first has left tells in the second.
fn run(
    backend: &dyn Backend,
    memory: &mut Memory,
    call: &Call,
    words: &[u32],
    count: u32,
    what: &str,
    say: Say<'_>,
) {
    let flags = match call.on {
        On::Disabled => setup::R_DISABLED,
        On::Deferred => setup::SINGLE_ISSUER | setup::DEFER_TASKRUN,
        _ => 0,
    };
    let make = || Ring::new(backend, 8, Params { flags, ..Params::default() });
    let (Ok(mut ring), Ok(other)) = (make(), make()) else { return };
    for ring in [&ring, &other] {
        if call.on == On::Filled || call.number == register::CLONE_BUFFERS {
            memory.fill(ring);
        }
    }
    let mut text = String::new();
    for _ in 0..2 {
        memory.argument = [0; 64];
        memory.argument[..words.len()].copy_from_slice(words);
        call.name_rings(&mut memory.argument, &ring, &other);
        let fd = if call.on == On::Nothing { -1 } else { ring.fd };
        let address = memory.argument.as_ptr() as u64;
        let answer = backend.register(fd, call.number, address, count);
        text.push_str(&format!("{answer}"));
        for at in (0..call.told).filter(|at| !call.fixed.contains(at)) {
            text.push_str(&format!(" {:x}", memory.argument[at]));
        }
        text.push_str("; ");
    }
    while let Some(cqe) = ring.take() {
        text.push_str(&format!(" cqe {} {} {:#x}", cqe.user_data, cqe.res, cqe.flags));
    }
    say(&format!("register {what}"), text);
}

impl Call {
    /// What would take memory that the machine has not, or write where nothing was set aside.
    fn does_harm(&self, at: usize, value: u32) -> bool {
        match (self.number, at) {
            (register::MEM_REGION, 10) => value > 0x1_0000,
            (register::QUERY, 5) => value > 128,
            _ => false,
        }
    }

    /// Puts the numbers of rings where they belong.
    fn name_rings(&self, argument: &mut [u32; 64], ring: &Ring<'_>, other: &Ring<'_>) {
        match self.number {
            register::CLONE_BUFFERS => argument[0] = other.fd as u32,
            register::SEND_MSG_RING => argument[1] = ring.fd as u32,
            _ => {}
        }
    }
}

impl Memory {
    fn new() -> Box<Memory> {
        // SAFETY: a new mapping where the kernel chooses.
        let pages = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                1 << 20,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        } as u64;
        Box::new(Memory {
            argument: [0; 64],
            files: [FILE, -1, FILE, -1],
            vectors: std::array::from_fn(|i| [pages + 0x1000 * i as u64, 0x1000]),
            tags: [0, 101, 0, 0],
            answer: [0; 128],
            pages,
        })
    }

    /// Registers files and buffers, the second buffer with a tag.
    fn fill(&self, ring: &Ring<'_>) {
        ring.register(register::FILES, self.files.as_ptr() as u64, 4);
        let buffers = [4, 0, self.vectors.as_ptr() as u64, self.tags.as_ptr() as u64];
        ring.register(register::BUFFERS2, buffers.as_ptr() as u64, 32);
    }
}

/// All calls, but those that take no argument.
fn calls(memory: &Memory) -> Vec<Call> {
    let low = |address: u64| address as u32;
    let high = |address: u64| (address >> 32) as u32;
    let files = memory.files.as_ptr() as u64;
    let vectors = memory.vectors.as_ptr() as u64;
    let tags = memory.tags.as_ptr() as u64;
    let answer = memory.answer.as_ptr() as u64;
    let behind = memory.argument.as_ptr() as u64 + 32;
    let pages = memory.pages;
    let call = |name, number, on, words: &[u32], count, fixed, told| Call {
        name,
        number,
        on,
        words: words.to_vec(),
        count,
        fixed,
        told,
    };
    let region = |address: u64, flags: u32| {
        let mut words = [0; 24];
        (words[0], words[1]) = (low(behind), high(behind));
        (words[8], words[9], words[10]) = (low(address), high(address), 0x1000);
        words[12] = flags;
        words
    };
    let resources =
        |data: u64, tags: u64| [4, 0, 0, 0, low(data), high(data), low(tags), high(tags)];
    let update = |data: u64, tags: u64| [1, 0, low(data), high(data), low(tags), high(tags), 2, 0];
    let mut cancel = [0; 16];
    (cancel[0], cancel[2]) = (1, u32::MAX);
    let mut params = [0; 30];
    params[0] = 16;
    let mut message = [0; 16];
    (message[0], message[2], message[6]) = (40, 77, 5);
    vec![
        call("CLOCK", register::CLOCK, On::Plain, &[1, 0, 0, 0], 0, &[], 4),
        call("NAPI", register::NAPI, On::Plain, &[50, 1, 0, 0], 1, &[], 4),
        call("NAPI static", register::NAPI, On::Plain, &[50, 0x0101, 100_000, 0], 1, &[], 4),
        call("UNREGISTER_NAPI", register::UNREGISTER_NAPI, On::Plain, &[9, 9, 9, 9], 1, &[], 4),
        call("FILE_ALLOC_RANGE", register::FILE_ALLOC_RANGE, On::Filled, &[1, 2, 0, 0], 0, &[], 4),
        call("FILE_ALLOC_RANGE of none", register::FILE_ALLOC_RANGE, On::Plain, &[0; 4], 0, &[], 4),
        call("SYNC_CANCEL", register::SYNC_CANCEL, On::Filled, &cancel, 1, &[], 16),
        call(
            "CLONE_BUFFERS",
            register::CLONE_BUFFERS,
            On::Filled,
            &[0, 2, 1, 2, 2, 0, 0, 0],
            1,
            &[0, 1],
            8,
        ),
        call(
            "CLONE_BUFFERS whole",
            register::CLONE_BUFFERS,
            On::Filled,
            &[0, 2, 0, 0, 0, 0, 0, 0],
            1,
            &[0, 1],
            8,
        ),
        call("FILES2", register::FILES2, On::Plain, &resources(files, 0), 32, &[4, 5, 6, 7], 8),
        call(
            "BUFFERS2",
            register::BUFFERS2,
            On::Plain,
            &resources(vectors, tags),
            32,
            &[4, 5, 6, 7],
            8,
        ),
        call(
            "FILES_UPDATE2",
            register::FILES_UPDATE2,
            On::Filled,
            &update(files, 0),
            32,
            &[2, 3, 4, 5],
            8,
        ),
        call(
            "BUFFERS_UPDATE",
            register::BUFFERS_UPDATE,
            On::Filled,
            &update(vectors, tags),
            32,
            &[2, 3, 4, 5],
            8,
        ),
        call(
            "FILES_UPDATE",
            register::FILES_UPDATE,
            On::Filled,
            &[1, 0, low(files), high(files)],
            2,
            &[2, 3],
            4,
        ),
        call(
            "PBUF_RING",
            register::PBUF_RING,
            On::Plain,
            &[low(pages), high(pages), 8, 1, 0, 0, 0, 0, 0, 0],
            1,
            &[0, 1, 4],
            10,
        ),
        call(
            "PBUF_RING mapped",
            register::PBUF_RING,
            On::Plain,
            &[0, 0, 8, 0x1_0001, 0, 0, 0, 0, 0, 0],
            1,
            &[4],
            10,
        ),
        call(
            "UNREGISTER_PBUF_RING",
            register::UNREGISTER_PBUF_RING,
            On::Plain,
            &[0; 10],
            1,
            &[4],
            10,
        ),
        call("PBUF_STATUS", register::PBUF_STATUS, On::Plain, &[0; 10], 1, &[], 10),
        call(
            "QUERY",
            register::QUERY,
            On::Plain,
            &[0, 0, low(answer), high(answer), 0, 48, 0, 0, 0, 0],
            0,
            &[0, 1, 2, 3],
            10,
        ),
        call(
            "QUERY of none",
            register::QUERY,
            On::Nothing,
            &[0, 0, low(answer), high(answer), 0, 16, 0, 0, 0, 0],
            0,
            &[0, 1, 2, 3],
            10,
        ),
        call(
            "RESTRICTIONS",
            register::RESTRICTIONS,
            On::Disabled,
            &[1, 0, 0, 0, 0x1_0000, 0, 0, 0],
            2,
            &[],
            8,
        ),
        call("RESTRICTIONS too late", register::RESTRICTIONS, On::Plain, &[1, 0, 0, 0], 1, &[], 4),
        call("RESIZE_RINGS", register::RESIZE_RINGS, On::Deferred, &params, 1, &[], 8),
        call("RESIZE_RINGS of another kind", register::RESIZE_RINGS, On::Plain, &params, 1, &[], 8),
        call("MEM_REGION", register::MEM_REGION, On::Disabled, &region(0, 0), 1, &[0, 1], 24),
        call(
            "MEM_REGION lent",
            register::MEM_REGION,
            On::Disabled,
            &region(pages + 0x8000, 1),
            1,
            &[0, 1, 8, 9],
            24,
        ),
        call(
            "MEM_REGION for waits, too late",
            register::MEM_REGION,
            On::Plain,
            &region(0, 0),
            1,
            &[0, 1],
            24,
        ),
        call("IOWQ_MAX_WORKERS", register::IOWQ_MAX_WORKERS, On::Plain, &[0, 0], 2, &[], 2),
        call("IOWQ_AFF", register::IOWQ_AFF, On::Plain, &[3, 0], 8, &[], 2),
        call("SEND_MSG_RING", register::SEND_MSG_RING, On::Nothing, &message, 1, &[1], 16),
        call("PERSONALITY", register::PERSONALITY, On::Plain, &[], 0, &[], 0),
    ]
}
