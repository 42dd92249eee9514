//! What the demo shows, step by step. Every step checks what it says; the first that does not hold ends the demo with exit code 1.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;

use super::Demo;
use super::s3::{Answer, Write};
use super::sites::SiteFolder;
use crate::cli::args::{LedgerExportArgs, LedgerVerifyArgs};
use crate::cli::output::text;
use crate::cli::{Failure, Output, Table, ledger};

const BUCKET: &str = "media-profiles";
const STATIC: &str = "static-assets";
const AYESHA: &str = "Ayesha Khan, House 12, Street 4, F-7/2 Islamabad";
const WEI: &str = "Tan Wei Ming, Block 45 Bedok North Road, Singapore";

impl Demo {
    pub(super) fn tell(&mut self, out: &mut Output<'_>) -> Result<(), Failure> {
        let began = Instant::now();
        let (pk, sg) = (self.site("pk-khi"), self.site("sg-sin"));
        self.write_records(out)?;
        self.look_at_the_disks(&pk, &sg, out)?;
        self.be_refused(out)?;
        self.lose_a_site(&pk, &sg, out)?;
        self.ask_as_auditor(out)?;
        self.verify_the_ledger(out)?;
        out.line("")?;
        out.line(format!("All of it held. It took {:.1} s.", began.elapsed().as_secs_f64()))?;
        out.value(&json!({ "held": true, "seconds": began.elapsed().as_secs_f64() }))
    }

    fn site(&self, id: &str) -> SiteFolder {
        SiteFolder::new(&self.folder.join("data"), id)
    }

    fn write_records(&self, out: &mut Output<'_>) -> Result<(), Failure> {
        heading(out, "1. Five records, written with aws-sdk-s3 through the S3 endpoint")?;
        self.subject("bilal", "PK")?;
        for bucket in [BUCKET, STATIC] {
            self.runtime.block_on(self.s3.create_bucket(bucket)).map_err(|refusal| unexpected("CreateBucket", &refusal))?;
        }
        let film = || AYESHA.bytes().cycle().take(20 << 20).collect();
        let writes = [
            ("Ayesha, by request metadata", "PK", "pk-cpoh-2020", put("users/ayesha/profile.json", Some("PK"), AYESHA)),
            ("her film, 20 MiB", "PK", "pk-cpoh-2020", Write { body: film(), ..put("users/ayesha/film.mp4", Some("PK"), "") }),
            (
                "Bilal, by the subject directory",
                "PK",
                "pk-cpoh-2020",
                put("users/bilal/profile.json", None, "Bilal Ahmed, Karachi"),
            ),
            ("Wei Ming", "SG", "sg-users-contract", put("users/wei-ming/profile.json", Some("SG"), WEI)),
            ("a style sheet, nobody's data", "SG", "", Write { bucket: STATIC, ..put("site.css", None, "body{margin:0}") }),
        ];
        let mut table = Table::new(["WHOSE", "KEY", "LIVES IN", "BECAUSE OF"]);
        for (whose, country, instrument, write) in writes {
            let key = write.key;
            let (lives, because) =
                self.runtime.block_on(self.s3.put(write)).map_err(|refusal| unexpected("PutObject", &refusal))?;
            check(lives == country && because == instrument, format!("`{key}` lives in `{lives}` because of `{because}`"))?;
            let because = if because.is_empty() { "no-subject rule".to_owned() } else { because };
            table.row([whose.to_owned(), key.to_owned(), lives, because]);
        }
        out.table(&table)?;
        let read = self.runtime.block_on(self.s3.get(BUCKET, "users/ayesha/profile.json"));
        check(read.is_ok_and(|body| body == AYESHA.as_bytes()), "the record does not read back")
    }

    fn look_at_the_disks(&self, pk: &SiteFolder, sg: &SiteFolder, out: &mut Output<'_>) -> Result<(), Failure> {
        heading(out, "2. What the disks hold")?;
        let mut table = Table::new(["SITE", "FILES", "BYTES", "NAMES, KEYS, TEXTS FOUND"]);
        for (id, site) in [("pk-khi", pk), ("sg-sin", sg)] {
            let (found, bytes) =
                site.search(&["Ayesha", "ayesha", "Bilal", "bilal", "Tan Wei", "wei-ming", "margin", "profile.json"])?;
            check(found == 0, format!("`{id}` holds plaintext"))?;
            table.row([id.to_owned(), site.blobs()?.len().to_string(), bytes.to_string(), found.to_string()]);
        }
        out.table(&table)?;
        out.line("Only ciphertext under opaque names; each country's under keys that its own country key wraps.")
    }

