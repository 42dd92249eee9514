//! `LifecycleConfiguration`.

use super::fields::{all, check_children, date, malformed, number, truth};
use super::tagging::{tag, write_tag};
use crate::bucket::{Expiration, Filter, Lifecycle, NoncurrentExpiration, Rule, Scope, SettingError};
use crate::s3::errors::S3Error;
use crate::s3::xml::{self, Element, NAMESPACE, XmlWriter};

const ROOT: &str = "LifecycleConfiguration";
const TRANSITIONS: [&str; 2] = ["Transition", "NoncurrentVersionTransition"];
const MIDNIGHT_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Reads what PutBucketLifecycleConfiguration is sent. Transitions are not implemented: data stays at its country's site.
pub(crate) fn parse(document: &[u8]) -> Result<Lifecycle, S3Error> {
    let root = xml::parse(document, ROOT)?;
    check_children(&root, &[], &["Rule"])?;
    let rules = all(&root, "Rule").map(rule).collect::<Result<Vec<_>, _>>()?;
    if all(&root, "Rule").any(|rule| TRANSITIONS.iter().any(|name| rule.child(name).is_some())) {
        let why =
            "Transitions are not implemented by this gateway: there is one storage class, and data stays at its country's site.";
        return Err(SettingError::NotImplemented(why.into()).into());
    }
    Ok(Lifecycle::new(rules)?)
}

fn rule(rule: &Element) -> Result<Rule, S3Error> {
    let actions = ["Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"];
    check_children(rule, &[&["ID", "Status", "Prefix", "Filter"], &actions[..]].concat(), &TRANSITIONS)?;
    all(rule, "Transition").try_for_each(check_transition)?;
    Ok(Rule {
        id: rule.child_text("ID").unwrap_or_default().to_owned(),
        enabled: enabled(rule)?,
        scope: scope(rule)?,
        expiration: rule.child("Expiration").map(expiration).transpose()?,
        noncurrent: rule.child("NoncurrentVersionExpiration").map(noncurrent).transpose()?,
        abort_uploads_after: rule.child("AbortIncompleteMultipartUpload").map(abort).transpose()?,
    })
}

fn enabled(rule: &Element) -> Result<bool, S3Error> {
    match rule.required("Status")? {
        "Enabled" => Ok(true),
        "Disabled" => Ok(false),
        _ => Err(malformed("`Status` must be `Enabled` or `Disabled`.")),
    }
}

/// A wrong date is said before what is not implemented.
fn check_transition(transition: &Element) -> Result<(), S3Error> {
    match date(transition, "Date")? {
        Some(date) if date.millis().rem_euclid(MIDNIGHT_MILLIS) != 0 => {
            Err(SettingError::InvalidArgument("'Date' must be at midnight GMT.".into()).into())
        }
        _ => Ok(()),
    }
}

fn scope(rule: &Element) -> Result<Scope, S3Error> {
    match (rule.child("Prefix"), rule.child("Filter")) {
        (Some(prefix), None) => Ok(Scope::Prefix(prefix.text.clone())),
        (None, Some(element)) => filter(element).map(Scope::Filter),
        _ => Err(malformed("A `Rule` needs either a `Filter` or a `Prefix`.")),
    }
}

fn filter(filter: &Element) -> Result<Filter, S3Error> {
    check_children(filter, &["And", "Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan"], &[])?;
    match filter.child("And") {
        None => conditions(filter),
        Some(_) if filter.children.len() > 1 => Err(malformed("A `Filter` with an `And` has nothing else.")),
        Some(and) => {
            check_children(and, &["Prefix", "ObjectSizeGreaterThan", "ObjectSizeLessThan"], &["Tag"])?;
            Ok(Filter { and: true, ..conditions(and)? })
        }
    }
}

/// The conditions that stand in `element`.
fn conditions(element: &Element) -> Result<Filter, S3Error> {
    Ok(Filter {
        prefix: element.child_text("Prefix").map(str::to_owned),
        tags: all(element, "Tag").map(tag).collect::<Result<_, _>>()?,
        larger_than: size(element, "ObjectSizeGreaterThan")?,
        smaller_than: size(element, "ObjectSizeLessThan")?,
        and: false,
    })
}

fn size(element: &Element, name: &str) -> Result<Option<u64>, S3Error> {
    let size = element.child_text(name).map(|text| text.trim().parse());
    size.transpose().map_err(|_| malformed(format!("`{name}` must be a number of bytes.")))
}

fn expiration(expiration: &Element) -> Result<Expiration, S3Error> {
    let names = ["Days", "Date", "ExpiredObjectDeleteMarker"];
    check_children(expiration, &names, &[])?;
    match (number(expiration, names[0])?, date(expiration, names[1])?, truth(expiration, names[2])?) {
        (Some(days), None, None) => Ok(Expiration::Days(days)),
        (None, Some(date), None) => Ok(Expiration::Date(date)),
        (None, None, Some(wanted)) => Ok(Expiration::LoneMarkers(wanted)),
        _ => Err(malformed("`Expiration` needs one of `Days`, `Date` and `ExpiredObjectDeleteMarker`.")),
    }
}

