//! liburing's inline functions as symbols, for programs that cannot include its headers
//! (`liburing-ffi`). `liburing` itself leaves them out when it is linked.

mod buffers;
mod completion;
mod file;
mod memory;
mod message;
mod names;
mod notify;
mod prep;
mod recvmsg;
mod socket;
pub mod sqe;
mod state;
