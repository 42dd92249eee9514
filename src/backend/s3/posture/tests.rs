//! A service that answers as it is told, and what is made of its answers.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{
    backend::{Backend, S3Config, S3Credentials},
    types::SiteId,
};

/// What the service answers to each sub-resource: status and body.
type Answers = Arc<Mutex<BTreeMap<&'static str, (u16, String)>>>;

struct Service {
    backend: S3Backend,
    answers: Answers,
}

fn error(code: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>no</Message></Error>")
}

impl Service {
    /// A bucket in `khi` with which all is well.
    async fn start() -> Self {
        let block = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
        let block: String = block.iter().map(|name| format!("<{name}>true</{name}>")).collect();
        let answers: Answers = Arc::new(Mutex::new(BTreeMap::from([
            ("location", (200, "<LocationConstraint>khi</LocationConstraint>".to_owned())),
            ("replication", (404, error("ReplicationConfigurationNotFoundError"))),
            ("policyStatus", (404, error("NoSuchBucketPolicy"))),
            ("policy", (404, error("NoSuchBucketPolicy"))),
            ("acl", (200, acl("<ID>owner</ID>", "CanonicalUser", "FULL_CONTROL"))),
            ("publicAccessBlock", (200, format!("<PublicAccessBlockConfiguration>{block}</PublicAccessBlockConfiguration>"))),
            ("versioning", (200, "<VersioningConfiguration/>".to_owned())),
            ("lifecycle", (404, error("NoSuchLifecycleConfiguration"))),
        ])));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let told = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let told = Arc::clone(&told);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.windows(4).any(|end| end == b"\r\n\r\n") && connection.read_buf(&mut head).await.unwrap_or(0) > 0
                    {
                    }
                    let head = String::from_utf8_lossy(&head).into_owned();
                    let query = head.split(' ').nth(1).and_then(|target| target.split_once('?')).map_or("", |(_, query)| query);
                    let name = query.split(['&', '=']).next().unwrap_or_default();
                    let (status, body) = told.lock().get(name).cloned().unwrap_or((404, error("NoSuchKey")));
                    let answer =
                        format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                    drop(connection.write_all(answer.as_bytes()).await);
                });
            }
        });
        let credentials = S3Credentials { access_key_id: "id".to_owned(), secret_access_key: "secret".to_owned().into() };
        let backend =
            S3Backend::new(SiteId::new("pk-khi").unwrap(), &S3Config::new(&endpoint, "khi", "blobs", credentials)).unwrap();
        Self { backend, answers }
    }

    fn says(&self, name: &'static str, status: u16, body: impl Into<String>) -> &Self {
        self.answers.lock().insert(name, (status, body.into()));
        self
    }

    fn says_everywhere(&self, status: u16, body: &str) -> &Self {
        let names: Vec<&str> = self.answers.lock().keys().copied().collect();
        for name in names {
            self.says(name, status, body);
        }
        self
    }

    async fn verdict(&self, check: Check) -> Verdict {
        self.backend.inspect().await.unwrap().0.into_iter().find(|(one, _)| *one == check).unwrap().1
    }

    /// All that is not fine.
    async fn found(&self) -> Vec<(Check, Verdict)> {
        let all = self.backend.inspect().await.unwrap().0;
        all.into_iter().filter(|(_, verdict)| *verdict != Verdict::Fine).collect()
    }
}

fn acl(who: &str, kind: &str, permission: &str) -> String {
    let xsi = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";
    format!(
        "<AccessControlPolicy><Owner><ID>owner</ID></Owner><AccessControlList><Grant><Grantee {xsi} xsi:type=\"{kind}\">{who}</Grantee>\
         <Permission>{permission}</Permission></Grant></AccessControlList></AccessControlPolicy>"
    )
}

fn replication(rules: &str) -> String {
    format!("<ReplicationConfiguration><Role>r</Role>{rules}</ReplicationConfiguration>")
}

fn replication_rule(status: &str, filter: &str, bucket: &str) -> String {
    format!("<Rule><Status>{status}</Status>{filter}<Destination><Bucket>arn:aws:s3:::{bucket}</Bucket></Destination></Rule>")
}

fn lifecycle(rules: &str) -> String {
    format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>")
}