    fn be_refused(&self, out: &mut Output<'_>) -> Result<(), Failure> {
        heading(out, "3. Whose data is it? Refused when nobody says, or two say different things")?;
        let unknown = self.runtime.block_on(self.s3.put(put("users/zainab/profile.json", None, "Zainab")));
        show_refusal(out, "residence unknown", &unknown, 403, "ResidencyUnknown")?;
        let conflict = self.runtime.block_on(self.s3.put(put("users/bilal/cv.pdf", Some("SG"), "Bilal")));
        show_refusal(out, "directory says PK, request says SG", &conflict, 403, "ResidencyConflict")
    }

    fn lose_a_site(&self, pk: &SiteFolder, sg: &SiteFolder, out: &mut Output<'_>) -> Result<(), Failure> {
        heading(out, "4. The Pakistani site goes away")?;
        pk.detach()?;
        let before = sg.blobs()?.len();
        let refused = self.runtime.block_on(self.s3.put(put("users/ayesha/note.txt", Some("PK"), "hello")));
        show_refusal(out, "a write for Ayesha", &refused, 503, "ResidencyUnavailable")?;
        check(sg.blobs()?.len() == before, "something spilled to Singapore")?;
        out.line(format!("  blobs in Singapore: {before} before, {before} after: nothing spills"))?;
        let others = self.runtime.block_on(self.s3.put(put("users/wei-ming/note.txt", Some("SG"), "hi")));
        check(others.is_ok(), "a write for Singapore failed")?;
        out.line("  a write for Wei Ming: stored in SG as before")?;
        pk.attach()?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.runtime.block_on(self.s3.put(put("users/ayesha/note.txt", Some("PK"), "hello"))).is_err() {
            check(Instant::now() < deadline, "the site did not come back into service")?;
            std::thread::sleep(Duration::from_millis(200));
        }
        out.line("  the site is back: a write for Ayesha is stored in PK, without a restart")
    }

    fn ask_as_auditor(&self, out: &mut Output<'_>) -> Result<(), Failure> {
        heading(out, "5. The audit API: where does Ayesha's data live, since when, why?")?;
        let page = self.admin.get("/v1/records?subject=ayesha")?;
        let records = page["records"].as_array().cloned().unwrap_or_default();
        check(records.len() == 3, "the audit API does not find three records")?;
        let mut table = Table::new(["KEY", "BYTES", "LIVES IN", "SITE", "SINCE", "BECAUSE OF"]);
        for record in &records {
            let copy = &record["copies"][0];
            check(text(&record["countries"]) == "PK", "a record of Ayesha's lives outside Pakistan")?;
            table.row([
                text(&record["key"]),
                text(&record["size"]),
                text(&record["countries"]),
                text(&copy["site"]),
                text(&copy["stored"]),
                text(&record["instruments"]),
            ]);
        }
        out.table(&table)
    }

    fn verify_the_ledger(&self, out: &mut Output<'_>) -> Result<(), Failure> {
        heading(out, "6. The ledger, exported and verified offline")?;
        let file = self.folder.join("ledger.ndjson");
        let wanted = LedgerExportArgs { from: 0, output: Some(file.clone()), tiles: None, remote: self.remote.clone() };
        ledger::export(&wanted, out)?;
        ledger::verify(&LedgerVerifyArgs { file: Some(file), ..LedgerVerifyArgs::default() }, out)
    }

    fn subject(&self, id: &str, residence: &str) -> Result<(), Failure> {
        let body = json!({ "attributes": { "residence": residence } });
        self.admin.json(Method::PUT, &format!("/v1/subjects/{id}"), Some(&body)).map(|_| ())
    }
}

fn put<'a>(key: &'a str, residence: Option<&'a str>, body: &str) -> Write<'a> {
    Write { bucket: BUCKET, key, residence, body: body.as_bytes().to_vec() }
}

fn heading(out: &mut Output<'_>, text: &str) -> Result<(), Failure> {
    out.line("")?;
    out.line(text)?;
    out.flush()
}

fn show_refusal(out: &mut Output<'_>, what: &str, answer: &Answer, status: u16, code: &str) -> Result<(), Failure> {
    match answer {
        Err((got, name)) if *got == status && name == code => out.line(format!("  {what}: {got} {name}")),
        Err(other) => Err(unexpected(what, other)),
        Ok(_) => Err(Failure::Check(format!("{what}: the write was taken"))),
    }
}

fn unexpected(what: &str, (status, code): &(u16, String)) -> Failure {
    Failure::Check(format!("{what}: the gateway answered {status} {code}"))
}

fn check(holds: bool, otherwise: impl Into<String>) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Check(otherwise.into())) }
}
