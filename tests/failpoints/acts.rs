//! What is under way when something fails, and whether it happened.

use aws_sdk_s3::{
    Client,
    types::{CompletedMultipartUpload, CompletedPart},
};

use crate::stock::{self, BUCKET, DOOMED, EMPTY, ERASED, LARGE, MOVED, PART, UPLOAD, code};

const NEW: &str = "users/new/record";
const NEW_LARGE: &str = "users/kept/new-large";
const NEW_UPLOAD: &str = "users/kept/new-upload";
const NEW_BUCKET: &str = "another";
const QUEUED: &str = "users/kept/queued";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// The first record of a person, whose key is made too.
    PutNew,
    /// A record over another.
    Overwrite,
    /// A record of several extents.
    PutLarge,
    Delete,
    CreateBucket,
    DeleteBucket,
    CreateUpload,
    UploadPart,
    Complete,
    Abort,
    /// A record with a copy that follows after the answer.
    Queue,
    /// A subject that moves: its record gets a copy in another country.
    Move,
    /// A record that becomes garbage, and its collection.
    Collect,
    /// A subject that is erased at once, with a record and an upload.
    Erase,
    /// The country's key is renewed, and the version before destroyed.
    Rotate,
    /// A subject's key gets a new generation.
    NewGeneration,
    /// The first start of an installation: its sites get their markers.
    FirstStart,
    /// A later one.
    Restart,
    /// A rebuild of the index of a gateway that has stopped.
    Rebuild,
    /// An import of an export of it.
    Import,
}

impl Act {
    const ALL: [Self; 20] = [
        Self::PutNew,
        Self::Overwrite,
        Self::PutLarge,
        Self::Delete,
        Self::CreateBucket,
        Self::DeleteBucket,
        Self::CreateUpload,
        Self::UploadPart,
        Self::Complete,
        Self::Abort,
        Self::Queue,
        Self::Move,
        Self::Collect,
        Self::Erase,
        Self::Rotate,
        Self::NewGeneration,
        Self::FirstStart,
        Self::Restart,
        Self::Rebuild,
        Self::Import,
    ];

    pub(crate) fn name(self) -> String {
        format!("{self:?}")
    }

