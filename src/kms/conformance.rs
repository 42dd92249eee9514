//! What every key provider must do, as one test to run on each.

use std::sync::Arc;

use super::{KeyOwner, KeyProvider, KeyState, KmsError, SecretKey, WrapContext, WrappedKey};
use crate::types::{Country, Generation, Pseudonym};

/// Runs the suite. `provider` holds a key for `country` with one version; it is rotated and its first version destroyed.
pub(crate) async fn run(provider: Arc<dyn KeyProvider>, installation: [u8; 16], country: Country) {
    let context = WrapContext {
        installation,
        country,
        owner: KeyOwner::Subject(Pseudonym::from_bytes([1; 16])),
        generation: Generation(1),
    };
    wraps_and_unwraps(&*provider, &context).await;
    binds_to_the_context(&*provider, &context).await;
    refuses_what_was_altered(&*provider, &context).await;
    rotates_rewraps_and_destroys(&*provider, &context).await;
    provider.health().await.unwrap();
}

async fn wraps_and_unwraps(provider: &dyn KeyProvider, context: &WrapContext) {
    let key = SecretKey::random();
    let (one, two) = (provider.wrap(context, &key).await.unwrap(), provider.wrap(context, &key).await.unwrap());
    assert_ne!(one, two, "wrapping is not deterministic");
    for wrapped in [one, two] {
        assert_eq!(provider.unwrap(context, &wrapped).await.unwrap().expose(), key.expose());
    }
}

async fn binds_to_the_context(provider: &dyn KeyProvider, context: &WrapContext) {
    let wrapped = provider.wrap(context, &SecretKey::random()).await.unwrap();
    let others = [
        WrapContext { installation: [0xee; 16], ..context.clone() },
        WrapContext { country: "ZZ".parse().unwrap(), ..context.clone() },
        WrapContext { owner: KeyOwner::Subject(Pseudonym::from_bytes([2; 16])), ..context.clone() },
        WrapContext { owner: KeyOwner::Bucket(Pseudonym::from_bytes([1; 16])), ..context.clone() },
        WrapContext { generation: Generation(2), ..context.clone() },
    ];
    for other in others {
        assert!(provider.unwrap(&other, &wrapped).await.is_err(), "{other:?}");
        assert!(provider.rewrap(&other, &wrapped).await.is_err(), "{other:?}");
    }
}

async fn refuses_what_was_altered(provider: &dyn KeyProvider, context: &WrapContext) {
    let wrapped = provider.wrap(context, &SecretKey::random()).await.unwrap();
    let text = wrapped.as_str();
    for index in 0..text.len() {
        let mut altered = text.as_bytes().to_vec();
        altered[index] = if altered[index] == b'A' { b'Q' } else { b'A' };
        let altered = WrappedKey::new(String::from_utf8(altered).unwrap());
        assert!(provider.unwrap(context, &altered).await.is_err(), "character {index}");
        assert!(provider.unwrap(context, &WrappedKey::new(&text[..index])).await.is_err(), "cut at {index}");
    }
    assert!(provider.unwrap(context, &WrappedKey::new(format!("{text}A"))).await.is_err());
}

async fn rotates_rewraps_and_destroys(provider: &dyn KeyProvider, context: &WrapContext) {
    let key = SecretKey::random();
    let old = provider.wrap(context, &key).await.unwrap();
    let first = provider.describe().await.unwrap()[0].version;
    assert_eq!(provider.version_of(&old).unwrap(), first);
    assert!(provider.version_of(&WrappedKey::new("nothing of ours")).is_err());
    assert!(provider.destroy_version(first).await.is_err(), "the primary version is not destroyed");

    let second = provider.rotate().await.unwrap();
    let states: Vec<_> = provider.describe().await.unwrap().iter().map(|version| version.state).collect();
    assert_eq!(states, [KeyState::DecryptOnly, KeyState::Primary]);
    assert_eq!(provider.unwrap(context, &old).await.unwrap().expose(), key.expose());
    let new = provider.rewrap(context, &old).await.unwrap();
    assert_eq!(provider.version_of(&old).unwrap(), first, "what is wrapped does not change");
    assert_eq!(provider.version_of(&new).unwrap(), second.version);

    provider.destroy_version(first).await.unwrap();
    provider.destroy_version(first).await.unwrap();
    let opened = provider.unwrap(context, &old).await;
    assert!(matches!(opened, Err(KmsError::Destroyed { .. })), "also while a service waits: {opened:?}");
    assert!(provider.rewrap(context, &old).await.is_err());
    assert!(provider.opens(second.version));
    assert_eq!(provider.version_of(&old).unwrap(), first, "also of a destroyed version");
    assert_eq!(provider.unwrap(context, &new).await.unwrap().expose(), key.expose());
    assert!(provider.destroy_version(second.version + 1).await.is_err());
    assert!(matches!(provider.describe().await.unwrap()[0].state, KeyState::Destroyed | KeyState::Destroying));
}
