//! Addresses that are taken before they are listened on.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// An address on which nobody listens, this process not yet either: whoever connects is refused. Another process that takes the same one, and
/// listens first, is found out by [`Reserved::listen`].
#[derive(Debug)]
pub struct Reserved {
    socket: TcpSocket,
    address: SocketAddr,
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct AddressError {
    address: SocketAddr,
    source: io::Error,
}

impl Reserved {
    /// Takes an address; port 0 means any free port.
    ///
    /// # Errors
    /// When another process listens there, or the address is none of this machine's.
    pub fn new(address: SocketAddr) -> Result<Self, AddressError> {
        let bound = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // A port whose last connections wind down is free; one that is listened on is not.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        bound().map_err(|source| AddressError { address, source })
    }

    /// Takes two addresses.
    ///
    /// # Errors
    /// Those of [`Self::new`], and when both are one.
    pub fn two(first: SocketAddr, second: SocketAddr) -> Result<[Self; 2], AddressError> {
        if overlap(first, second) {
            let source = io::Error::new(io::ErrorKind::AddrInUse, format!("it is also at {first}"));
            return Err(AddressError { address: second, source });
        }
        Ok([Self::new(first)?, Self::new(second)?])
    }

    /// The address, with its port.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens. Needs a runtime.
    ///
    /// # Errors
    /// When another process came to listen there in between.
    pub fn listen(self) -> Result<TcpListener, AddressError> {
        self.socket.listen(BACKLOG).map_err(|source| AddressError { address: self.address, source })
    }
}

/// Whether two listeners would be in each other's way: one port, at one address or at all of a machine's.
pub fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    // All addresses of version 6 are those of version 4, too.
    let covers = |one: IpAddr, other: IpAddr| one == other || (one.is_unspecified() && (one.is_ipv6() || other.is_ipv4()));
    one.port() != 0 && one.port() == other.port() && (covers(one.ip(), other.ip()) || covers(other.ip(), one.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_connects_is_refused_until_it_is_listened_on() {
        let reserved = Reserved::new("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = reserved.address();
        let refused = tokio::net::TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let _listener = reserved.listen().unwrap();
        tokio::net::TcpStream::connect(address).await.unwrap();
    }

    #[test]
    fn one_port_is_not_taken_for_both() {
        let overlap = |one: &str, other: &str| overlap(one.parse().unwrap(), other.parse().unwrap());
        for (one, other) in
            [("127.0.0.1:9000", "127.0.0.1:9000"), ("0.0.0.0:9000", "127.0.0.1:9000"), ("[::]:9000", "127.0.0.1:9000")]
        {
            assert!(overlap(one, other) && overlap(other, one), "{one} {other}");
        }
        for (one, other) in [("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1:9000", "127.0.0.1:9001"), ("0.0.0.0:9000", "[::1]:9000")]
        {
            assert!(!overlap(one, other) && !overlap(other, one), "{one} {other}");
        }
        let (all, one) = ("0.0.0.0:9000".parse().unwrap(), "127.0.0.1:9000".parse().unwrap());
        assert!(Reserved::two(all, one).unwrap_err().to_string().contains("also at 0.0.0.0:9000"));
    }

    #[tokio::test]
    async fn an_address_that_is_listened_on_is_not_taken_twice() {
        let listener = Reserved::new("127.0.0.1:0".parse().unwrap()).unwrap().listen().unwrap();
        let address = listener.local_addr().unwrap();
        let error = Reserved::new(address).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&address.to_string()));
    }
}
