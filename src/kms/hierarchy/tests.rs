use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use crate::{
    kms::{KeyVersion, WrappedKey},
    types::Pseudonym,
};

/// Wraps by keeping the key; fails with `trouble`, and counts what it is asked.
#[derive(Default)]
struct Vault {
    kept: Mutex<Vec<(WrapContext, SecretKey)>>,
    trouble: Mutex<Option<Trouble>>,
    unwraps: AtomicUsize,
}

#[derive(Clone, Copy)]
enum Trouble {
    Unreachable,
    Sealed,
    /// It goes on, without its first version.
    Trimmed,
}

impl Vault {
    fn check(&self) -> Result<(), KmsError> {
        let (key, reason) = (pk(), "said no".to_owned());
        match *self.trouble.lock() {
            None | Some(Trouble::Trimmed) => Ok(()),
            Some(Trouble::Unreachable) => Err(KmsError::Unavailable { key, reason }),
            Some(Trouble::Sealed) => Err(KmsError::Refused { key, reason }),
        }
    }
}

#[async_trait]
impl KeyProvider for Vault {
    fn kind(&self) -> &'static str {
        "test"
    }

    async fn wrap(&self, context: &WrapContext, key: &SecretKey) -> Result<WrappedKey, KmsError> {
        self.check()?;
        let mut kept = self.kept.lock();
        kept.push((context.clone(), key.clone()));
        Ok(WrappedKey::new((kept.len() - 1).to_string()))
    }

    async fn unwrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<SecretKey, KmsError> {
        self.check()?;
        self.unwraps.fetch_add(1, Ordering::SeqCst);
        if matches!(*self.trouble.lock(), Some(Trouble::Trimmed)) {
            return Err(KmsError::Destroyed { key: pk(), version: 1 });
        }
        let kept = self.kept.lock();
        let (bound, key) = wrapped.as_str().parse().ok().and_then(|index: usize| kept.get(index)).ok_or(KmsError::Corrupt)?;
        if bound == context { Ok(key.clone()) } else { Err(KmsError::WrongContext) }
    }

    async fn rewrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<WrappedKey, KmsError> {
        self.wrap(context, &self.unwrap(context, wrapped).await?).await
    }

    fn version_of(&self, _: &WrappedKey) -> Result<u32, KmsError> {
        Ok(1)
    }

    async fn describe(&self) -> Result<Vec<KeyVersion>, KmsError> {
        Ok(Vec::new())
    }

    async fn rotate(&self) -> Result<KeyVersion, KmsError> {
        Err(KmsError::Crypto)
    }

    async fn destroy_version(&self, _: u32) -> Result<(), KmsError> {
        Err(KmsError::Crypto)
    }

    async fn health(&self) -> Result<(), KmsError> {
        self.check()
    }
}

fn pk() -> KeyId {
    "pk".parse().unwrap()
}

fn owner(number: u8) -> KeyOwner {
    KeyOwner::Subject(Pseudonym::from_bytes([number; 16]))
}

fn hierarchy() -> (Arc<Vault>, Hierarchy) {
    let vault = Arc::new(Vault::default());
    let provider: Arc<dyn KeyProvider> = vault.clone();
    (vault, Hierarchy::new(vec![(pk(), "PK".parse().unwrap(), provider)], [1; 16]))
}