fn text(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Fine => String::new(),
        Verdict::Found { severity, detail } => format!("{}: {detail}", severity.as_str()),
        Verdict::Unknown(unknown) => format!("unknown: {unknown}"),
    }
}

#[tokio::test]
async fn a_bucket_with_which_all_is_well_has_nothing_said_of_it() {
    let service = Service::start().await;
    assert_eq!(service.found().await, []);
}

#[tokio::test]
async fn a_bucket_that_copies_itself_is_an_alarm_that_names_where_to() {
    let service = Service::start().await;
    let on = replication_rule("Enabled", "<Filter><Prefix></Prefix></Filter>", "abroad");
    service.says("replication", 200, replication(&on));
    let found = service.found().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0, text(&found[0].1).as_str()), (Check::Replication, "alarm: every blob is copied to bucket `abroad`"));
    let first_version = replication_rule("Enabled", "<Prefix></Prefix>", "older");
    service.says("replication", 200, replication(&format!("{on}{first_version}")));
    assert_eq!(
        text(&service.verdict(Check::Replication).await),
        "alarm: every blob is copied to bucket `abroad`, bucket `older`"
    );
    let of_journal = replication_rule("Enabled", "<Filter><Prefix>j1/0</Prefix></Filter>", "abroad");
    service.says("replication", 200, replication(&of_journal));
    assert!(text(&service.verdict(Check::Replication).await).starts_with("alarm"));
}

#[tokio::test]
async fn rules_that_are_off_are_a_warning_and_rules_for_other_names_nothing() {
    let service = Service::start().await;
    service.says("replication", 200, replication(&replication_rule("Disabled", "", "abroad")));
    assert!(text(&service.verdict(Check::Replication).await).starts_with("warning: "));
    let and = "<And><Prefix></Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And>";
    for filter in ["<Prefix>logs/</Prefix>", "<Tag><Key>a</Key><Value>b</Value></Tag>", and] {
        let filter = format!("<Filter>{filter}</Filter>");
        service.says("replication", 200, replication(&replication_rule("Enabled", &filter, "abroad")));
        assert_eq!(service.verdict(Check::Replication).await, Verdict::Fine, "{filter}");
    }
}

#[tokio::test]
async fn a_public_policy_is_found_by_the_service_or_by_its_text() {
    let status = |public: bool| format!("<PolicyStatus><IsPublic>{public}</IsPublic></PolicyStatus>");
    let open = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}]}"#;
    let conditional = open.replace("\"Resource\"", "\"Condition\":{\"Bool\":{\"a\":\"b\"}},\"Resource\"");
    let closed = open.replace("\"*\",\"Action", "{\"AWS\":\"arn:aws:iam::1:root\"},\"Action");
    let denied = (403, error("AccessDenied"));
    let absent = (501, error("NotImplemented"));
    let cases = [
        ((200, status(true)), (200, closed.clone()), "alarm"),
        ((200, status(true)), denied.clone(), "alarm"),
        ((200, status(false)), (200, open.to_owned()), "alarm"),
        ((200, status(false)), (200, conditional.clone()), ""),
        (absent.clone(), (200, open.to_owned()), "alarm"),
        (absent.clone(), (200, conditional), "warning"),
        (absent.clone(), (200, closed), ""),
        (absent.clone(), (200, "<ListBucketResult/>".to_owned()), "unknown: not supported"),
        (denied.clone(), denied, "unknown: not permitted: the key pair needs s3:GetBucketPolicyStatus"),
    ];
    let service = Service::start().await;
    service.says("publicAccessBlock", 404, error("NoSuchPublicAccessBlockConfiguration"));
    for (number, (status, policy, expected)) in cases.into_iter().enumerate() {
        service.says("policyStatus", status.0, status.1).says("policy", policy.0, policy.1);
        let said = text(&service.verdict(Check::PublicPolicy).await);
        assert!(said.starts_with(expected) && said.is_empty() == expected.is_empty(), "case {number}: {said}");
    }
}

