//! The open file of a request: what it was given, or a duplicate that the engine must close.

use sysring_sys::Fd;

/// The open file a request works on.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// The descriptor to use now.
    pub fd: Fd,
    /// It is a duplicate of the engine's, to be closed with the request.
    pub owned: bool,
}

impl File {
    /// No file.
    pub const NONE: File = File { fd: Fd::NONE, owned: false };
}
