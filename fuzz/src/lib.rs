//! Fuzz targets: what the engine reads of memory that belongs to others.
//!
//! A target turns bytes into what an application could have put into its memory, and lets the engine
//! work on it, in a [`world`] where nothing can be harmed. Wrong is what ends the process (a fault,
//! a panic, an overflow), what does not come back, and a request that has no completion or two.

mod input;
mod memory;
mod ring;
pub mod targets;
pub mod world;

/// The targets, by name.
pub const TARGETS: [(&str, world::Target); 8] = [
    ("sqe", targets::sqe),
    ("header", targets::header),
    ("iovec", targets::iovec),
    ("msghdr", targets::msghdr),
    ("timespec", targets::timespec),
    ("register", targets::register),
    ("buffers", targets::buffers),
    ("filter", targets::filter),
];

/// One input for the target of this name; it is written to `SYSRING_FUZZ_LAST` first, because the
/// thread that an input ends cannot reach the files of the fuzzer.
///
/// # Panics
/// If there is no such target, or no world for it.
pub fn search(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name).expect("a target").1;
    if let Some(last) = std::env::var_os("SYSRING_FUZZ_LAST") {
        std::fs::write(last, data).expect("room for an input");
    }
    world::run(target, data).unwrap_or_else(|why| panic!("no world to fuzz in: {why}"));
}
