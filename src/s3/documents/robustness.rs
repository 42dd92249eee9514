//! No document, however it is made up, brings a reader down.

use proptest::prelude::*;

use super::{
    acl, cors, encryption, legal_hold, lifecycle, logging, object_lock, ownership_controls, public_access_block, request_payment,
    retention, tagging, versioning,
};
use crate::access::Accounts;
use crate::types::AccountId;

/// The words of all documents.
const NAMES: &[&str] = &[
    "VersioningConfiguration",
    "ObjectLockConfiguration",
    "Retention",
    "LegalHold",
    "LifecycleConfiguration",
    "CORSConfiguration",
    "Tagging",
    "ServerSideEncryptionConfiguration",
    "Rule",
    "Filter",
    "And",
    "Tag",
    "Key",
    "Status",
    "Expiration",
    "Days",
    "Date",
    "DefaultRetention",
    "Mode",
    "CORSRule",
    "AllowedOrigin",
    "MaxAgeSeconds",
    "AccessControlPolicy",
    "AccessControlList",
    "Grant",
    "Grantee",
    "ID",
    "Permission",
    "OwnershipControls",
    "PublicAccessBlockConfiguration",
];

/// Every account there can be.
struct Everybody;

impl Accounts for Everybody {
    fn exists(&self, _: &AccountId) -> bool {
        true
    }

    fn by_email(&self, address: &str) -> Option<AccountId> {
        AccountId::new(address).ok()
    }
}

fn read_all(document: &[u8]) {
    let _ = acl::parse(document, &AccountId::new("owner").unwrap(), &Everybody);
    let _ = cors::parse(document);
    let _ = encryption::parse(document);
    let _ = legal_hold::parse(document);
    let _ = lifecycle::parse(document);
    let _ = logging::parse(document);
    let _ = object_lock::parse(document);
    let _ = ownership_controls::parse(document);
    let _ = public_access_block::parse(document);
    let _ = request_payment::parse(document);
    let _ = retention::parse(document);
    let _ = tagging::parse_of_bucket(document);
    let _ = tagging::parse_of_object(document);
    let _ = versioning::parse(document);
}

/// A tree of known elements in any order, with texts that numbers and dates are read from.
fn tree() -> impl Strategy<Value = String> {
    let text =
        prop_oneof![Just("Enabled".to_owned()), Just("GOVERNANCE".to_owned()), "-?[0-9]{1,12}", "[0-9TZ:.-]{0,24}", ".{0,8}"];
    let leaf = text.prop_map(|text| text.replace(['<', '&'], ""));
    leaf.prop_recursive(5, 40, 5, |inner| {
        proptest::collection::vec((proptest::sample::select(NAMES), inner), 0..5)
            .prop_map(|children| children.iter().map(|(name, inside)| format!("<{name}>{inside}</{name}>")).collect())
    })
}

proptest! {
    #[test]
    fn any_tree_can_be_read(root in proptest::sample::select(NAMES), inside in tree()) {
        read_all(format!("<{root}>{inside}</{root}>").as_bytes());
    }

    #[test]
    fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        read_all(&bytes);
    }
}
