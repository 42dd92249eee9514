//! `CORSConfiguration`.

use super::fields::{all, check_children, malformed, texts};
use crate::bucket::{Cors, CorsMethod, CorsRule};
use crate::s3::errors::{Code, S3Error};
use crate::s3::xml::{self, Element, NAMESPACE, XmlWriter};

const ROOT: &str = "CORSConfiguration";

/// Reads what PutBucketCors is sent.
pub(crate) fn parse(document: &[u8]) -> Result<Cors, S3Error> {
    let root = xml::parse(document, ROOT)?;
    check_children(&root, &[], &["CORSRule"])?;
    let rules = all(&root, "CORSRule").map(rule).collect::<Result<Vec<_>, _>>()?;
    Ok(Cors::new(rules)?)
}

fn rule(rule: &Element) -> Result<CorsRule, S3Error> {
    check_children(rule, &["ID", "MaxAgeSeconds"], &["AllowedOrigin", "AllowedMethod", "AllowedHeader", "ExposeHeader"])?;
    let max_age = rule.child_text("MaxAgeSeconds").map(|text| text.trim().parse::<u32>());
    Ok(CorsRule {
        id: rule.child_text("ID").map(str::to_owned),
        origins: texts(rule, "AllowedOrigin"),
        methods: all(rule, "AllowedMethod").map(method).collect::<Result<_, _>>()?,
        headers: texts(rule, "AllowedHeader"),
        expose: texts(rule, "ExposeHeader"),
        max_age: max_age.transpose().map_err(|_| malformed("`MaxAgeSeconds` must be a whole number."))?,
    })
}

fn method(method: &Element) -> Result<CorsMethod, S3Error> {
    CorsMethod::parse(&method.text).ok_or_else(|| {
        let why = format!("Found unsupported HTTP method in CORS config. Unsupported method is {}", method.text);
        S3Error::with(Code::InvalidRequest, why)
    })
}

/// What GetBucketCors answers.
pub(crate) fn write(cors: &Cors) -> XmlWriter {
    let mut xml = XmlWriter::document(ROOT, Some(NAMESPACE));
    for rule in cors.rules() {
        xml.element("CORSRule", |xml| write_rule(xml, rule));
    }
    xml
}

fn write_rule(xml: &mut XmlWriter, rule: &CorsRule) {
    xml.optional("ID", rule.id.as_deref());
    for origin in &rule.origins {
        xml.text("AllowedOrigin", origin);
    }
    for method in &rule.methods {
        xml.plain("AllowedMethod", method.as_str());
    }
    for header in &rule.headers {
        xml.text("AllowedHeader", header);
    }
    for header in &rule.expose {
        xml.text("ExposeHeader", header);
    }
    if let Some(seconds) = rule.max_age {
        xml.plain("MaxAgeSeconds", seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inside: &str) -> Result<Cors, Code> {
        let document = format!("<CORSConfiguration xmlns=\"{NAMESPACE}\">{inside}</CORSConfiguration>");
        parse(document.as_bytes()).map_err(|error| error.code())
    }

    const FULL: &str = "<CORSRule><ID>one</ID><AllowedHeader>x-amz-*</AllowedHeader><AllowedHeader>content-type</AllowedHeader>\
         <AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedOrigin>*.get</AllowedOrigin>\
         <AllowedOrigin>https://b.example</AllowedOrigin><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>3000</MaxAgeSeconds></CORSRule>";

    #[test]
    fn reads_and_writes_what_clients_send() {
        let cors = read(FULL).unwrap();
        let rule = &cors.rules()[0];
        assert_eq!(rule.id.as_deref(), Some("one"));
        assert_eq!(rule.origins, ["*.get", "https://b.example"]);
        assert_eq!(rule.methods, [CorsMethod::Get, CorsMethod::Put]);
        assert_eq!(rule.headers, ["x-amz-*", "content-type"]);
        assert_eq!(rule.expose, ["ETag"]);
        assert_eq!(rule.max_age, Some(3000));
        assert_eq!(parse(&write(&cors).finish()).unwrap(), cors);
    }

    #[test]
    fn refuses_what_s3_refuses() {
        let origin = "<AllowedOrigin>*</AllowedOrigin>";
        let get = "<AllowedMethod>GET</AllowedMethod>";
        for (inside, code) in [
            (String::new(), Code::MalformedXml),
            ("<CORSRule/>".to_owned(), Code::MalformedXml),
            (format!("<CORSRule>{origin}</CORSRule>"), Code::MalformedXml),
            (format!("<CORSRule>{get}</CORSRule>"), Code::MalformedXml),
            (format!("<CORSRule>{origin}<AllowedMethod>PATCH</AllowedMethod></CORSRule>"), Code::InvalidRequest),
            (format!("<CORSRule>{origin}{get}<ExposeHeader>*</ExposeHeader></CORSRule>"), Code::InvalidRequest),
            (format!("<CORSRule>{origin}{get}<MaxAgeSeconds>-1</MaxAgeSeconds></CORSRule>"), Code::MalformedXml),
            (format!("<CORSRule>{origin}{get}<Other/></CORSRule>"), Code::MalformedXml),
            (format!("<CORSRule>{get}<AllowedOrigin>*.*</AllowedOrigin></CORSRule>"), Code::InvalidRequest),
        ] {
            assert_eq!(read(&inside), Err(code), "{inside}");
        }
    }
}
