//! The AWS SDK for Rust does the whole job through the real binary, and gets back the bytes that it gave.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use aws_sdk_s3::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    error::ProvideErrorMetadata,
    primitives::ByteStream,
    types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier},
};
use domicile::digest::{Md5, Sha256};

const ACCESS_KEY: &str = "DOMICILETESTKEY00001";
const SECRET_KEY: &str = "a-secret-for-tests-of-forty-characters-x";
const PART: usize = 8 << 20;
const PARTS: usize = 8;

/// The real binary over two folders; killed when dropped.
struct Gateway {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Gateway {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, admin) = (free_port(), free_port());
        fs::write(folder.path().join("secret"), SECRET_KEY).unwrap();
        fs::write(folder.path().join("domicile.toml"), configuration(port, admin)).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_domicile"))
            .args(["serve", "--config"])
            .arg(folder.path().join("domicile.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        wait_for(&mut process, port, &folder.path().join("log"));
        Self { process, port, _folder: folder }
    }

    fn client(&self) -> Client {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
            .region(Region::new("us-east-1"))
            .endpoint_url(format!("http://127.0.0.1:{}", self.port))
            .force_path_style(true)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Client::from_conf(config)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_for(process: &mut Child, port: u16, log: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = process.try_wait().unwrap();
        assert!(ended.is_none() && Instant::now() < deadline, "{}", fs::read_to_string(log).unwrap());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn configuration(port: u16, admin: u16) -> String {
    format!(
        r#"
version = 1
data-dir = "data"
[gateway]
country = "SG"
[s3]
listen = "127.0.0.1:{port}"
[admin]
listen = "127.0.0.1:{admin}"
[[key]]
id = "pk"
country = "PK"
provider = "keyring"
[[key]]
id = "sg"
country = "SG"
provider = "keyring"
[[site]]
id = "pk-khi"
country = "PK"
key = "pk"
backend = "fs"
path = "pk-khi"
[[site]]
id = "sg-sin"
country = "SG"
key = "sg"
backend = "fs"
path = "sg-sin"
[[principal]]
id = "tests"
access-key-id = "{ACCESS_KEY}"
secret-file = "secret"
buckets = ["*"]
allow = ["read", "write", "list"]
"#
    )
}

/// Bytes of which no 8 in a row come twice.
fn body(seed: u64, len: usize) -> Vec<u8> {
    (0..len.div_ceil(8) as u64)
        .flat_map(|n| (seed << 40 | n).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes())
        .take(len)
        .collect()
}

async fn read(stream: ByteStream) -> Vec<u8> {
    stream.collect().await.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_puts_gets_ranges_lists_copies_and_deletes() {
    let gateway = Gateway::start();
    let client = gateway.client();
    client.create_bucket().bucket("media").send().await.unwrap();
    let data = body(1, 200_000);
    let put = client
        .put_object()
        .bucket("media")
        .key("users/amna/one two")
        .metadata("domicile-residence", "PK")
        .content_type("image/x-test")
        .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
        .body(data.clone().into());
    let put = put.send().await.unwrap();
    let mut md5 = Md5::new();
    md5.update(&data);
    assert_eq!(put.e_tag().unwrap(), format!("\"{}\"", hex::encode(md5.finish())));
    assert!(put.checksum_crc64_nvme().is_some());

    let got = client.get_object().bucket("media").key("users/amna/one two").send().await.unwrap();
    assert_eq!((got.content_length(), got.content_type()), (Some(200_000), Some("image/x-test")));
    assert!(read(got.body).await == data);
    for (first, last) in [(0, 0), (65_479, 65_481), (199_999, 199_999)] {
        let range = format!("bytes={first}-{last}");
        let got = client.get_object().bucket("media").key("users/amna/one two").range(range).send().await.unwrap();
        assert!(read(got.body).await == data[first..=last]);
    }

    let copy = client.copy_object().bucket("media").key("users/amna/copy").copy_source("media/users/amna/one%20two");
    copy.send().await.unwrap();
    let got = client.get_object().bucket("media").key("users/amna/copy").send().await.unwrap();
    assert!(read(got.body).await == data);

    let listed = client.list_objects_v2().bucket("media").prefix("users/amna/").max_keys(1).into_paginator().send();
    let pages = listed.try_collect().await.unwrap();
    let keys: Vec<_> = pages.iter().flat_map(|page| page.contents()).map(|object| object.key().unwrap()).collect();
    assert_eq!(keys, ["users/amna/copy", "users/amna/one two"]);

    client.delete_object().bucket("media").key("users/amna/copy").send().await.unwrap();
    let rest = ObjectIdentifier::builder().key("users/amna/one two").build().unwrap();
    let deleted = client.delete_objects().bucket("media").delete(Delete::builder().objects(rest).build().unwrap());
    assert_eq!(deleted.send().await.unwrap().deleted().len(), 1);
    let gone = client.get_object().bucket("media").key("users/amna/copy").send().await.unwrap_err();
    assert!(gone.into_service_error().is_no_such_key());
    client.delete_bucket().bucket("media").send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_uploads_64_mib_in_parts() {
    let gateway = Gateway::start();
    let client = gateway.client();
    client.create_bucket().bucket("media").send().await.unwrap();
    let created = client.create_multipart_upload().bucket("media").key("users/amna/large").metadata("domicile-residence", "PK");
    let upload = created.send().await.unwrap().upload_id().unwrap().to_owned();
    let parts = (1..=PARTS).map(|number| {
        let (client, upload) = (client.clone(), upload.clone());
        tokio::spawn(async move {
            let part = client.upload_part().bucket("media").key("users/amna/large").upload_id(upload);
            let number = i32::try_from(number).unwrap();
            let part = part.part_number(number).body(body(number as u64, PART).into()).send().await.unwrap();
            let done = CompletedPart::builder().part_number(number).e_tag(part.e_tag().unwrap());
            done.set_checksum_crc32(part.checksum_crc32().map(str::to_owned)).build()
        })
    });
    let mut completed = Vec::new();
    for part in parts.collect::<Vec<_>>() {
        completed.push(part.await.unwrap());
    }
    let completed = CompletedMultipartUpload::builder().set_parts(Some(completed)).build();
    let complete = client.complete_multipart_upload().bucket("media").key("users/amna/large").upload_id(upload);
    let complete = complete.multipart_upload(completed).send().await.unwrap();
    assert!(complete.e_tag().unwrap().ends_with("-8\""));

    let mut expected = Sha256::new();
    (1..=PARTS).for_each(|number| expected.update(&body(number as u64, PART)));
    let got = client.get_object().bucket("media").key("users/amna/large").send().await.unwrap();
    let (mut found, mut stream) = (Sha256::new(), got.body);
    while let Some(piece) = stream.try_next().await.unwrap() {
        found.update(&piece);
    }
    assert_eq!(found.finish(), expected.finish());

    let range = format!("bytes={}-{}", PART - 10, PART + 9);
    let got = client.get_object().bucket("media").key("users/amna/large").range(range).send().await.unwrap();
    assert_eq!(read(got.body).await, [&body(1, PART)[PART - 10..], &body(2, PART)[..10]].concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_sees_refusals_as_errors_of_s3() {
    let gateway = Gateway::start();
    let client = gateway.client();
    client.create_bucket().bucket("media").send().await.unwrap();
    let unknown = client.put_object().bucket("media").key("of-nobody").body(body(1, 10).into()).send().await.unwrap_err();
    assert_eq!(unknown.code(), Some("ResidencyUnknown"));
    let conflict = client.put_object().bucket("media").key("users/amna/x").metadata("domicile-subject", "bilal");
    assert_eq!(conflict.send().await.unwrap_err().code(), Some("ResidencyConflict"));
}
