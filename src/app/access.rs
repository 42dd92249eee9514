//! Who may come in: principals and holders of tokens, as the configuration says it now.

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;

use crate::authn::{Principals, Token, Tokens};
use crate::config::{Config, SystemEnvironment};
use crate::diagnostics::Diagnostic;

/// Principals and tokens in force. Requests under way go on as whom they came.
pub(super) struct Access {
    /// Shared with the authenticator.
    pub(super) principals: Arc<ArcSwap<Principals>>,
    /// Shared with the admin API.
    pub(super) tokens: Arc<Tokens>,
    file: Option<PathBuf>,
}

/// Principals and tokens as the configuration has them now, and not in force yet.
pub(super) struct Fresh {
    pub(super) principals: Principals,
    pub(super) tokens: Vec<Token>,
}

impl Access {
    /// Puts the configuration's principals and tokens in force.
    pub(super) fn new(file: Option<PathBuf>, principals: Principals, tokens: Vec<Token>) -> Self {
        Self { principals: Arc::new(ArcSwap::from_pointee(principals)), tokens: Arc::new(Tokens::new(tokens)), file }
    }

    /// Whether there is a configuration to read again.
    pub(super) const fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Reads the configuration and the files of its secrets again; nothing without a configuration. Blocks.
    ///
    /// # Errors
    /// Every mistake of the file. What is in force stays then.
    pub(super) fn read(&self) -> Result<Option<Fresh>, Vec<Diagnostic>> {
        let Some(file) = &self.file else { return Ok(None) };
        let config = Config::load(file, &SystemEnvironment)?;
        let principals = config
            .known_principals()
            .map_err(|error| vec![Diagnostic::of_file(file.display().to_string(), error.to_string(), None)])?;
        Ok(Some(Fresh { principals, tokens: config.tokens }))
    }

    /// Puts others in force, for every request from now on.
    pub(super) fn replace(&self, fresh: Fresh) {
        self.principals.store(Arc::new(fresh.principals));
        self.tokens.replace(fresh.tokens);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn credential(id: &str) -> String {
        format!("[[principal.credential]]\naccess-key-id = \"{id}\"\nsecret-file = \"secret\"\n")
    }

    fn write(folder: &Path, credentials: &str, token: &str) -> PathBuf {
        let file = folder.join("domicile.toml");
        let text = format!(
            "version = 1\n[[key]]\nid = \"pk\"\ncountry = \"PK\"\nprovider = \"keyring\"\n\
             [[site]]\nid = \"pk-khi\"\ncountry = \"PK\"\nkey = \"pk\"\nbackend = \"fs\"\npath = \"site\"\n\
             [[principal]]\nid = \"feed\"\nbuckets = [\"*\"]\nallow = [\"read\"]\n{credentials}\
             [[token]]\nid = \"ann\"\nrole = \"auditor\"\nhash-file = \"hash\"\n"
        );
        fs::write(&file, text).unwrap();
        fs::write(folder.join("secret"), "hush").unwrap();
        fs::write(folder.join("hash"), crate::authn::TokenHash::of(token).to_string()).unwrap();
        file
    }

    #[test]
    fn what_the_file_says_now_comes_in_force_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = write(folder.path(), &credential("OLD"), "first");
        let config = Config::load(&file, &SystemEnvironment).unwrap();
        let principals = config.known_principals().unwrap();
        let access = Access::new(config.file, principals, config.tokens);
        let ids =
            || access.principals.load().iter().flat_map(|one| one.access_keys.clone()).map(|key| key.id).collect::<Vec<_>>();

        write(folder.path(), &(credential("OLD") + &credential("NEW")), "second");
        access.replace(access.read().unwrap().unwrap());
        assert_eq!(ids(), ["OLD", "NEW"]);
        assert!(access.tokens.verify("first").is_none() && access.tokens.verify("second").is_some());

        write(folder.path(), &(credential("NEW") + &credential("NEW")), "third");
        let mistakes = access.read().err().unwrap();
        assert!(mistakes.iter().any(|mistake| mistake.message.contains("access key id")), "{mistakes:?}");
        assert!(!format!("{mistakes:?}").contains("hush"));
        assert_eq!(ids(), ["OLD", "NEW"]);
        assert!(access.tokens.verify("second").is_some());
    }

    #[test]
    fn without_a_file_there_is_nothing_to_read() {
        assert!(Access::new(None, Principals::default(), Vec::new()).read().unwrap().is_none());
    }
}