    pub(crate) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|act| act.name() == name).unwrap()
    }

    /// Whether the act is acknowledged before what fails.
    pub(crate) const fn is_of_the_background(self) -> bool {
        matches!(
            self,
            Self::Queue
                | Self::Move
                | Self::Collect
                | Self::Erase
                | Self::Rotate
                | Self::NewGeneration
                | Self::FirstStart
                | Self::Restart
        )
    }

    /// Does it; the error is the answer's code.
    pub(crate) async fn perform(self, client: &Client) -> Result<(), String> {
        match self {
            Self::PutNew => stock::put(client, NEW, 3000, 1).await,
            Self::Overwrite | Self::Collect => stock::put(client, DOOMED, 6000, 1).await,
            Self::PutLarge => stock::put(client, NEW_LARGE, LARGE, 1).await,
            Self::Queue => stock::put(client, QUEUED, LARGE, 1).await,
            Self::Delete => client.delete_object().bucket(BUCKET).key(DOOMED).send().await.map(drop).map_err(code),
            Self::CreateBucket => client.create_bucket().bucket(NEW_BUCKET).send().await.map(drop).map_err(code),
            Self::DeleteBucket => client.delete_bucket().bucket(EMPTY).send().await.map(drop).map_err(code),
            Self::CreateUpload => stock::create_upload(client, NEW_UPLOAD).await.map(drop),
            Self::UploadPart => {
                let part = client.upload_part().bucket(BUCKET).key(UPLOAD).upload_id(upload(client).await.unwrap());
                part.part_number(2).body(stock::body(UPLOAD, LARGE, 2).into()).send().await.map(drop).map_err(code)
            }
            Self::Complete => complete(client, &upload(client).await.unwrap()).await,
            Self::Abort => {
                let abort = client.abort_multipart_upload().bucket(BUCKET).key(UPLOAD);
                abort.upload_id(upload(client).await.unwrap()).send().await.map(drop).map_err(code)
            }
            Self::Move
            | Self::Erase
            | Self::Rotate
            | Self::NewGeneration
            | Self::FirstStart
            | Self::Restart
            | Self::Rebuild
            | Self::Import => Ok(()),
        }
    }

    /// Whether it happened: whole or not at all, or this panics.
    pub(crate) async fn happened(self, client: &Client) -> bool {
        let whole = |key: &str, found: Option<Vec<u8>>, len, seed| match found {
            None => false,
            Some(bytes) => {
                assert!(bytes == stock::body(key, len, seed), "{key} is neither the one record nor the other");
                true
            }
        };
        let listed = |keys: &[String], key: &str| keys.iter().any(|one| one == key);
        let keys = stock::keys(client).await;
        match self {
            Self::PutNew => {
                let there = whole(NEW, stock::read(client, NEW).await, 3000, 1);
                assert_eq!(listed(&keys, NEW), there, "what is listed can be read");
                there
            }
            Self::PutLarge => {
                let there = whole(NEW_LARGE, stock::read(client, NEW_LARGE).await, LARGE, 1);
                assert_eq!(listed(&keys, NEW_LARGE), there, "what is listed can be read");
                there
            }
            Self::Move => whole(MOVED, stock::read(client, MOVED).await, LARGE, 0),
            Self::Queue => whole(QUEUED, stock::read(client, QUEUED).await, LARGE, 1),
            Self::Overwrite | Self::Collect => {
                let found = stock::read(client, DOOMED).await.unwrap();
                found != stock::body(DOOMED, 5000, 0) && whole(DOOMED, Some(found), 6000, 1)
            }
            Self::Delete => {
                let there = whole(DOOMED, stock::read(client, DOOMED).await, 5000, 0);
                assert_eq!(listed(&keys, DOOMED), there, "what is listed can be read");
                !there
            }
            Self::CreateBucket => buckets(client).await.iter().any(|name| name == NEW_BUCKET),
            Self::DeleteBucket => !buckets(client).await.iter().any(|name| name == EMPTY),
            Self::CreateUpload => uploads(client).await.iter().any(|(key, _)| key == NEW_UPLOAD),
            Self::UploadPart => {
                let parts = client.list_parts().bucket(BUCKET).key(UPLOAD).upload_id(upload(client).await.unwrap());
                let numbers: Vec<_> =
                    parts.send().await.unwrap().parts().iter().map(|part| part.part_number().unwrap()).collect();
                assert!(numbers == [1] || numbers == [1, 2], "{numbers:?}");
                numbers.len() == 2
            }
            Self::Complete => {
                let there = whole(UPLOAD, stock::read(client, UPLOAD).await, PART, 1);
                assert_eq!(listed(&keys, UPLOAD), there, "what is listed can be read");
                assert_eq!(upload(client).await.is_none(), there, "either an upload or an object");
                there
            }
            Self::Abort => upload(client).await.is_none(),
            Self::Erase => {
                // What was accepted goes on by itself.
                for _ in 0..600 {
                    let left = stock::keys(client).await.iter().any(|key| key.starts_with(ERASED))
                        || uploads(client).await.iter().any(|(key, _)| key.starts_with(ERASED));
                    if !left {
                        return true;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                false
            }
            Self::Rotate | Self::NewGeneration | Self::FirstStart | Self::Restart | Self::Rebuild | Self::Import => true,
        }
    }
}

/// Completes the stock's upload.
pub(crate) async fn complete(client: &Client, id: &str) -> Result<(), String> {
    let part = CompletedPart::builder().part_number(1).e_tag(format!("\"{}\"", stock::etag(UPLOAD, PART, 1))).build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let complete = client.complete_multipart_upload().bucket(BUCKET).key(UPLOAD).upload_id(id).multipart_upload(parts);
    complete.send().await.map(drop).map_err(code)
}

/// The id of the stock's upload, while it is open.
pub(crate) async fn upload(client: &Client) -> Option<String> {
    uploads(client).await.into_iter().find(|(key, _)| key == UPLOAD).map(|(_, id)| id)
}

async fn uploads(client: &Client) -> Vec<(String, String)> {
    let listed = client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    let own = |text: Option<&str>| text.unwrap().to_owned();
    listed.uploads().iter().map(|upload| (own(upload.key()), own(upload.upload_id()))).collect()
}

async fn buckets(client: &Client) -> Vec<String> {
    let listed = client.list_buckets().send().await.unwrap();
    listed.buckets().iter().map(|bucket| bucket.name().unwrap().to_owned()).collect()
}
