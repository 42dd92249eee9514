//! A small S3 client: requests signed once and sent over kept connections, so that its own work weighs little.

use std::{io, sync::Arc};

use bytes::Bytes;
use domicile::digest::{hmac_sha256, sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A server and the keys to it.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) port: u16,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

/// A request, signed for the next quarter of an hour.
#[derive(Clone)]
pub(crate) struct Signed {
    head: Arc<str>,
    body: Bytes,
    bodiless_answer: bool,
}

impl Signed {
    /// Whether it writes an object.
    pub(crate) fn is_write(&self) -> bool {
        self.head.starts_with("PUT")
    }

    /// The request without its body.
    pub(crate) fn head(&self) -> &[u8] {
        self.head.as_bytes()
    }
}

impl Endpoint {
    /// Signs a request. `query` is sorted and encoded already, and so is `path`.
    pub(crate) fn sign(&self, method: &str, path: &str, query: &str, body: Bytes) -> Signed {
        let now: time::OffsetDateTime = std::time::SystemTime::now().into();
        let day = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
        let date = format!("{day}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second());
        let host = format!("127.0.0.1:{}", self.port);
        let names = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{date}\n\n{names}\nUNSIGNED-PAYLOAD"
        );
        let scope = format!("{day}/us-east-1/s3/aws4_request");
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex::encode(sha256(canonical.as_bytes())));
        let mut key = hmac_sha256(format!("AWS4{}", self.secret_key).as_bytes(), &[day.as_bytes()]);
        for part in ["us-east-1", "s3", "aws4_request"] {
            key = hmac_sha256(&key, &[part.as_bytes()]);
        }
        let signature = hex::encode(hmac_sha256(&key, &[to_sign.as_bytes()]));
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let length = if method == "PUT" { format!("content-length: {}\r\n", body.len()) } else { String::new() };
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: {host}\r\n{length}x-amz-content-sha256: UNSIGNED-PAYLOAD\r\nx-amz-date: {date}\r\n\
             authorization: AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}\r\n\r\n",
            self.access_key
        );
        Signed { head: head.into(), body, bodiless_answer: method == "HEAD" }
    }

    pub(crate) async fn connect(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: vec![0; 256 * 1024], start: 0, end: 0 })
    }
}

/// One kept connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Connection {
    /// Sends a request and reads its answer to the end: status and length of the body. A status outside 2xx is an error.
    pub(crate) async fn send(&mut self, request: &Signed) -> io::Result<u64> {
        if request.body.len() <= 16 * 1024 {
            let whole = [request.head.as_bytes(), &request.body].concat();
            self.stream.write_all(&whole).await?;
        } else {
            self.stream.write_all(request.head.as_bytes()).await?;
            self.stream.write_all(&request.body).await?;
        }
        let mut length = None;
        let status = self.line().await?;
        loop {
            let line = self.line().await?.to_ascii_lowercase();
            match line.split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse().ok(),
                Some(_) => {}
                None => break,
            }
        }
        let code = status.split(' ').nth(1).unwrap_or_default();
        let read = match length {
            _ if request.bodiless_answer || code == "204" => 0,
            Some(length) => self.skip(length).await?,
            None => self.chunks().await?,
        };
        if code.starts_with('2') { Ok(read) } else { Err(io::Error::other(status)) }
    }

    async fn chunks(&mut self) -> io::Result<u64> {
        let mut total = 0;
        loop {
            let line = self.line().await?;
            let length = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            self.skip(length).await?;
            self.line().await?;
            total += length;
            if length == 0 {
                return Ok(total);
            }
        }
    }

    async fn skip(&mut self, length: u64) -> io::Result<u64> {
        let mut left = length;
        loop {
            let here = (self.end - self.start).min(usize::try_from(left).unwrap_or(usize::MAX));
            self.start += here;
            left -= here as u64;
            if left == 0 {
                return Ok(length);
            }
            self.fill().await?;
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        loop {
            let ready = &self.buffer[self.start..self.end];
            if let Some(end) = ready.iter().position(|&byte| byte == b'\n') {
                line.extend_from_slice(&ready[..end]);
                self.start += end + 1;
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            line.extend_from_slice(ready);
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.end = self.stream.read(&mut self.buffer).await?;
        self.start = 0;
        if self.end == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}
