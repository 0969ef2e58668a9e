//! What a multishot RECVMSG puts into a buffer.

use sysring_sys::abi::Msghdr;

/// A message that [`RecvMsg::multishot`](super::RecvMsg::multishot) has put into a buffer: its parts,
/// which lie there one after the other.
///
/// ```
/// use sysring::op::ReceivedMessage;
///
/// # fn main() {
/// // Room for a name of 4 bytes, of which 2 are used; no control data; three bytes of payload.
/// let mut room = sysring::Msghdr::EMPTY;
/// room.msg_namelen = 4;
/// let mut buffer = Vec::new();
/// for word in [2u32, 0, 3, 0] {
///     buffer.extend_from_slice(&word.to_ne_bytes());
/// }
/// buffer.extend_from_slice(b"me..abc");
/// let message = ReceivedMessage::parse(&buffer, &room).unwrap();
/// assert_eq!((message.name(), message.payload()), (&b"me"[..], &b"abc"[..]));
/// assert!(!message.is_payload_truncated());
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceivedMessage<'a> {
    name: &'a [u8],
    control: &'a [u8],
    payload: &'a [u8],
    name_len: u32,
    payload_len: u32,
    flags: u32,
}

impl<'a> ReceivedMessage<'a> {
    /// Finds the parts in a buffer, as long as the completion says, of a receive that was given this
    /// `msghdr`. `None`: the buffer is too short for that.
    #[must_use]
    pub fn parse(buffer: &'a [u8], room: &Msghdr) -> Option<ReceivedMessage<'a>> {
        let (head, rest) = buffer.split_first_chunk::<16>()?;
        let word =
            |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (name_len, control_len, payload_len) = (word(0), word(4), word(8));
        let (name, rest) = rest.split_at_checked(usize::try_from(room.msg_namelen).ok()?)?;
        let (control, payload) = rest.split_at_checked(room.msg_controllen)?;
        Some(ReceivedMessage {
            name: first(name, name_len),
            control: first(control, control_len),
            payload: first(payload, payload_len),
            name_len,
            payload_len,
            flags: word(12),
        })
    }

    /// Who sent it (`struct sockaddr`), as far as there was room.
    #[must_use]
    pub const fn name(&self) -> &'a [u8] {
        self.name
    }

    /// How long the whole name is.
    #[must_use]
    pub const fn name_len(&self) -> u32 {
        self.name_len
    }

    /// Control messages (`struct cmsghdr`).
    #[must_use]
    pub const fn control(&self) -> &'a [u8] {
        self.control
    }

    /// The bytes of the message, as far as there was room.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// How long the message is: with `MSG_TRUNC` the whole of it.
    #[must_use]
    pub const fn payload_len(&self) -> u32 {
        self.payload_len
    }

    /// What `recvmsg(2)` writes to `msg_flags` (`MSG_*`).
    #[must_use]
    pub const fn flags(&self) -> u32 {
        self.flags
    }

    /// Whether there was no room for the end of the message (`MSG_TRUNC`).
    #[must_use]
    pub const fn is_payload_truncated(&self) -> bool {
        const MSG_TRUNC: u32 = 0x20;
        self.flags & MSG_TRUNC != 0
    }

    /// Whether there was no room for control messages (`MSG_CTRUNC`).
    #[must_use]
    pub const fn is_control_truncated(&self) -> bool {
        const MSG_CTRUNC: u32 = 0x8;
        self.flags & MSG_CTRUNC != 0
    }
}

/// As many bytes as there are of so many.
fn first(bytes: &[u8], len: u32) -> &[u8] {
    &bytes[..bytes.len().min(len as usize)]
}