#[tokio::test]
async fn a_public_acl_names_what_it_gives_and_the_access_block_holds_it_back() {
    let service = Service::start().await;
    let group = |name: &str| format!("<URI>http://acs.amazonaws.com/groups/{name}</URI>");
    service.says("acl", 200, acl(&group("global/AllUsers"), "Group", "READ"));
    let held_back = text(&service.verdict(Check::PublicAcl).await);
    assert!(held_back.starts_with("warning: ") && held_back.contains("public access block"), "{held_back}");
    service.says("publicAccessBlock", 404, error("NoSuchPublicAccessBlockConfiguration"));
    assert_eq!(text(&service.verdict(Check::PublicAcl).await), "alarm: the bucket's ACL gives READ to everybody");
    assert!(text(&service.verdict(Check::PublicAccessBlock).await).starts_with("warning: "));
    service.says("acl", 200, acl(&group("global/AuthenticatedUsers"), "Group", "WRITE"));
    assert_eq!(
        text(&service.verdict(Check::PublicAcl).await),
        "alarm: the bucket's ACL gives WRITE to everybody with an account"
    );
    service.says("acl", 200, acl(&group("s3/LogDelivery"), "Group", "WRITE"));
    assert_eq!(service.verdict(Check::PublicAcl).await, Verdict::Fine);
}

#[tokio::test]
async fn a_public_policy_that_is_held_back_is_a_warning_and_half_a_block_says_what_is_off() {
    let service = Service::start().await;
    service.says("policyStatus", 200, "<PolicyStatus><IsPublic>true</IsPublic></PolicyStatus>");
    assert!(text(&service.verdict(Check::PublicPolicy).await).starts_with("warning: "));
    let half = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>\
                <BlockPublicPolicy>true</BlockPublicPolicy></PublicAccessBlockConfiguration>";
    service.says("publicAccessBlock", 200, half);
    assert!(text(&service.verdict(Check::PublicPolicy).await).starts_with("alarm: "));
    assert_eq!(text(&service.verdict(Check::PublicAccessBlock).await), "warning: off: RestrictPublicBuckets");
}

#[tokio::test]
async fn old_versions_are_found_also_where_versioning_was_switched_off() {
    let service = Service::start().await;
    let status = |status: &str| format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
    service.says("versioning", 200, status("Enabled"));
    assert_eq!(text(&service.verdict(Check::Versioning).await), "warning: on: deleted blobs stay as old versions");
    let rule = "<Rule><ID>old</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>\
                <NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays></NoncurrentVersionExpiration></Rule>";
    service.says("lifecycle", 200, lifecycle(rule));
    assert!(text(&service.verdict(Check::Versioning).await).contains("for 3 days"));
    assert_eq!(service.verdict(Check::Lifecycle).await, Verdict::Fine, "that is wanted");

    service.says("versioning", 200, status("Suspended"));
    let version =
        |latest: bool| format!("<Version><Key>d1/a</Key><VersionId>v</VersionId><IsLatest>{latest}</IsLatest></Version>");
    let page = |cut: bool, versions: &str| {
        format!("<ListVersionsResult><IsTruncated>{cut}</IsTruncated>{versions}</ListVersionsResult>")
    };
    service.says("versions", 200, page(false, &version(true)));
    assert_eq!(service.verdict(Check::Versioning).await, Verdict::Fine);
    service.says("versions", 200, page(false, &version(false)));
    assert!(text(&service.verdict(Check::Versioning).await).contains("are still there"));
    let marker = "<DeleteMarker><Key>d1/b</Key><VersionId>null</VersionId><IsLatest>true</IsLatest></DeleteMarker>";
    service.says("versions", 200, page(false, &(version(true) + marker)));
    assert_eq!(service.verdict(Check::Versioning).await, Verdict::Fine, "a marker alone holds nothing");
    service.says("versions", 200, page(true, &version(true)));
    assert!(text(&service.verdict(Check::Versioning).await).contains("may still be there"));
    service.says("versions", 403, error("AccessDenied"));
    assert!(text(&service.verdict(Check::Versioning).await).contains("may still be there"));
}

