//! Whether this kernel honours `RWF_NOWAIT` for pipes and their like.
//!
//! gVisor takes it there and waits all the same. It shows by a flag that does not exist, which Linux
//! refuses and gVisor ignores.

use core::sync::atomic::AtomicU8;
use core::sync::atomic::Ordering::Relaxed;

use sysring_sys::abi::Iovec;
use sysring_sys::call::{self, Buffer, Offset, RwFlags, Vector};
use sysring_sys::raw::general as g;
use sysring_sys::{Result, User};

const UNKNOWN: u8 = 0;
const YES: u8 = 1;
const NO: u8 = 2;

static HONOURED: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Whether a transfer can be asked not to wait. Found out once; where that is not possible, it is
/// believed.
#[must_use]
pub fn is_honoured() -> bool {
    if HONOURED.load(Relaxed) == UNKNOWN {
        let honoured = takes_any_flag() != Ok(true);
        HONOURED.store(if honoured { YES } else { NO }, Relaxed);
    }
    HONOURED.load(Relaxed) == YES
}

/// Whether a flag that no kernel knows is accepted.
fn takes_any_flag() -> Result<bool> {
    const NO_SUCH_FLAG: RwFlags = RwFlags(0x4000_0000);
    let [reader, writer] = call::pipe(g::O_CLOEXEC | g::O_NONBLOCK)?;
    let mut byte = 0u8;
    let at = User::of(&raw mut byte);
    let one = Iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 as _ };
    let vector = Vector { address: User::of(&raw const one), count: 1 };
    let read = call::write(writer, Buffer { address: at, len: 1 })
        // SAFETY: the byte is ours.
        .and_then(|_| unsafe { call::preadv2(reader, vector, Offset::CURRENT, NO_SUCH_FLAG) });
    let _ = call::close(reader);
    let _ = call::close(writer);
    Ok(read.is_ok())
}

#[cfg(test)]
mod tests {
    #[test]
    fn linux_honours_it() {
        assert!(super::is_honoured());
    }
}
