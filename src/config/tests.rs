use std::{collections::BTreeMap, io, num::NonZeroU32, path::Path};

use super::*;
use crate::diagnostics::Diagnostic;
use crate::kms::VaultLogin;
use crate::objects::{DirectoryIds, RecordedReads};

/// Files and variables by name.
struct Fake(BTreeMap<&'static str, &'static str>);

impl Environment for Fake {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| (*value).to_owned())
    }
    fn file(&self, path: &Path) -> io::Result<String> {
        let found = self.0.get(path.to_str().unwrap_or_default());
        found.map(|text| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n";

fn read(text: &str) -> Result<Config, Vec<Diagnostic>> {
    let known = [
        ("PK_KHI_ACCESS_KEY_ID", "AK"),
        ("PK_KHI_SECRET_ACCESS_KEY", "SK"),
        ("/etc/domicile/feed.secret", "hush\n"),
        ("/etc/domicile/auditor.hash", HASH),
        ("NOTHING", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("OTHER", "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"),
    ];
    Config::parse("domicile.toml", text, Path::new("/etc/domicile"), &Fake(known.into()))
}

const GOOD: &str = include_str!("../../examples/domicile.toml");

#[test]
fn the_example_is_read_as_it_says() {
    let config = read(GOOD).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert_eq!(config.limits.memory, 1 << 30);
    assert_eq!(config.gc_grace.as_secs(), 3600);
    assert_eq!(config.policies, PolicySource::Folder("/etc/domicile/policies".into()));
    assert_eq!(config.sites.len(), 2);
    assert!(matches!(&config.sites[0].backend, Backend::S3(s3) if s3.service.credentials.access_key_id == "AK"));
    assert_eq!(config.principals[0].attributes["residence"], "PK");
    assert_eq!(config.keyring.identity_file, Path::new("/etc/domicile/domicile-data/operator.identity"));
}

#[test]
fn a_token_is_of_one_name_and_is_something() {
    let second = |more: &str| format!("{GOOD}\n[[token]]\nid = \"ann-2\"\nrole = \"operator\"\n{more}\n");
    let said = |text: &str| read(text).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let twice = said(&second("hash-file = \"auditor.hash\""));
    assert!(twice.contains("`ann-2` is the same token as `"), "{twice}");
    let nothing = said(&second("hash-env = \"NOTHING\""));
    assert!(nothing.contains("the SHA-256 of nothing"), "{nothing}");
    let config = read(&second("hash-env = \"OTHER\"\nperson = \"oidc.ann\"")).unwrap();
    let persons: Vec<_> = config.tokens.iter().map(|token| token.person.as_ref().map(ToString::to_string)).collect();
    assert_eq!(persons, [None, Some("oidc.ann".to_owned())]);
    assert!(said(&second("hash-env = \"OTHER\"\nperson = \"a b\"")).contains("person"));
}

#[test]
fn subject_keys_live_as_long_as_it_says_and_wrap_no_more_than_is_safe() {
    let keys = |text: &str| read(&GOOD.replace("[gateway]", &format!("[keys]\n{text}\n[gateway]")));
    let life = read(GOOD).unwrap().subject_keys;
    assert_eq!((life.max_age, life.max_wraps), (None, 1 << 30));
    let life = keys("subject-key-max-age = \"365d\"\nsubject-key-max-wraps = 1000").unwrap().subject_keys;
    assert_eq!((life.max_age.unwrap().as_secs(), life.max_wraps), (365 * 86_400, 1000));
    for wrong in ["subject-key-max-wraps = 0", "subject-key-max-wraps = 4294967296", "subject-key-max-age = \"0s\"", "max = 1"] {
        assert!(keys(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_directory_keeps_ids_unless_it_is_told_not_to() {
    let ids = |more: &str| read(&format!("{GOOD}\n{more}")).map(|config| config.directory_ids);
    assert_eq!(ids("").ok(), Some(DirectoryIds::Kept));
    assert_eq!(ids("[directory]\nids = \"hashed\"").ok(), Some(DirectoryIds::Hashed));
    assert!(ids("[directory]\nids = \"none\"").unwrap_err()[0].to_string().contains("must be one of"));
}

#[test]
fn reads_across_borders_are_in_the_ledger_unless_something_else_is_said() {
    let reads = |more: &str| read(&format!("{GOOD}\n{more}")).map(|config| config.ledger.reads);
    assert_eq!(reads("").ok(), Some(RecordedReads::CrossBorder));
    assert_eq!(reads("[ledger]\nreads = \"all\"").ok(), Some(RecordedReads::All));
    assert_eq!(reads("[ledger]\nreads = \"none\"").ok(), Some(RecordedReads::None));
    assert!(reads("[ledger]\nreads = \"some\"").unwrap_err()[0].to_string().contains("must be one of"));
}

#[test]
fn all_mistakes_are_told_at_once_with_their_lines() {
    let text = r#"version = 2
colour = "red"
[limits]
memory = "lots"
drain = "0s"
[s3]
listen = "nowhere"
base-domain = ["s3.example.com"]
[index]
engine = "postgres"
[[key]]
id = "pk"
country = "PAK"
provider = "valut"
[[key]]
id = "sg"
country = "SG"
provider = "keyring"
[[site]]
id = "pk-khi"
country = "PK"
key = "sg"
backend = "fs"
path = "a"
[[site]]
id = "pk-khi"
country = "SG"
key = "sgg"
backend = "fs"
path = "a/b"
[[site]]
id = "x"
country = "SG"
key = "sg"
backend = "s3"
endpoint = "ftp://x/y"
region = "r"
bucket = "b"
credentials-env = "NOT_SET"
[[principal]]
id = "feed"
access-key-id = "AK"
secret = "inline"
buckets = ["MEDIA"]
allow = ["everything"]
[[token]]
id = "auditor-1"
role = "king"
hash-file = "missing"
"#;
    let mistakes = read(text).unwrap_err();
    let all = mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for (line, part) in [
        (1, "version 1"),
        (2, "unknown key `colour`"),
        (4, "not a size"),
        (5, "more than nothing"),
        (7, "`listen` cannot be `nowhere`"),
        (8, "unknown key `base-domain`"),
        (10, "not built yet"),
        (13, "not an ISO 3166-1"),
        (14, "`provider` must be one of"),
        (36, "`endpoint` must be"),
        (39, "`NOT_SET_ACCESS_KEY_ID` is not set"),
        (43, "unknown key `secret`"),
        (44, "not a bucket pattern"),
        (45, "not a permission"),
        (48, "not a role"),
        (49, "cannot read"),
    ] {
        let found = mistakes.iter().any(|mistake| mistake.line == line && mistake.message.contains(part));
        assert!(found, "line {line}, {part}:\n{all}");
    }
    for part in ["its key `sg` is of SG", "there is another site `pk-khi`", "`sgg`, which does not exist", "overlap"] {
        assert!(all.contains(part), "{part}:\n{all}");
    }
    assert!(mistakes.iter().any(|mistake| mistake.hint.as_ref().is_some_and(|hint| hint.contains("0.0.0.0:9000"))), "{all}");
    assert!(all.contains("did you mean `base-domains`?") && all.contains("did you mean `sg`?"), "{all}");
    assert!(!all.contains("inline"), "{all}");
}

#[test]
fn what_is_said_of_the_outside_of_s3_is_read() {
    let with = |line: &str| read(&GOOD.replace("[s3]", &format!("[s3]\n{line}")));
    let config =
        with("external-url = \"https://s3.example.com/\"\nunsigned-payload = \"tls-only\"\ncustomer-keys-over-http = true")
            .unwrap();
    assert_eq!(config.s3.external_url.as_deref(), Some("https://s3.example.com"));
    assert_eq!(config.s3.unsigned_payload, crate::authn::UnsignedPayload::TlsOnly);
    assert!(config.s3.customer_keys_over_http && !read(GOOD).unwrap().s3.customer_keys_over_http);
    assert_eq!(read(GOOD).unwrap().s3.unsigned_payload, crate::authn::UnsignedPayload::Allow);
    assert!(with("anonymous-residence = true").unwrap().s3.anonymous_residence && !config.s3.anonymous_residence);
    assert!(with("post-signature-v2 = true").unwrap().s3.post_signature_v2 && !config.s3.post_signature_v2);
    for wrong in [
        "external-url = \"s3.example.com\"",
        "external-url = \"https://a/b\"",
        "unsigned-payload = \"deny\"",
        "post-signature-v2 = 1",
    ] {
        assert!(with(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn limits_on_requests_are_whole_numbers_from_one_on() {
    const OWN: &str = "requests-per-second = 500";
    const GENERAL: &str = "\nconcurrent-requests = 2048";
    assert!(GOOD.contains(OWN) && GOOD.contains(GENERAL));
    let with = |general: &str, own: &str| read(&GOOD.replace(OWN, own).replace(GENERAL, &format!("\n{general}")));
    let config = with("concurrent-requests = 7\nanonymous-requests-per-second = 5", "requests-per-second = 3").unwrap();
    assert_eq!(config.limits.concurrent_requests.get(), 7);
    assert_eq!(config.limits.anonymous.requests_per_second.map(NonZeroU32::get), Some(5));
    assert_eq!(config.limits.anonymous.concurrent_requests, Some(Limits::ANONYMOUS_REQUESTS));
    let quota = config.principals[0].quota;
    assert_eq!((quota.requests_per_second.map(NonZeroU32::get), quota.concurrent_requests), (Some(3), NonZeroU32::new(200)));
    for wrong in ["0", "-1", "1.5", "\"5\"", "4294967296"] {
        assert!(with(&format!("concurrent-requests = {wrong}"), "").is_err(), "{wrong}");
        assert!(with("", &format!("requests-per-second = {wrong}")).is_err(), "{wrong}");
    }
}

const PAIR: &str = "access-key-id = \"FEEDSERVICE0001\"\nsecret-file = \"feed.secret\"\n";

/// The example with something else for the principal's key pair.
fn read_with_keys(keys: &str) -> Result<Config, Vec<Diagnostic>> {
    assert!(GOOD.contains(PAIR));
    let (before, after) = GOOD.split_once("[[token]]").unwrap();
    read(&format!("{}\n{keys}\n[[token]]{after}", before.replace(PAIR, "")))
}

#[test]
fn a_principal_may_have_several_key_pairs_of_which_some_end() {
    let old = "[[principal.credential]]\naccess-key-id = \"OLD\"\nsecret-file = \"feed.secret\"\nnot-after = 2027-01-31T00:00:00+05:00\n";
    let new = "[[principal.credential]]\naccess-key-id = \"NEW\"\nsecret-file = \"feed.secret\"\n";
    let config = read_with_keys(&format!("{old}{new}")).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let ends: Vec<_> = config.principals[0].access_keys.iter().map(|key| (key.id.as_str(), key.not_after)).collect();
    let end = crate::types::Timestamp::parse_rfc3339("2027-01-30T19:00:00Z");
    assert_eq!(ends, [("OLD", end), ("NEW", None)]);
    for (wrong, part) in [
        (format!("{new}{new}"), "has an access key id of"),
        (format!("{PAIR}{new}"), "not both"),
        (old.replace("T00:00:00+05:00", ""), "a date with time and offset"),
        (old.replace("not-after", "not-befor"), "unknown key"),
    ] {
        let all = format!("{:?}", read_with_keys(&wrong).unwrap_err());
        assert!(all.contains(part), "{wrong}: {all}");
    }
}

#[test]
fn a_gateway_without_sites_or_keys_is_refused() {
    let all = format!("{:?}", read("version = 1").unwrap_err());
    assert!(all.contains("no `[[site]]`") && all.contains("no `[[key]]`"), "{all}");
    assert!(read("version = ").is_err());
    assert!(read("").is_err());
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", read(GOOD).unwrap());
    assert!(!shown.contains("hush") && !shown.contains("SK\""), "{shown}");
}

#[test]
fn a_source_says_how_it_is_reached_and_holds_no_secret_itself() {
    let source = |more: &str| {
        let table = format!("[[source]]\nid = \"old\"\nendpoint = \"https://s3.example.com\"\nregion = \"eu\"\n{more}\n");
        read(&format!("{GOOD}\n{table}"))
    };
    let config = source("credentials-env = \"PK_KHI\"\nbuckets = [\"media-*\"]\netags = \"opaque\"").unwrap();
    let [old] = config.sources.as_slice() else { panic!("{:?}", config.sources) };
    assert_eq!((old.id.as_str(), old.concurrency, old.opaque_etags), ("old", Source::DEFAULT_CONCURRENCY, true));
    assert!(old.buckets[0].matches("media-1") && !old.buckets[0].matches("other"));
    assert!(!format!("{config:?}").contains("\"SK\""));
    for (wrong, said) in [
        ("credentials-env = \"PK_KHI\"\nbucket = \"b\"", "bucket"),
        ("access-key-id = \"AK\"\nsecret = \"SK\"", "secret"),
        ("credentials-env = \"PK_KHI\"\netags = \"sha\"", "etags"),
        (
            "credentials-env = \"PK_KHI\"\n[[source]]\nid = \"old\"\nendpoint = \"https://x\"\nregion = \"eu\"\ncredentials-env = \"PK_KHI\"",
            "another source",
        ),
    ] {
        let mistakes = source(wrong).unwrap_err();
        assert!(mistakes.iter().any(|mistake| mistake.message.contains(said)), "{wrong}: {mistakes:?}");
    }
}

#[test]
fn what_is_accepted_of_a_site_is_what_is_looked_at_there() {
    use crate::backend::Check;

    let first = |lines: &str| GOOD.replacen("backend = \"s3\"", &format!("backend = \"s3\"\n{lines}"), 1);
    let checks = "\n[site-checks]\nevery = \"5m\"\non-alarm = \"report\"\n";
    let config = read(&(first("accept = [\"versioning\", \"replication\"]") + checks)).unwrap_or_else(|all| panic!("{all:#?}"));
    assert_eq!(config.sites[0].accept, [Check::Replication, Check::Versioning].into());
    assert_eq!((config.site_checks.every.as_secs(), config.site_checks.refuse_writes), (300, false));

    let config = read(GOOD).unwrap();
    assert!(config.sites.iter().all(|site| site.accept.is_empty()));
    assert_eq!((config.site_checks.every.as_secs(), config.site_checks.refuse_writes), (3600, true));

    for (lines, word) in [
        ("accept = [\"folder-mode\"]", "folder-mode"),
        ("accept = [\"marker\"]", "marker"),
        ("accept = [\"version\"]", "version"),
    ] {
        let mistakes = read(&first(lines)).err().unwrap();
        assert!(mistakes.len() == 1 && mistakes[0].message.contains(word), "{lines}: {mistakes:?}");
    }
    for wrong in ["every = \"10ms\"", "on-alarm = \"ignore\"", "often = \"1h\""] {
        assert_eq!(read(&format!("{GOOD}\n[site-checks]\n{wrong}\n")).err().unwrap().len(), 1, "{wrong}");
    }
}

#[test]
fn the_ledger_has_a_name_and_others_who_vouch_for_it() {
    use crate::audit::note::Signer;

    let witness = Signer::witness("witness.example/w1", &[1; 32]).unwrap().verifier().to_string();
    let ledger = |more: &str| read(&format!("{GOOD}\n[ledger]\n{more}\n"));
    let config = ledger(&format!(
        "origin = \"ledger.example/log\"\ncheckpoint-every = \"10m\"\n[[ledger.witness]]\nurl = \"https://witness.example/api\"\n\
         key = \"{witness}\"\n[ledger.time-stamps]\nurl = \"http://tsa.example/tsr\""
    ));
    let config = config.unwrap_or_else(|all| panic!("{all:#?}")).ledger;
    assert_eq!(config.origin.as_deref(), Some("ledger.example/log"));
    assert_eq!((config.notary.every.as_secs(), config.notary.time_stamps.as_deref()), (600, Some("http://tsa.example/tsr")));
    assert_eq!(config.notary.witnesses[0].key.to_string(), witness);
    assert!(read(GOOD).unwrap().ledger.origin.is_none());

    let signer = Signer::new("witness.example/w1", &[1; 32]).unwrap().verifier().to_string();
    for wrong in [
        "origin = \"two words\"".to_owned(),
        "checkpoint-every = \"10ms\"".to_owned(),
        "[ledger.time-stamps]\nurl = \"tsa.example\"".to_owned(),
        "[[ledger.witness]]\nurl = \"https://w\"".to_owned(),
        format!("[[ledger.witness]]\nurl = \"https://w\"\nkey = \"{signer}\""),
        "[[ledger.witness]]\nurl = \"https://w\"\nkey = \"w+00000000+BA==\"".to_owned(),
    ] {
        assert_eq!(ledger(&wrong).err().map(|mistakes| mistakes.len()), Some(1), "{wrong}");
    }
}

const VAULT: &str = r#"
[[key]]
id = "pk2"
country = "PK"
provider = "vault"
address = "https://bao.khi.example.pk:8200/"
name = "domicile-pk"
token-file = "pk.token"
namespace = "/residency/pk/"
cluster-id = "d20a5db8"
timeout = "1s"
"#;

#[test]
fn a_transit_key_is_read_as_it_says() {
    let config = read(&format!("{GOOD}{VAULT}")).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let Provider::Vault(settings) = &config.keys[2].provider else { panic!("{:?}", config.keys[2]) };
    assert_eq!((settings.address.as_str(), settings.mount.as_str()), ("https://bao.khi.example.pk:8200", "transit"));
    assert_eq!((settings.namespace.as_deref(), settings.cluster.as_deref()), (Some("residency/pk"), Some("d20a5db8")));
    assert_eq!(settings.timeout.as_secs(), 1);
    assert!(matches!(&settings.login, VaultLogin::TokenFile(path) if path == Path::new("/etc/domicile/pk.token")));

    let role = VAULT.replace("token-file = \"pk.token\"", "role-id = \"r\"\nsecret-id-file = \"/run/secret-id\"");
    let config = read(&format!("{GOOD}{role}")).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let Provider::Vault(settings) = &config.keys[2].provider else { panic!("{:?}", config.keys[2]) };
    assert!(matches!(&settings.login, VaultLogin::AppRole { mount, .. } if mount == "approle"));
}

#[test]
fn a_transit_key_that_cannot_be_is_refused() {
    for (right, wrong, says) in [
        ("https://bao.khi.example.pk:8200/", "http://bao.khi.example.pk:8200", "keys would travel in the clear"),
        ("https://bao.khi.example.pk:8200/", "https://bao.khi.example.pk/v1", "`address` must be"),
        ("name = \"domicile-pk\"", "", "`name` is missing"),
        ("name = \"domicile-pk\"", "name = \"a/b\"", "`name` must be a name"),
        ("/residency/pk/", "a/../b", "`namespace` must be names"),
        ("token-file = \"pk.token\"", "", "give one of `token-file`"),
        ("token-file = \"pk.token\"", "token-file = \"pk.token\"\nrole-id = \"r\"", "give one of `token-file`"),
        ("token-file = \"pk.token\"", "token-env = \"NOT_SET\"", "`NOT_SET` is not set"),
        ("token-file", "token = \"hush\"\ntoken-file", "unknown key `token`"),
    ] {
        let mistakes = read(&format!("{GOOD}{}", VAULT.replace(right, wrong))).unwrap_err();
        assert!(mistakes.iter().any(|mistake| mistake.message.contains(says)), "{wrong}: {mistakes:#?}");
    }
    for local in ["http://127.0.0.1:8200", "http://[::1]:8200", "http://localhost:8200"] {
        assert!(read(&format!("{GOOD}{}", VAULT.replace("https://bao.khi.example.pk:8200/", local))).is_ok(), "{local}");
    }
    let twice = format!("{GOOD}{VAULT}{}", VAULT.replace("\"pk2\"", "\"pk3\""));
    let mistakes = read(&twice).unwrap_err();
    assert!(mistakes.iter().any(|mistake| mistake.message.contains("`pk3` and `pk2` are one key")), "{mistakes:#?}");
}

const AWS: &str = r#"
[[key]]
id = "sg2"
country = "SG"
provider = "aws-kms"
region = "ap-southeast-1"
alias = "domicile/sg"
access-key-id = "AK"
secret-file = "feed.secret"
deletion-window-days = 14
"#;

#[test]
fn a_key_at_aws_is_read_as_it_says_and_is_in_its_country() {
    let config = read(&format!("{GOOD}{AWS}")).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let Provider::AwsKms(settings) = &config.keys[2].provider else { panic!("{:?}", config.keys[2]) };
    assert_eq!((settings.alias.as_str(), settings.deletion_window_days), ("alias/domicile/sg", 14));
    let elsewhere = AWS.replace("ap-southeast-1\"", "sg-private-1\"\nregion-country = \"SG\"");
    assert!(read(&format!("{GOOD}{elsewhere}")).is_ok());
    for (right, wrong, says) in [
        ("ap-southeast-1", "eu-central-1", "is in DE, but the key is of SG"),
        ("ap-southeast-1", "sg-private-1", "it is not known in which country region `sg-private-1` is"),
        ("ap-southeast-1\"", "sg-private-1\"\nregion-country = \"DE\"", "is in DE, but the key is of SG"),
        ("ap-southeast-1\"", "eu-central-1\"\nregion-country = \"SG\"", "is in DE, not in SG"),
        ("domicile/sg", "alias/aws/s3", "must be the name of an alias of your own"),
        ("domicile/sg", "arn:aws:kms:ap-southeast-1:1:key/x", "must be the name of an alias of your own"),
        ("= 14", "= 6", "must be 7 to 30"),
        ("= 14", "= 31", "must be 7 to 30"),
        ("= 14", "= 14\nendpoint = \"http://kms.example\"", "keys would travel in the clear"),
        ("secret-file = \"feed.secret\"", "", "give either `credentials-env`"),
    ] {
        let mistakes = read(&format!("{GOOD}{}", AWS.replace(right, wrong))).unwrap_err();
        assert!(mistakes.iter().any(|mistake| mistake.message.contains(says)), "{wrong}: {mistakes:#?}");
    }
    let mistakes = read(&format!("{GOOD}{AWS}{}", AWS.replace("\"sg2\"", "\"sg3\""))).unwrap_err();
    assert!(mistakes.iter().any(|mistake| mistake.message.contains("`sg3` and `sg2` are one key")), "{mistakes:#?}");
}

#[cfg(feature = "pkcs11")]
#[test]
fn a_key_in_a_security_module_is_read_as_it_says() {
    const HSM: &str = "[[key]]\nid = \"pk2\"\ncountry = \"PK\"\nprovider = \"pkcs11\"\nmodule = \"/usr/lib/hsm.so\"\n\
                       token-label = \"domicile\"\nlabel = \"pk\"\npin-file = \"feed.secret\"\n";
    let config = read(&format!("{GOOD}{HSM}")).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let Provider::Pkcs11(settings) = &config.keys[2].provider else { panic!("{:?}", config.keys[2]) };
    assert_eq!((settings.label.as_str(), settings.sessions), ("pk", 8));
    for (right, wrong, says) in [
        ("token-label = \"domicile\"", "", "give either `token-label` or `slot`"),
        ("token-label = \"domicile\"", "token-label = \"domicile\"\nslot = 1", "give either `token-label` or `slot`"),
        ("pin-file = \"feed.secret\"", "", "give either `pin-file` or `pin-env`"),
        ("pin-file", "pin = \"1234\"\npin-file", "unknown key `pin`"),
        ("label = \"pk\"\n", "", "`label` is missing"),
        ("module = \"/usr/lib/hsm.so\"", "", "`module` is missing"),
    ] {
        let mistakes = read(&format!("{GOOD}{}", HSM.replace(right, wrong))).unwrap_err();
        assert!(mistakes.iter().any(|mistake| mistake.message.contains(says)), "{wrong}: {mistakes:#?}");
    }
    assert!(read(&format!("{GOOD}{}", HSM.replace("token-label = \"domicile\"", "slot = 7"))).is_ok());
}