#[tokio::test]
async fn a_rule_that_deletes_is_an_alarm_and_one_that_moves_a_warning() {
    let rule = |id: &str, status: &str, filter: &str, what: &str| {
        lifecycle(&format!("<Rule><ID>{id}</ID><Status>{status}</Status><Filter>{filter}</Filter>{what}</Rule>"))
    };
    let (all, days) = ("<Prefix></Prefix>", "<Expiration><Days>3</Days></Expiration>");
    let date = "<Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>";
    let glacier = "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>";
    let cases = [
        (rule("purge", "Enabled", all, days), "alarm: rules delete blobs: `purge`"),
        (rule("purge", "Enabled", "<Prefix>d1/0</Prefix>", date), "alarm: rules delete blobs: `purge`"),
        (
            rule("purge", "Enabled", "<ObjectSizeGreaterThan>9</ObjectSizeGreaterThan>", days),
            "alarm: rules delete blobs: `purge`",
        ),
        (rule("cold", "Enabled", all, glacier), "warning: rules move blobs to another storage class"),
        (rule("purge", "Disabled", all, days), ""),
        (rule("purge", "Enabled", "<Prefix>logs/</Prefix>", days), ""),
        (rule("purge", "Enabled", "<Tag><Key>a</Key><Value>b</Value></Tag>", days), ""),
        (
            rule("tidy", "Enabled", all, "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"),
            "",
        ),
        (
            rule(
                "tidy",
                "Enabled",
                all,
                "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
            ),
            "",
        ),
    ];
    let service = Service::start().await;
    for (answer, expected) in cases {
        service.says("lifecycle", 200, answer.clone());
        let said = text(&service.verdict(Check::Lifecycle).await);
        assert!(said.starts_with(expected) && said.is_empty() == expected.is_empty(), "{answer}: {said}");
    }
}

#[tokio::test]
async fn another_region_is_told_and_silence_is_no_region() {
    let service = Service::start().await;
    service.says("location", 200, "<LocationConstraint>fra</LocationConstraint>");
    assert_eq!(text(&service.verdict(Check::Region).await), "warning: the bucket is in `fra`, the configuration says `khi`");
    service.says("location", 200, "<LocationConstraint/>");
    assert_eq!(service.verdict(Check::Region).await, Verdict::Unknown(Unknown::NotSupported));
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_neither_fine_nor_found() {
    let service = Service::start().await;
    service.says_everywhere(403, &error("AccessDenied"));
    let found = service.found().await;
    assert_eq!(found.len(), Check::OF_BUCKETS.len());
    assert!(
        found
            .iter()
            .all(|(_, verdict)| matches!(verdict, Verdict::Unknown(Unknown::NotPermitted(right)) if right.starts_with("s3:Get")))
    );
    for (status, code) in [(501, "NotImplemented"), (405, "MethodNotAllowed"), (400, "NotSupported")] {
        service.says_everywhere(status, &error(code));
        let found = service.found().await;
        assert_eq!(found.len(), Check::OF_BUCKETS.len());
        assert!(found.iter().all(|(_, verdict)| *verdict == Verdict::Unknown(Unknown::NotSupported)), "{code}: {found:?}");
    }
}

/// Services that do not know a sub-resource answer as if it had not been asked for.
#[tokio::test]
async fn a_service_that_answers_something_else_is_not_believed() {
    let service = Service::start().await;
    let listing = "<ListBucketResult><Name>blobs</Name><IsTruncated>false</IsTruncated></ListBucketResult>";
    for body in [listing, "", "<html>hello</html>", "{}"] {
        for name in ["replication", "policyStatus", "policy", "acl", "publicAccessBlock", "versioning", "lifecycle"] {
            service.says(name, 200, body);
        }
        let found = service.found().await;
        let names: Vec<Check> = found.iter().map(|(check, _)| *check).collect();
        assert_eq!(names, Check::OF_BUCKETS[1..], "{body}: {found:?}");
        assert!(found.iter().all(|(_, verdict)| matches!(verdict, Verdict::Unknown(_))), "{body}: {found:?}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_not_looked_at() {
    let service = Service::start().await;
    service.says_everywhere(404, &error("NoSuchBucket"));
    let error = service.backend.inspect().await.unwrap_err();
    assert!(error.to_string().contains("NoSuchBucket"), "{error}");
}

#[tokio::test]
async fn what_a_service_tells_cannot_break_a_line() {
    let service = Service::start().await;
    let name = format!("a&#10;b{}", "x".repeat(5000));
    service.says("replication", 200, replication(&replication_rule("Enabled", "", &name)));
    let said = text(&service.verdict(Check::Replication).await);
    assert!(said.len() < 300 && !said.contains('\n'), "{said}");
}