#[tokio::test]
async fn open_keys_come_from_the_cache_until_evicted() {
    let (vault, hierarchy) = hierarchy();
    let (created, wrapped) = hierarchy.create_subject_key(&pk(), owner(1)).await.unwrap();
    let (dek, wrapped_dek) = created.wrap_dek(b"").unwrap();
    for _ in 0..3 {
        let opened = hierarchy.open_subject_key(&wrapped).await.unwrap();
        assert_eq!(opened.unwrap_dek(b"", &wrapped_dek).unwrap().secret().expose(), dek.secret().expose());
    }
    assert_eq!(vault.unwraps.load(Ordering::SeqCst), 0);

    hierarchy.evict(&owner(2));
    hierarchy.open_subject_key(&wrapped).await.unwrap();
    assert_eq!(vault.unwraps.load(Ordering::SeqCst), 0);
    hierarchy.evict(&owner(1));
    hierarchy.open_subject_key(&wrapped).await.unwrap();
    assert_eq!(vault.unwraps.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn two_first_keys_of_one_owner_are_not_confused() {
    let (_, hierarchy) = hierarchy();
    let (one, wrapped_one) = hierarchy.create_subject_key(&pk(), owner(1)).await.unwrap();
    let (_, wrapped_two) = hierarchy.create_subject_key(&pk(), owner(1)).await.unwrap();
    let (_, dek) = one.wrap_dek(b"").unwrap();
    assert!(hierarchy.open_subject_key(&wrapped_one).await.unwrap().unwrap_dek(b"", &dek).is_ok());
    assert_ne!(wrapped_one.generation, wrapped_two.generation);
    assert!(hierarchy.open_subject_key(&wrapped_two).await.unwrap().unwrap_dek(b"", &dek).is_err());
}

#[tokio::test]
async fn a_wrapped_key_with_other_facts_does_not_open() {
    let (_, hierarchy) = hierarchy();
    let (_, wrapped) = hierarchy.create_subject_key(&pk(), owner(1)).await.unwrap();
    let others = [
        WrappedSubjectKey { owner: owner(2), ..wrapped.clone() },
        WrappedSubjectKey { generation: Generation(wrapped.generation.0 ^ 1), ..wrapped.clone() },
        WrappedSubjectKey { country: "SG".parse().unwrap(), ..wrapped.clone() },
        WrappedSubjectKey { key: "sg".parse().unwrap(), ..wrapped.clone() },
    ];
    for other in others {
        assert!(hierarchy.open_subject_key(&other).await.is_err(), "{other:?}");
    }
    let rewrapped = hierarchy.rewrap_subject_key(&wrapped).await.unwrap();
    assert_ne!(rewrapped.wrapped, wrapped.wrapped);
    assert!(hierarchy.open_subject_key(&rewrapped).await.is_ok());
}

#[tokio::test]
async fn a_sealed_provider_closes_its_cached_keys_and_an_unreachable_one_does_not() {
    let (vault, hierarchy) = hierarchy();
    let (_, wrapped) = hierarchy.create_subject_key(&pk(), owner(1)).await.unwrap();
    *vault.trouble.lock() = Some(Trouble::Unreachable);
    assert!(hierarchy.health(&pk()).await.is_err());
    assert!(hierarchy.open_subject_key(&wrapped).await.is_ok());
    assert!(hierarchy.create_subject_key(&pk(), owner(2)).await.is_err());

    *vault.trouble.lock() = Some(Trouble::Sealed);
    assert!(hierarchy.health(&pk()).await.is_err());
    assert!(matches!(hierarchy.open_subject_key(&wrapped).await, Err(KmsError::Refused { .. })));
    *vault.trouble.lock() = None;
    assert!(hierarchy.open_subject_key(&wrapped).await.is_err(), "asked nothing until it is known to be back");
    hierarchy.health(&pk()).await.unwrap();
    assert!(hierarchy.open_subject_key(&wrapped).await.is_ok());
}

#[tokio::test]
async fn a_key_that_does_not_open_what_was_wrapped_before_is_not_used() {
    let (_, before) = hierarchy();
    let (_, wrapped) = before.create_subject_key(&pk(), owner(1)).await.unwrap();
    before.hold_to(&wrapped).unwrap();
    before.health(&pk()).await.unwrap();

    let (vault, another) = hierarchy();
    another.hold_to(&wrapped).unwrap();
    *vault.trouble.lock() = Some(Trouble::Unreachable);
    assert!(matches!(another.health(&pk()).await, Err(KmsError::Unavailable { .. })), "not known yet");
    *vault.trouble.lock() = None;
    assert!(matches!(another.health(&pk()).await, Err(KmsError::Unsuitable { .. })));
    assert!(matches!(another.create_subject_key(&pk(), owner(2)).await, Err(KmsError::Unsuitable { .. })));
    assert!(vault.kept.lock().is_empty(), "nothing was wrapped by it");
}

/// Another country's key may be older, and have destroyed versions where this one wrapped with its first.
#[tokio::test]
async fn a_key_that_has_destroyed_what_the_newest_wrapping_is_of_is_not_used() {
    let (_, before) = hierarchy();
    let (_, wrapped) = before.create_subject_key(&pk(), owner(1)).await.unwrap();
    let (vault, another) = hierarchy();
    another.hold_to(&wrapped).unwrap();
    *vault.trouble.lock() = Some(Trouble::Trimmed);
    for _ in 0..2 {
        assert!(matches!(another.health(&pk()).await, Err(KmsError::Refused { .. })));
        assert!(matches!(another.create_subject_key(&pk(), owner(2)).await, Err(KmsError::Refused { .. })));
    }
    assert!(vault.kept.lock().is_empty(), "nothing was wrapped by it");
}