fn noncurrent(expiration: &Element) -> Result<NoncurrentExpiration, S3Error> {
    check_children(expiration, &["NoncurrentDays", "NewerNoncurrentVersions"], &[])?;
    Ok(NoncurrentExpiration {
        days: required_number(expiration, "NoncurrentDays")?,
        keep: number(expiration, "NewerNoncurrentVersions")?,
    })
}

fn abort(abort: &Element) -> Result<u32, S3Error> {
    check_children(abort, &["DaysAfterInitiation"], &[])?;
    required_number(abort, "DaysAfterInitiation")
}

fn required_number(element: &Element, name: &str) -> Result<u32, S3Error> {
    number(element, name)?.ok_or_else(|| malformed(format!("`{}` needs `{name}`.", element.name)))
}

/// What GetBucketLifecycleConfiguration answers.
pub(crate) fn write(lifecycle: &Lifecycle) -> XmlWriter {
    let mut xml = XmlWriter::document(ROOT, Some(NAMESPACE));
    for rule in lifecycle.rules() {
        xml.element("Rule", |xml| write_rule(xml, rule));
    }
    xml
}

fn write_rule(xml: &mut XmlWriter, rule: &Rule) {
    xml.text("ID", &rule.id);
    match &rule.scope {
        Scope::Prefix(prefix) => xml.text("Prefix", prefix),
        Scope::Filter(filter) => xml.element("Filter", |xml| write_filter(xml, filter)),
    }
    xml.plain("Status", if rule.enabled { "Enabled" } else { "Disabled" });
    if let Some(expiration) = rule.expiration {
        xml.element("Expiration", |xml| match expiration {
            Expiration::Days(days) => xml.plain("Days", days),
            Expiration::Date(date) => xml.plain("Date", date),
            Expiration::LoneMarkers(wanted) => xml.plain("ExpiredObjectDeleteMarker", wanted),
        });
    }
    if let Some(noncurrent) = rule.noncurrent {
        xml.element("NoncurrentVersionExpiration", |xml| {
            xml.plain("NoncurrentDays", noncurrent.days);
            if let Some(keep) = noncurrent.keep {
                xml.plain("NewerNoncurrentVersions", keep);
            }
        });
    }
    if let Some(days) = rule.abort_uploads_after {
        xml.element("AbortIncompleteMultipartUpload", |xml| xml.plain("DaysAfterInitiation", days));
    }
}

fn write_filter(xml: &mut XmlWriter, filter: &Filter) {
    if filter.and {
        xml.element("And", |xml| write_conditions(xml, filter));
    } else {
        write_conditions(xml, filter);
    }
}

