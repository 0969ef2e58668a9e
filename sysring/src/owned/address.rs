//! Socket addresses, as the kernel has them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::Errno;
use sysring_sys::Result;

pub(crate) const AF_INET: u16 = 2;
pub(crate) const AF_INET6: u16 = 10;

/// Room for any address (`struct sockaddr_storage`), and how much of it is used.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct RawAddress {
    pub bytes: [u8; 128],
    pub len: u32,
}

impl RawAddress {
    /// To be filled by the kernel.
    pub const fn empty() -> RawAddress {
        RawAddress { bytes: [0; 128], len: 128 }
    }

    /// What the kernel wrote.
    pub fn decode(&self) -> Result<SocketAddr> {
        let b = &self.bytes;
        let port = u16::from_be_bytes([b[2], b[3]]);
        let word = |at: usize| u32::from_ne_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
        match (u16::from_ne_bytes([b[0], b[1]]), self.len) {
            (AF_INET, 16..) => {
                Ok(SocketAddrV4::new(Ipv4Addr::new(b[4], b[5], b[6], b[7]), port).into())
            }
            (AF_INET6, 28..) => {
                let mut address = [0; 16];
                address.copy_from_slice(&b[8..24]);
                // The label of the flow is kept as it lies, as std does.
                Ok(SocketAddrV6::new(Ipv6Addr::from(address), port, word(4), word(24)).into())
            }
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }
}

impl From<SocketAddr> for RawAddress {
    fn from(address: SocketAddr) -> RawAddress {
        let mut raw = RawAddress::empty();
        let b = &mut raw.bytes;
        b[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => {
                b[..2].copy_from_slice(&AF_INET.to_ne_bytes());
                b[4..8].copy_from_slice(&v4.ip().octets());
                raw.len = 16;
            }
            SocketAddr::V6(v6) => {
                b[..2].copy_from_slice(&AF_INET6.to_ne_bytes());
                b[4..8].copy_from_slice(&v6.flowinfo().to_ne_bytes());
                b[8..24].copy_from_slice(&v6.ip().octets());
                b[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                raw.len = 28;
            }
        }
        raw
    }
}

/// The family of sockets for an address.
pub(crate) fn family(address: &SocketAddr) -> u16 {
    match address.ip() {
        IpAddr::V4(_) => AF_INET,
        IpAddr::V6(_) => AF_INET6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_there_and_back() {
        for text in ["127.0.0.1:80", "255.1.2.3:65535", "[::1]:443", "[fe80::1%3]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(RawAddress::from(address).decode(), Ok(address));
        }
    }

    #[test]
    fn ports_and_hosts_are_in_the_order_of_the_network() {
        let raw = RawAddress::from("1.2.3.4:258".parse::<SocketAddr>().unwrap());
        assert_eq!(raw.bytes[2..8], [1, 2, 1, 2, 3, 4]);
    }

    #[test]
    fn what_is_cut_short_or_of_another_family_is_no_address() {
        let mut raw = RawAddress::from("[::1]:1".parse::<SocketAddr>().unwrap());
        raw.len = 27;
        assert_eq!(raw.decode(), Err(Errno::EAFNOSUPPORT));
        assert_eq!(RawAddress::empty().decode(), Err(Errno::EAFNOSUPPORT));
    }
}
