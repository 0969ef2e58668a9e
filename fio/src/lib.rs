//! An I/O engine for fio: its reads, writes, trims and syncs are native calls ([`sysring::calls`]).
//!
//! ```text
//! fio --ioengine=external:target/release/libsysring_fio.so --rw=randread --iodepth=32 …
//! ```
//!
//! A read of what is cached is made where fio queues it and is complete at once, as with fio's
//! synchronous engines; what would block goes on elsewhere, up to `iodepth` at a time. Past the page
//! cache everything waits for the device, so it is handed out in batches, when fio commits them.
//!
//! fio has no stable interface for engines. `abi.rs` knows those of the releases that are named there,
//! asks the running fio which one it is, and refuses all others.

mod abi;
mod hooks;
mod job;

use abi::Engine;

/// What fio asks an external engine for. `engine` stays as it is, which fio reports, where this fio is
/// not known.
///
/// # Safety
/// Called by fio, with a place for the address of an engine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_ioengine(engine: *mut *mut Engine) {
    match abi::host().and_then(hooks::engine) {
        // SAFETY: fio's promise.
        Ok(ours) => unsafe { *engine = ours },
        Err(why) => eprintln!("sysring: {why}"),
    }
}
