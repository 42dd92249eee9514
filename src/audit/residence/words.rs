//! What a proof proves and what it does not, in sentences.

use super::{CopyState, CopyStatement, Outcome, Statement, Verified};

/// What no proof of this kind can prove. Written into each, so that nobody has to know this program to know it.
pub const LIMITS: [&str; 6] = [
    "Where the disks of a storage provider stand is the provider's own statement. A site's country is what this gateway's configuration says; \
     the region is what the provider's service answers.",
    "That no copy was made outside of the gateway, by the provider, by whoever may read a site, or of what a client was sent, is not proven.",
    "A site that answers falsely when it is looked at is not found out by a look: heads and lengths were read, not every byte.",
    "That key, bucket and subject are those behind the ledger's pseudonyms, and the attributes that decided, are the gateway's word: without its \
     keyring nobody can compute a pseudonym.",
    "Entries after the ones shown may have moved or removed the record since. Who holds the ledger's entries can look for them by the record's id.",
    "The time of an entry and of this statement is the gateway's clock.",
];

impl Verified {
    /// What is proven, a sentence each.
    pub fn proven(&self) -> Vec<String> {
        let Statement { record, decision, copies, .. } = &self.statement;
        let mut said = vec![format!(
            "The holder of the key of `{}` stated on {} where version {} of `{}/{}` lives; nothing of the statement was changed since.",
            self.statement.origin,
            self.statement.made,
            record.version,
            record.bucket,
            record.key.as_str()
        )];
        let instruments: Vec<String> = decision.instruments.iter().map(|instrument| format!("`{}`", instrument.id)).collect();
        let because = match instruments.as_slice() {
            [] => "no instrument binds it".to_owned(),
            instruments => format!("bound by {}", instruments.join(", ")),
        };
        if let Some(entry) = decision.entry {
            said.push(format!(
                "Entry {entry} of the ledger committed record {} ({} bytes) under policy set {}, {because}.",
                record.record, record.size, decision.revision
            ));
        }
        for copy in copies {
            if let (CopyState::Stored, Some(entry)) = (copy.state, copy.entry) {
                said.push(format!(
                    "Entry {entry} of the ledger says that a copy is at site `{}` in {}.",
                    copy.site, copy.country
                ));
            }
        }
        said.push(format!("All of them are in the ledger of {} entries whose root the key signed.", self.checkpoint.size));
        if let Some(held) = self.held {
            let how = match held.cmp(&self.checkpoint.size) {
                std::cmp::Ordering::Less => "goes on to the proof's",
                std::cmp::Ordering::Equal => "is the proof's",
                std::cmp::Ordering::Greater => "continues the proof's",
            };
            said.push(format!("The checkpoint that you hold, of {held} entries, {how}: it is one ledger."));
        }
        said
    }

    /// What the gateway states and the ledger does not show.
    pub fn stated(&self) -> Vec<String> {
        let instruments = self.statement.decision.instruments.iter().filter_map(instrument);
        instruments.chain(self.statement.copies.iter().flat_map(stated)).collect()
    }

    /// What is not proven, a sentence each.
    pub fn not_proven(&self) -> Vec<String> {
        let mut said = self.statement.limits.clone();
        if self.held.is_none() {
            let what = "That the ledger was not forked or written anew is not proven: no checkpoint was given that you hold from elsewhere.";
            said.push(what.to_owned());
        }
        said
    }
}

fn instrument(instrument: &super::InstrumentStatement) -> Option<String> {
    let status = instrument.legal_status.as_ref()?;
    Some(format!("`{}` has, as it is configured, the legal status `{status}`.", instrument.id))
}

fn stated(copy: &CopyStatement) -> Vec<String> {
    let place = format!("`{}` in {}", copy.site, copy.country);
    if copy.state == CopyState::Awaited {
        return vec![format!("The copy at {place} is still to be written.")];
    }
    let of = copy.key_country.map_or(String::new(), |country| format!(" of {country}"));
    let since = copy.since.as_deref().unwrap_or("an unknown time");
    let mut said = vec![format!("The copy at {place} is sealed under key `{}`{of}, and there since {since}.", copy.key)];
    if let Some(check) = &copy.check {
        let blobs = copy.blobs.as_ref().map_or(0, |blobs| blobs.count);
        let detail = check.detail.as_deref().map_or(String::new(), |detail| format!(": {detail}"));
        said.push(match check.outcome {
            Outcome::Sound => format!(
                "When {place} was looked at on {}, it carried this installation's marker, and {} of {blobs} blobs were there as they were stored.",
                check.at, check.looked_at
            ),
            Outcome::Faulty => format!("When {place} was looked at on {}, SOMETHING WAS WRONG{detail}.", check.at),
            Outcome::NotReached => {
                format!("When {place} was to be looked at on {}, it COULD NOT BE REACHED{detail}. Nothing is said of what lies there.", check.at)
            }
        });
    }
    said
}
