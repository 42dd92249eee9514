//! Addresses that are taken before they are listened on.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted: as many as [`TcpListener::bind`] lets wait.
const BACKLOG: u32 = 1024;

/// An address that is this process's, and on which nobody listens yet: whoever connects is refused.
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

    #[tokio::test]
    async fn an_address_that_is_listened_on_is_not_taken_twice() {
        let listener = Reserved::new("127.0.0.1:0".parse().unwrap()).unwrap().listen().unwrap();
        let address = listener.local_addr().unwrap();
        let error = Reserved::new(address).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&address.to_string()));
    }
}