fn write_conditions(xml: &mut XmlWriter, filter: &Filter) {
    xml.optional("Prefix", filter.prefix.as_deref());
    filter.tags.iter().for_each(|tag| write_tag(xml, tag));
    if let Some(size) = filter.larger_than {
        xml.plain("ObjectSizeGreaterThan", size);
    }
    if let Some(size) = filter.smaller_than {
        xml.plain("ObjectSizeLessThan", size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::errors::Code;
    use crate::types::Timestamp;

    fn read(rules: &str) -> Result<Lifecycle, Code> {
        let document = format!("<LifecycleConfiguration xmlns=\"{NAMESPACE}\">{rules}</LifecycleConfiguration>");
        parse(document.as_bytes()).map_err(|error| error.code())
    }

    /// A rule that expires after a day, with more inside.
    fn with(inside: &str) -> String {
        format!("<Rule><ID>r</ID><Status>Enabled</Status><Expiration><Days>1</Days></Expiration>{inside}</Rule>")
    }

    /// A rule for everything, with actions inside.
    fn doing(actions: &str) -> String {
        format!("<Rule><ID>r</ID><Filter/><Status>Enabled</Status>{actions}</Rule>")
    }

    #[test]
    fn reads_and_writes_what_clients_send() {
        let sent = "<Rule><ID>rule1</ID><Prefix>test1/</Prefix><Status>Enabled</Status><Expiration><Days>31</Days></Expiration></Rule>\n\
             <Rule><Prefix/><Status>Disabled</Status><Expiration><Date>2017-09-27T00:00:00Z</Date></Expiration></Rule>\
             <Rule><Prefix>up/</Prefix><Status>Enabled</Status>\
             <AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>";
        let lifecycle = read(sent).unwrap();
        let [first, second, third] = lifecycle.rules() else { panic!("three rules") };
        assert_eq!((first.id.as_str(), first.enabled, first.expiration), ("rule1", true, Some(Expiration::Days(31))));
        assert_eq!(first.scope, Scope::Prefix("test1/".to_owned()));
        let date = Timestamp::from_seconds(1_506_470_400);
        assert_eq!((second.id.as_str(), second.enabled, second.expiration), ("rule-1", false, Some(Expiration::Date(date))));
        assert_eq!((third.expiration, third.abort_uploads_after), (None, Some(2)));
        assert_eq!(parse(&write(&lifecycle).finish()).unwrap(), lifecycle);
    }

    #[test]
    fn reads_and_writes_filters() {
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        for (inside, expected) in [
            ("<Filter/>", Filter::default()),
            ("<Filter>\n</Filter>", Filter::default()),
            ("<Filter><Prefix/></Filter>", Filter { prefix: Some(String::new()), ..Filter::default() }),
            (
                "<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>",
                Filter { tags: vec![tag("a", "b")], ..Filter::default() },
            ),
            (
                "<Filter><ObjectSizeGreaterThan>2000</ObjectSizeGreaterThan></Filter>",
                Filter { larger_than: Some(2000), ..Filter::default() },
            ),
            (
                "<Filter><And><Prefix>p</Prefix><Tag><Key>a</Key><Value/></Tag><Tag><Key>c</Key><Value>d</Value></Tag>\
                 <ObjectSizeGreaterThan>1</ObjectSizeGreaterThan><ObjectSizeLessThan>9999999999</ObjectSizeLessThan></And></Filter>",
                Filter {
                    prefix: Some("p".to_owned()),
                    tags: vec![tag("a", ""), tag("c", "d")],
                    larger_than: Some(1),
                    smaller_than: Some(9_999_999_999),
                    and: true,
                },
            ),
        ] {
            let lifecycle = read(&with(inside)).unwrap();
            assert_eq!(lifecycle.rules()[0].scope, Scope::Filter(expected), "{inside}");
            assert_eq!(parse(&write(&lifecycle).finish()).unwrap(), lifecycle);
        }
    }

    #[test]
    fn reads_and_writes_what_rules_do() {
        for actions in [
            "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
            "<Expiration><Days>5</Days></Expiration>\
             <NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>",
            "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>5</NewerNoncurrentVersions>\
             </NoncurrentVersionExpiration>",
        ] {
            let lifecycle = read(&doing(actions)).unwrap();
            let written = write(&lifecycle).finish();
            assert!(std::str::from_utf8(&written).unwrap().contains(actions), "{actions}");
            assert_eq!(parse(&written).unwrap(), lifecycle);
        }
    }

    #[test]
    fn refuses_what_s3_refuses() {
        let long = "a".repeat(256);
        for (rules, code) in [
            (String::new(), Code::MalformedXml),
            (doing(""), Code::InvalidRequest),
            (doing("<Expiration/>"), Code::MalformedXml),
            (doing("<Expiration><Days>0</Days></Expiration>"), Code::InvalidArgument),
            (doing("<Expiration><Days>-1</Days></Expiration>"), Code::InvalidArgument),
            (doing("<Expiration><Days>1</Days><Date>2030-01-01T00:00:00Z</Date></Expiration>"), Code::MalformedXml),
            (doing("<Expiration><Date>20200101</Date></Expiration>"), Code::MalformedXml),
            (doing("<Expiration><Date>1970-08-22T19:08:21Z</Date></Expiration>"), Code::InvalidArgument),
            (doing("<NoncurrentVersionExpiration/>"), Code::MalformedXml),
            (doing("<AbortIncompleteMultipartUpload/>"), Code::MalformedXml),
            (doing("<Other/>"), Code::MalformedXml),
            (with(""), Code::MalformedXml),
            (with("<Prefix/><Filter/>"), Code::MalformedXml),
            (with("<Filter><Prefix/><ObjectSizeLessThan>9</ObjectSizeLessThan></Filter>"), Code::MalformedXml),
            (with("<Filter><And/></Filter>"), Code::MalformedXml),
            (with("<Filter><And><Prefix/></And><Prefix/></Filter>"), Code::MalformedXml),
            (with("<Filter><ObjectSizeLessThan>-9</ObjectSizeLessThan></Filter>"), Code::MalformedXml),
            (with("<Filter/>").repeat(2), Code::InvalidArgument),
            (with("<Filter/>").replace("<ID>r", &format!("<ID>{long}")), Code::InvalidArgument),
            (with("<Filter/>").replace("Enabled", "enabled"), Code::MalformedXml),
        ] {
            assert_eq!(read(&rules), Err(code), "{rules}");
        }
    }

    #[test]
    fn transitions_are_refused_after_their_dates() {
        let transition =
            |date: &str| doing(&format!("<Transition><Date>{date}</Date><StorageClass>GLACIER</StorageClass></Transition>"));
        assert_eq!(read(&transition("2030-01-01T00:00:00Z")), Err(Code::NotImplemented));
        assert_eq!(read(&transition("1970-08-23T00:48:47Z")), Err(Code::InvalidArgument));
        assert_eq!(read(&transition("soon")), Err(Code::MalformedXml));
        let noncurrent = "<NoncurrentVersionTransition><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionTransition>";
        assert_eq!(read(&doing(noncurrent)), Err(Code::NotImplemented));
    }
}
