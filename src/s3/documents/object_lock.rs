//! `ObjectLockConfiguration`.

use super::fields::{check_children, malformed, number};
use crate::bucket::{DefaultRetention, LockMode, ObjectLock, Period};
use crate::s3::errors::S3Error;
use crate::s3::xml::{self, Element, NAMESPACE, XmlWriter};

const ROOT: &str = "ObjectLockConfiguration";

/// Reads what PutObjectLockConfiguration is sent.
pub(crate) fn parse(document: &[u8]) -> Result<ObjectLock, S3Error> {
    let root = xml::parse(document, ROOT)?;
    check_children(&root, &["ObjectLockEnabled", "Rule"], &[])?;
    if root.required("ObjectLockEnabled")? != "Enabled" {
        return Err(malformed("`ObjectLockEnabled` must be `Enabled`."));
    }
    let default = root.child("Rule").map(rule).transpose()?;
    Ok(ObjectLock { default })
}

fn rule(rule: &Element) -> Result<DefaultRetention, S3Error> {
    check_children(rule, &["DefaultRetention"], &[])?;
    let retention = rule.child("DefaultRetention").ok_or_else(|| malformed("A `Rule` needs a `DefaultRetention`."))?;
    check_children(retention, &["Mode", "Days", "Years"], &[])?;
    let period = match (number(retention, "Days")?, number(retention, "Years")?) {
        (Some(days), None) => Period::Days(days),
        (None, Some(years)) => Period::Years(years),
        _ => return Err(malformed("`DefaultRetention` needs either `Days` or `Years`.")),
    };
    let mode = mode(retention)?;
    period.check()?;
    Ok(DefaultRetention { mode, period })
}

/// The `Mode` of retention, of an object's as of a bucket's.
pub(super) fn mode(retention: &Element) -> Result<LockMode, S3Error> {
    let mode = LockMode::parse(retention.required("Mode")?);
    mode.ok_or_else(|| malformed("`Mode` must be `GOVERNANCE` or `COMPLIANCE`."))
}

/// What GetObjectLockConfiguration answers.
pub(crate) fn write(lock: &ObjectLock) -> XmlWriter {
    let mut xml = XmlWriter::document(ROOT, Some(NAMESPACE));
    xml.plain("ObjectLockEnabled", "Enabled");
    if let Some(default) = lock.default {
        xml.element("Rule", |xml| {
            xml.element("DefaultRetention", |xml| {
                xml.plain("Mode", default.mode.as_str());
                match default.period {
                    Period::Days(days) => xml.plain("Days", days),
                    Period::Years(years) => xml.plain("Years", years),
                }
            });
        });
    }
    xml
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::errors::Code;

    fn read(inside: &str) -> Result<ObjectLock, Code> {
        let document = format!("<ObjectLockConfiguration xmlns=\"{NAMESPACE}\">{inside}</ObjectLockConfiguration>");
        parse(document.as_bytes()).map_err(|error| error.code())
    }

    fn retention(inside: &str) -> Result<ObjectLock, Code> {
        read(&format!("<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>{inside}</DefaultRetention></Rule>"))
    }

    #[test]
    fn reads_and_writes_what_clients_send() {
        let lock = |mode, period| ObjectLock { default: Some(DefaultRetention { mode, period }) };
        for (read, expected) in [
            (read("<ObjectLockEnabled>Enabled</ObjectLockEnabled>"), ObjectLock::default()),
            (retention("<Mode>GOVERNANCE</Mode><Days>1</Days>"), lock(LockMode::Governance, Period::Days(1))),
            (retention("<Years>100</Years><Mode>COMPLIANCE</Mode>"), lock(LockMode::Compliance, Period::Years(100))),
        ] {
            assert_eq!(read, Ok(expected));
            assert_eq!(parse(&write(&expected).finish()).unwrap(), expected);
        }
    }

    #[test]
    fn refuses_what_s3_refuses() {
        for (inside, code) in [
            ("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>", Code::MalformedXml),
            ("<Mode>GOVERNANCE</Mode>", Code::MalformedXml),
            ("<Days>1</Days>", Code::MalformedXml),
            ("<Mode>abc</Mode><Years>1</Years>", Code::MalformedXml),
            ("<Mode>governance</Mode><Years>1</Years>", Code::MalformedXml),
            ("<Mode>GOVERNANCE</Mode><Days>one</Days>", Code::MalformedXml),
            ("<Mode>GOVERNANCE</Mode><Days>0</Days>", Code::InvalidRetentionPeriod),
            ("<Mode>GOVERNANCE</Mode><Years>-1</Years>", Code::InvalidRetentionPeriod),
            ("<Mode>GOVERNANCE</Mode><Years>101</Years>", Code::InvalidRetentionPeriod),
        ] {
            assert_eq!(retention(inside), Err(code), "{inside}");
        }
        for inside in [
            "",
            "<ObjectLockEnabled>Disabled</ObjectLockEnabled>",
            "<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule/>",
            "<ObjectLockEnabled>Enabled</ObjectLockEnabled><Other/>",
        ] {
            assert_eq!(read(inside), Err(Code::MalformedXml), "{inside}");
        }
    }
}
