//! The sessions there are.

use std::{collections::HashMap, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Holder;
use crate::digest::{hmac_sha256, random, sha256};
use crate::types::PrincipalId;

/// Of one bearer, at the most: far more than one has browsers, so that nobody can end the sessions of others by signing in again and again.
const OF_ONE: usize = 20;

/// The hash of a session's id. The id itself is at the browser alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SessionHash([u8; 32]);

/// Sessions by the hashes of their ids.
pub(super) struct Sessions {
    idle: Duration,
    lifetime: Duration,
    most: usize,
    /// Of this process, so that a form outlives its session no more than a cookie does.
    csrf_key: [u8; 32],
    open: Mutex<HashMap<SessionHash, Open>>,
}

#[derive(Debug, Clone)]
struct Open {
    /// Who signed in, by the name that they had then.
    whose: PrincipalId,
    holder: Holder,
    began: Instant,
    used: Instant,
}

impl Sessions {
    pub(super) fn new(idle: Duration, lifetime: Duration, most: usize) -> Self {
        Self { idle, lifetime, most: most.max(1), csrf_key: random(), open: Mutex::default() }
    }

    /// Begins one of `whose`: its id, for the cookie. Where there are too many, the one that was not used for longest ends: of theirs first.
    pub(super) fn begin(&self, whose: &PrincipalId, holder: Holder, now: Instant) -> String {
        let id: [u8; 32] = random();
        let mut open = self.open.lock();
        open.retain(|_, session| self.lasts(session, now));
        end_beyond(&mut open, OF_ONE, |session| session.whose == *whose);
        end_beyond(&mut open, self.most, |_| true);
        open.insert(SessionHash(sha256(&id)), Open { whose: whose.clone(), holder, began: now, used: now });
        URL_SAFE_NO_PAD.encode(id)
    }

    /// Finds the session of an id, and has it used.
    pub(super) fn find(&self, id: &str, now: Instant) -> Option<(SessionHash, Holder)> {
        let mut bytes = [0; 32];
        let length = URL_SAFE_NO_PAD.decode_slice(id, &mut bytes).ok()?;
        let hash = SessionHash(sha256(bytes.get(..length)?));
        let mut open = self.open.lock();
        let session = open.get_mut(&hash)?;
        if !self.lasts(session, now) {
            open.remove(&hash);
            return None;
        }
        session.used = now;
        Some((hash, session.holder.clone()))
    }

    pub(super) fn end(&self, session: &SessionHash) {
        self.open.lock().remove(session);
    }

    /// What the forms of a session carry.
    pub(super) fn csrf(&self, session: &SessionHash) -> String {
        URL_SAFE_NO_PAD.encode(hmac_sha256(&self.csrf_key, &[&session.0]))
    }

    fn lasts(&self, session: &Open, now: Instant) -> bool {
        now.saturating_duration_since(session.used) < self.idle && now.saturating_duration_since(session.began) < self.lifetime
    }
}

/// Ends those of a kind that were not used for longest, until one more of it fits.
fn end_beyond(open: &mut HashMap<SessionHash, Open>, most: usize, kind: impl Fn(&Open) -> bool) {
    while open.values().filter(|session| kind(session)).count() >= most {
        let of_kind = open.iter().filter(|(_, session)| kind(session));
        let Some(oldest) = of_kind.min_by_key(|(_, session)| session.used).map(|(hash, _)| *hash) else { break };
        open.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::TokenHash;

    fn ann() -> PrincipalId {
        PrincipalId::new("ann").unwrap()
    }

    fn holder() -> Holder {
        Holder::Token(TokenHash::of("token"))
    }

    fn sessions(most: usize) -> Sessions {
        Sessions::new(Duration::from_secs(60), Duration::from_secs(150), most)
    }

    #[test]
    fn a_session_ends_when_it_is_not_used_and_when_its_time_is_over() {
        let (sessions, now) = (sessions(10), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        let (used, unused) = (sessions.begin(&ann(), holder(), now), sessions.begin(&ann(), holder(), now));
        for seconds in [50, 100, 149] {
            assert!(sessions.find(&used, after(seconds)).is_some(), "{seconds}");
        }
        assert!(sessions.find(&unused, after(60)).is_none());
        assert!(sessions.find(&unused, after(1)).is_none(), "it does not come back");
        assert!(sessions.find(&used, after(150)).is_none());
        assert!(sessions.open.lock().is_empty());
    }

    #[test]
    fn ids_are_long_random_and_kept_nowhere() {
        let (sessions, now) = (sessions(10), Instant::now());
        let (one, two) = (sessions.begin(&ann(), holder(), now), sessions.begin(&ann(), holder(), now));
        assert!(one.len() == 43 && one != two);
        let kept: Vec<_> = sessions.open.lock().keys().map(|hash| URL_SAFE_NO_PAD.encode(hash.0)).collect();
        assert!(!kept.contains(&one));
        for wrong in [kept[0].as_str(), "", "x", "=", &one[1..], &format!("{one}A"), &format!("{one}AA"), "\u{fc}"] {
            assert!(sessions.find(wrong, now).is_none(), "{wrong}");
        }
    }

    #[test]
    fn there_are_never_more_than_allowed() {
        let (sessions, now) = (sessions(3), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        let ids: Vec<_> = (0..3).map(|second| sessions.begin(&ann(), holder(), after(second))).collect();
        sessions.find(&ids[0], after(5)).unwrap();
        sessions.begin(&ann(), holder(), after(6));
        assert_eq!(sessions.open.lock().len(), 3);
        assert!(sessions.find(&ids[1], after(6)).is_none(), "the one that was not used for longest");
        assert!(sessions.find(&ids[0], after(6)).is_some() && sessions.find(&ids[2], after(6)).is_some());
    }

    #[test]
    fn nobody_ends_the_sessions_of_others_by_signing_in() {
        let (sessions, now) = (sessions(1000), Instant::now());
        let others = sessions.begin(&PrincipalId::new("ben").unwrap(), holder(), now);
        let first = sessions.begin(&ann(), holder(), now);
        let later = |nth| now + Duration::from_millis(nth);
        let again: Vec<_> = (1..=2000).map(|nth| sessions.begin(&ann(), holder(), later(nth))).collect();
        assert_eq!(sessions.open.lock().len(), OF_ONE + 1);
        assert!(sessions.find(&others, later(2000)).is_some() && sessions.find(&first, later(2000)).is_none());
        assert!(sessions.find(&again[1999], later(2000)).is_some());
    }

    #[test]
    fn a_forms_token_is_of_one_session() {
        let (sessions, now) = (sessions(10), Instant::now());
        let [one, two] = [(); 2].map(|()| sessions.find(&sessions.begin(&ann(), holder(), now), now).unwrap().0);
        assert_eq!(sessions.csrf(&one), sessions.csrf(&one));
        assert_ne!(sessions.csrf(&one), sessions.csrf(&two));
        assert_ne!(sessions.csrf(&one), Sessions::new(sessions.idle, sessions.lifetime, 1).csrf(&one));
    }
}
